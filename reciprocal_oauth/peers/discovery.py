"""What a peer says of itself, as values for the fields of its row.

Shared by the admin and the ``reciprocal_peer`` command.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ..client.discovery import Metadata, discover, issuer_of
from ..core.peer_urls import is_endpoint
from ..exceptions import NoMetadata
from ..models import Peer
from ..models.peer_validation import ENDPOINTS


def find(address: str) -> Metadata:
    """The metadata of the peer at ``address``.

    That is its issuer identifier, or what people take for it: without https://, with a slash at the
    end too many or too few, the host alone, or the address of the metadata itself. Whatever it is,
    the issuer that is believed in is the one under which its own metadata is found
    (RFC 8414, section 3.3).

    :raises PeerError: as :func:`~reciprocal_oauth.client.discovery.discover`.
    """
    address = issuer_of(address.strip())
    issuer = address if "://" in address else f"https://{address}"
    try:
        return discover(issuer)
    except NoMetadata as error:
        meant = next((other for other in error.issuers if _may_be_meant(issuer, other)), None)
        if meant is None:
            if _is_host(issuer) and not (error.issuers or error.problems):
                error.args = (f"{error}\n{_likely_issuer(issuer)}",)
            raise
    return discover(meant)


def _may_be_meant(address: str, issuer: str) -> bool:
    """Not another host, nor another tenant of one."""
    root = address.rstrip("/")
    return issuer.rstrip("/") == root or (_is_host(address) and issuer.startswith(f"{root}/"))


def _is_host(address: str) -> bool:
    return not urlsplit(address).path.rstrip("/")


def _likely_issuer(host: str) -> str:
    """Most sites with DOT serve their metadata below the path of their URLs only."""
    return (
        "An issuer may have a path: with django-oauth-toolkit it is often "
        f"{host.rstrip('/')}/o. Ask the other site, or try that."
    )


def values_of(metadata: Metadata) -> dict[str, Any]:
    """What ``metadata`` says, by the fields of a :class:`~reciprocal_oauth.models.Peer`."""
    values: dict[str, Any] = {
        "issuer": metadata.issuer,
        "sends_iss": metadata.sends_iss,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "revocation_endpoint": metadata.revocation_endpoint,
        "userinfo_endpoint": metadata.userinfo_endpoint,
    }
    basic, post = Peer.AuthMethod.BASIC, Peer.AuthMethod.POST
    if post in metadata.auth_methods and basic not in metadata.auth_methods:
        values["token_endpoint_auth_method"] = post
    return values


def news_for(peer: Peer, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` without the addresses that ``peer`` has already, with a query of its own: an
    administrator has added it."""
    return {
        name: value
        for name, value in values.items()
        if not (name in ENDPOINTS and value and is_endpoint(getattr(peer, name), value))
    }


def doubts_about(metadata: Metadata) -> dict[str, str]:
    """What may not work with a peer that says this of itself, by the field that it concerns."""
    doubts = {}
    if not metadata.takes_handovers:
        doubts["reciprocal_endpoint"] = _(
            "The metadata of %(issuer)s does not list the reciprocal grant among "
            "grant_types_supported. The peer may not take the codes of this site."
        ) % {"issuer": metadata.issuer}
    if not set(Peer.AuthMethod.values) & set(metadata.auth_methods):
        doubts["token_endpoint_auth_method"] = _(
            "The metadata of %(issuer)s lists no method that this site knows, only: %(methods)s."
        ) % {"issuer": metadata.issuer, "methods": ", ".join(metadata.auth_methods) or "–"}
    return doubts
