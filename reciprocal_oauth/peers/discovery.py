"""Turns the metadata of a peer (RFC 8414) into values for the fields of a ``Peer``.

The admin and the ``reciprocal_peer`` command use it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ..client.discovery import Metadata, discover, issuer_of
from ..core.peer_urls import is_endpoint
from ..exceptions import NoMetadata
from ..models import Peer
from ..models.binding import ENDPOINTS


def find(address: str) -> Metadata:
    """Fetch the metadata of the peer at ``address``.

    ``address`` is its issuer identifier, or what people enter for it: without ``https://``, with or
    without a slash at the end, only the host, or the URL of the metadata. The metadata is used only
    if it is found at the URL of the issuer that it names (RFC 8414, section 3.3).

    :raises PeerError: no metadata can be fetched; see
        :func:`~reciprocal_oauth.client.discovery.discover`.
    """
    address = issuer_of(address.strip())
    issuer = address if "://" in address else f"https://{address}"
    try:
        return discover(issuer)
    except NoMetadata as error:
        meant = next((other for other in error.issuers if _may_mean(issuer, other)), None)
        if meant is None:
            if _is_host(issuer) and not (error.issuers or error.problems):
                error.args = (f"{error}\n{_likely_issuer(issuer)}",)
            raise
    return discover(meant)


def _may_mean(address: str, issuer: str) -> bool:
    """Whether a person who enters ``address`` may mean ``issuer``: the same host and tenant."""
    root = address.rstrip("/")
    return issuer.rstrip("/") == root or (_is_host(address) and issuer.startswith(f"{root}/"))


def _is_host(address: str) -> bool:
    return not urlsplit(address).path.rstrip("/")


def _likely_issuer(host: str) -> str:
    """Most sites with DOT serve their metadata only below the path of DOT's URLs."""
    return (
        "An issuer may have a path. With django-oauth-toolkit it is often "
        f"{host.rstrip('/')}/o. Try this, or ask the other site."
    )


def values_of(metadata: Metadata) -> dict[str, Any]:
    """Return values from ``metadata`` for the fields of a ``Peer``, by the names of the fields."""
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


def new_values(peer: Peer, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` without the endpoints that ``peer`` already has.

    An endpoint of ``peer`` may have a query that an administrator has added; it is kept.
    """
    return {
        name: value
        for name, value in values.items()
        if not (name in ENDPOINTS and value and is_endpoint(getattr(peer, name), value))
    }


def warnings_about(metadata: Metadata) -> dict[str, str]:
    """Return what may not work with this peer, by the names of the fields of a ``Peer``."""
    warnings = {}
    if not metadata.takes_handovers:
        warnings["reciprocal_endpoint"] = _(
            "The metadata of %(issuer)s does not list the reciprocal grant among "
            "grant_types_supported. The peer may not accept the codes of this site."
        ) % {"issuer": metadata.issuer}
    if not set(Peer.AuthMethod.values) & set(metadata.auth_methods):
        warnings["token_endpoint_auth_method"] = _(
            "The metadata of %(issuer)s lists no authentication method that this site knows, only: "
            "%(methods)s."
        ) % {"issuer": metadata.issuer, "methods": ", ".join(metadata.auth_methods) or "–"}
    return warnings
