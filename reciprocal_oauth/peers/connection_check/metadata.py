"""Compares the metadata of the peer with the fields of the peer at this site."""

from django.utils.translation import gettext

from ...client.discovery import Metadata, discover
from ...core.peer_urls import is_endpoint
from ...exceptions import PeerError
from ...models import Peer
from ...vendors import preset_of
from ..findings import Result, State

_IN_METADATA = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


def check(peer: Peer) -> tuple[Metadata | None, Result]:
    """Return two values: the peer's metadata, if it can be read; and the result of the check that
    compares the metadata with the peer's fields at this site."""
    if not peer.issuer and preset_of(peer.dialect):
        reason = gettext("The addresses of this vendor are known without metadata.")
        return None, (State.NOT_NEEDED, reason)
    if not peer.issuer:
        reason = gettext("The peer has no issuer here, so its metadata cannot be read.")
        return None, (State.UNKNOWN, reason)
    try:
        metadata = discover(peer.issuer)
    except PeerError as error:
        return None, (State.FAILED, "; ".join(str(error).splitlines()))
    return metadata, _compare(peer, metadata)


def _compare(peer: Peer, metadata: Metadata) -> Result:
    """Compare the peer's fields at this site with its metadata: the endpoints (RFC 8414, section 2)
    and whether the peer sends the ``iss`` parameter (RFC 9207, section 2.4)."""
    # Skip an endpoint whose field is empty at this site. This site does not use such an endpoint,
    # so it is no error if the metadata names a URL for it.
    differing = [
        str(peer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        for name in _IN_METADATA
        if (here := getattr(peer, name)) and not is_endpoint(here, getattr(metadata, name))
    ]
    if differing:
        text = gettext("The metadata and the peer here have different addresses for: %s.")
        return State.FAILED, text % ", ".join(differing)
    if peer.sends_iss and not metadata.sends_iss:
        return State.UNKNOWN, gettext(
            "Its metadata does not say that the peer names its issuer in its responses. This site "
            "refuses responses without an issuer."
        )
    reason = gettext("All addresses agree.")
    if metadata.sends_iss and not peer.sends_iss:
        reason += " " + gettext(
            "Its metadata says that the peer names its issuer in its responses. Switch on "
            "“%(field)s” here, so that responses without an issuer are refused."
        ) % {"field": peer._meta.get_field("sends_iss").verbose_name}
    return State.PASSED, reason
