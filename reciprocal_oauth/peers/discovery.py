"""Turns the metadata of a peer (RFC 8414) into values for the fields of the model ``Peer``.

The Django admin and the ``reciprocal_peer`` command use this module.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ..client.discovery import Metadata, discover, issuer_of
from ..core.peer_urls import is_endpoint, origin_of
from ..core.plain_text import plain
from ..exceptions import NoMetadata
from ..keys.site_keys import algorithm_for
from ..models import Peer, SigningAlgorithm
from ..models.binding import ENDPOINTS
from .site_display import is_valid

#: The methods with a client secret (RFC 6749, section 2.3.1).
_WITH_SECRET = {Peer.AuthMethod.BASIC, Peer.AuthMethod.POST}


def find(address: str) -> Metadata:
    """Fetch the metadata of the peer whose address a person entered.

    The metadata is used only if it is published at the URL of the issuer that it names (RFC 8414,
    section 3.3).

    :param address: the issuer identifier of the peer. These forms are accepted too: without
        ``https://``, with or without a slash at the end, the host alone, or the metadata URL.
    :raises PeerError: no usable metadata can be fetched; see
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
    """Return whether a person who entered ``address`` can mean ``issuer``.

    That is so if both are equal except for a slash at the end, or if ``address`` is only a host and
    ``issuer`` adds a path to it.
    """
    root = address.rstrip("/")
    return issuer.rstrip("/") == root or (_is_host(address) and issuer.startswith(f"{root}/"))


def _is_host(address: str) -> bool:
    return not urlsplit(address).path.rstrip("/")


def _likely_issuer(host: str) -> str:
    """Return a hint that names the most likely issuer at ``host``. Most sites with DOT publish
    their metadata only below the path at which they include DOT's URLs, often ``/o``."""
    return (
        "An issuer may have a path. With django-oauth-toolkit it is often "
        f"{host.rstrip('/')}/o. Try this, or ask the other site."
    )


def values_of(metadata: Metadata) -> dict[str, Any]:
    """Return the values from ``metadata`` (RFC 8414, section 2) that belong in fields of ``Peer``.
    The keys of the dictionary are the names of these fields."""
    values: dict[str, Any] = {
        "issuer": metadata.issuer,
        "sends_iss": metadata.sends_iss,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "revocation_endpoint": metadata.revocation_endpoint,
        "userinfo_endpoint": metadata.userinfo_endpoint,
        "scope_words": words_of(metadata),
    }
    basic, post = Peer.AuthMethod.BASIC, Peer.AuthMethod.POST
    if post in metadata.auth_methods and basic not in metadata.auth_methods:
        values["token_endpoint_auth_method"] = post
    # A key is not chosen by itself: the peer must first be told where the keys of this site are.
    is_for_keys = Peer.AuthMethod.PRIVATE_KEY_JWT in metadata.auth_methods
    algorithm = algorithm_for(metadata.auth_signing_algs) or SigningAlgorithm.ES256
    if is_for_keys and algorithm != SigningAlgorithm.ES256:
        values["assertion_algorithm"] = str(algorithm)
    # If the metadata does not name these pages, keep what an administrator has entered.
    pages = {"policy_uri": metadata.policy_uri, "tos_uri": metadata.tos_uri}
    return values | {name: url for name, url in pages.items() if url and is_valid(name, url)}


def words_of(metadata: Metadata) -> dict[str, dict[str, str]]:
    """Return what the scopes of the peer mean, in the form of ``Peer.scope_words``."""
    return words_in({scope: dict(texts) for scope, texts in metadata.scope_descriptions.items()})


def words_in(value: object) -> dict[str, dict[str, str]]:
    """Return ``value`` in the form of ``Peer.scope_words``: for each scope, a text for each
    language tag. Parts of another form are left out."""
    scopes = value if isinstance(value, dict) else {}
    found = {
        scope: {tag: text for tag, given in texts.items() if (text := plain(given))}
        for scope, texts in scopes.items()
        if isinstance(texts, dict)
    }
    return {scope: texts for scope, texts in found.items() if texts}


def new_values(peer: Peer, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values``, which come from the peer's metadata, without the endpoints that the fields
    of ``peer`` already contain.

    A field contains an endpoint even if the URL in the field has additional query parameters. So
    query parameters that an administrator added are not overwritten.

    If the peer has moved, its keys have moved too: they must be at the issuer.
    """
    moved = _moved_keys(peer, values.get("issuer", ""))
    return {
        name: value
        for name, value in values.items()
        if not (name in ENDPOINTS and value and is_endpoint(getattr(peer, name), value))
    } | ({"jwks_uri": moved} if moved else {})


def _moved_keys(peer: Peer, issuer: str) -> str:
    """Return the address of the keys of ``peer`` at another issuer; ``""`` if they stay where they
    are. The path below the issuer, or below its host, stays the same."""
    if not (issuer and peer.issuer and peer.jwks_uri) or issuer == peer.issuer:
        return ""
    for before, after in (
        (peer.issuer.rstrip("/"), issuer.rstrip("/")),
        (origin_of(peer.issuer), origin_of(issuer)),
    ):
        if before and peer.jwks_uri.startswith(f"{before}/"):
            moved = after + peer.jwks_uri.removeprefix(before)
            return moved if moved != peer.jwks_uri else ""
    return ""


def warnings_about(metadata: Metadata) -> dict[str, str]:
    """Return a warning if ``metadata`` (RFC 8414, section 2) does not list the reciprocal grant.
    Return another warning if it lists no client authentication method that this site supports.

    :returns: the warnings, each by the name of the ``Peer`` field to which it belongs.
    """
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
    elif not _WITH_SECRET & set(metadata.auth_methods):
        warnings["token_endpoint_auth_method"] = _(
            "The peer takes no client secret. Choose “%(method)s”, and tell the other site where "
            "the public keys of this site are."
        ) % {"method": Peer.AuthMethod.PRIVATE_KEY_JWT.label}
    return warnings
