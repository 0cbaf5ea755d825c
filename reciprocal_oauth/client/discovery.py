"""Reads a peer's metadata: the endpoints of the peer and the features that the peer supports.

This module follows RFC 8414 and OpenID Connect Discovery 1.0, section 4. This is a request for the
metadata of the issuer ``https://peer.example/o``:

::

    GET /.well-known/oauth-authorization-server/o HTTP/1.1
    Host: peer.example

This module reads only the values that are needed to set up a peer. Not implemented here: signed
metadata (RFC 8414, section 2.1) and WebFinger (OpenID Connect Discovery 1.0, section 2).
"""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..conf import settings
from ..core import scopes
from ..core.peer_urls import url_problem
from ..core.plain_text import plain
from ..core.protocol import GRANT_TYPE, OPENID
from ..core.site_metadata import LENGTHS
from ..exceptions import AddressRefused, BadResponse, NoMetadata, PeerError
from . import http

#: The paths at which a peer publishes its metadata (RFC 8615, section 3; RFC 8414, section 3;
#: OpenID Connect Discovery 1.0, section 4).
_WELL_KNOWN = "/.well-known/"
_OAUTH = f"{_WELL_KNOWN}oauth-authorization-server"
_OPENID = f"{_WELL_KNOWN}openid-configuration"

#: The endpoints that are read from the metadata. A peer can lack the endpoints in ``_OPTIONAL``.
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
_OPTIONAL = ("revocation_endpoint",)

#: How many entries of each list in the metadata are kept. Further entries are ignored.
_MAX_ENTRIES = 200
#: How many scopes with a description are kept, how many languages of each description, and how many
#: characters of each text.
_MAX_DESCRIBED, _MAX_LANGUAGES, _MAX_DESCRIPTION = 100, 10, 200
#: A language tag after the name of a member (RFC 7591, section 2.2).
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}")


@dataclass(frozen=True)
class Metadata:
    """A peer's metadata (RFC 8414, section 2).

    :ivar revocation_endpoint: the URL of the endpoint that revokes tokens (RFC 7009); ``""`` if the
        metadata contains no such URL.
    :ivar grant_types: the values of ``grant_types_supported``.
    :ivar auth_methods: the values of ``token_endpoint_auth_methods_supported``.
    :ivar scopes: the values of ``scopes_supported``. The peer may support more scopes.
    :ivar sends_iss: whether the peer names its issuer in authorization responses (RFC 9207,
        section 3).
    :ivar userinfo_endpoint: the URL of the UserInfo endpoint (OpenID Connect Discovery 1.0, section
        3); ``""`` if the metadata contains no usable URL for it.
    :ivar auth_signing_algs: the values of ``token_endpoint_auth_signing_alg_values_supported``:
        the algorithms with which a client may sign (RFC 8414, section 2).
    :ivar jwks_uri: the URL of the public keys of the peer (RFC 8414, section 2); ``""`` if the
        metadata contains no usable URL for it.
    :ivar registration_endpoint: the URL at which clients register (RFC 7591, section 3); ``""`` if
        the metadata contains no usable URL for it.
    :ivar reciprocal_registration_endpoint: the URL at which a site pairs with the peer; ``""`` if
        the metadata contains no usable URL for it.
    :ivar scope_descriptions: what the scopes of the peer mean, in its own words: for each scope, a
        text for each language tag in lower case. The tag ``""`` is for the text without a language
        tag. The texts contain no invisible characters, but they can contain markup.
    :ivar description: what the peer says of itself to people, as plain text; ``""`` if nothing.
    :ivar policy_uri: the value of ``op_policy_uri``: the page that says how the peer uses data;
        ``""`` if the metadata contains no usable URL for it.
    :ivar tos_uri: the value of ``op_tos_uri``: the page with the terms of service of the peer;
        ``""`` if the metadata contains no usable URL for it.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    grant_types: tuple[str, ...]
    auth_methods: tuple[str, ...]
    scopes: tuple[str, ...]
    sends_iss: bool
    userinfo_endpoint: str = ""
    auth_signing_algs: tuple[str, ...] = ()
    jwks_uri: str = ""
    registration_endpoint: str = ""
    reciprocal_registration_endpoint: str = ""
    scope_descriptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    description: str = ""
    policy_uri: str = ""
    tos_uri: str = ""

    @property
    def takes_handovers(self) -> bool:
        """Return whether the metadata lists the reciprocal grant. If it does, the peer accepts
        hand-overs (requests in which this site sends a reciprocal code)."""
        return GRANT_TYPE in self.grant_types


def discover(issuer: str) -> Metadata:
    """Fetch the metadata of the peer whose issuer identifier is ``issuer``.

    Try the URLs of :func:`metadata_urls` in their order, until a usable document is found. The
    member ``issuer`` of the document must be identical to the parameter ``issuer`` (RFC 8414,
    section 3.3; OpenID Connect Discovery 1.0, section 4.3).

    :raises AddressRefused: ``issuer`` cannot be the URL of an issuer (RFC 8414, section 2), or this
        site must not call it or an IP address of its host.
    :raises PeerUnreachable: the peer sent no complete response to a request. The remaining URLs are
        not tried, because they have the same host.
    :raises NoMetadata: no URL has a usable document. The text of the error says for each URL what
        is wrong.
    """
    problem = url_problem(issuer, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem is None and _WELL_KNOWN in issuer:
        problem = "Give the issuer's own URL, without the part that begins with /.well-known/."
    if problem is None and "?" in issuer:
        problem = "An issuer's URL has no query (RFC 8414, section 2)."
    if problem:
        raise AddressRefused(problem)
    lines, errors = [f"No metadata of {issuer} can be used."], []
    for url in metadata_urls(issuer):
        try:
            return _with_userinfo(_fetch(url, issuer))
        except BadResponse as error:
            lines.append(f"{url}: {error}")
            if isinstance(error, NoMetadata):
                errors.append(error)
    of_issuer = next((error for error in errors if error.problems), NoMetadata(""))
    raise NoMetadata(
        "\n".join(lines),
        issuers=[other for error in errors for other in error.issuers],
        endpoints=of_issuer.endpoints,
        problems=of_issuer.problems,
    )


def issuer_of(url: str) -> str:
    """Return the issuer whose metadata is at ``url``. If ``url`` is not one of the
    :func:`metadata_urls` of an issuer, return ``url`` unchanged."""
    for name in (_OAUTH, _OPENID):
        before, found, after = url.partition(name)
        if found:
            return before + after
    return url


def metadata_urls(issuer: str) -> list[str]:
    """Return the URLs at which the metadata of ``issuer`` can be, in the order to try them.

    RFC 8414, section 3.1, inserts ``/.well-known/oauth-authorization-server`` between the host and
    the path of the issuer. OpenID Connect Discovery 1.0, section 4, appends
    ``/.well-known/openid-configuration`` to the path. Some servers insert the second text or append
    the first text (RFC 8414, section 5). So there are four URLs if the issuer has a path.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    paths = (_OAUTH + path, path + _OAUTH, path + _OPENID, _OPENID + path)
    return [urlunsplit(parts._replace(path=each)) for each in dict.fromkeys(paths)]


def _with_userinfo(metadata: Metadata) -> Metadata:
    """Return ``metadata`` with the URL of the UserInfo endpoint, if this URL can be found.

    Some servers name this endpoint only in their metadata document for OpenID Connect. So if the
    URL is missing and the peer supports OpenID Connect, request that document (OpenID Connect
    Discovery 1.0, section 4). Ignore errors of this request, because the endpoint is optional.
    """
    if metadata.userinfo_endpoint or OPENID not in metadata.scopes:
        return metadata
    for url in metadata_urls(metadata.issuer):
        if _OPENID in url:
            with contextlib.suppress(PeerError):
                endpoint = _fetch(url, metadata.issuer).userinfo_endpoint
                return replace(metadata, userinfo_endpoint=endpoint)
    return metadata


def _fetch(url: str, issuer: str) -> Metadata:
    """Fetch and check the metadata document at ``url`` (RFC 8414, sections 3.2 and 3.3).

    :raises BadResponse: there is no usable metadata of ``issuer`` at this URL.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    response = http.call("GET", url, headers={"Accept": "application/json"})
    if response.status != 200:
        raise BadResponse(f"HTTP {response.status}")
    document = _document(response.body)
    named = document.get("issuer")
    if not isinstance(named, str):
        raise BadResponse("it names no issuer")
    if named != issuer:
        text = f"it is the metadata of another issuer, {ascii(named)[:200]}"
        raise NoMetadata(text, issuers=[named])
    return Metadata(
        issuer=issuer,
        **_endpoints(document),
        # If a list is missing, its default value in RFC 8414, section 2, applies.
        grant_types=_strings(document, "grant_types_supported", "authorization_code", "implicit"),
        auth_methods=_strings(
            document, "token_endpoint_auth_methods_supported", "client_secret_basic"
        ),
        scopes=_scopes(document),
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        userinfo_endpoint=_usable(document, "userinfo_endpoint"),
        auth_signing_algs=_strings(document, "token_endpoint_auth_signing_alg_values_supported"),
        jwks_uri=_usable(document, "jwks_uri"),
        registration_endpoint=_usable(document, "registration_endpoint"),
        reciprocal_registration_endpoint=_usable(document, "reciprocal_registration_endpoint"),
        scope_descriptions=_scope_descriptions(document),
        description=plain(document.get("reciprocal_description"), LENGTHS["description"]),
        policy_uri=_usable(document, "op_policy_uri"),
        tos_uri=_usable(document, "op_tos_uri"),
    )


def _document(body: bytes) -> Mapping[str, Any]:
    """Return the members of a metadata document (RFC 8414, section 3.2).

    :raises BadResponse: the body is not a JSON object.
    """
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise BadResponse("the response is not JSON") from None
    if not isinstance(document, dict):
        raise BadResponse("the response is not a JSON object")
    return document


def _endpoints(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the URLs of the endpoints in a metadata document, by name.

    :raises NoMetadata: at least one endpoint is missing or unusable. The error names each of them.
    """
    found, problems = {}, {}
    for name in _ENDPOINTS:
        try:
            found[name] = _endpoint(document, name)
        except BadResponse as error:
            problems[name] = str(error)
    if problems:
        raise NoMetadata("; ".join(problems.values()), endpoints=found, problems=problems)
    return found


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    """Return the URL of the endpoint ``name``; ``""`` if it is missing and optional.

    :raises BadResponse: the endpoint is missing and required, or its URL cannot be used.
    """
    url = document.get(name)
    if not url and name in _OPTIONAL:
        return ""
    if not isinstance(url, str) or not url:
        raise BadResponse(f"it names no {name}")
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem:
        raise BadResponse(f"its {name} cannot be used. {problem}")
    return url


def _usable(document: Mapping[str, Any], name: str) -> str:
    """Return the URL of the endpoint ``name``; ``""`` if it is missing or cannot be used."""
    try:
        return _endpoint(document, name)
    except BadResponse:
        return ""


def _scope_descriptions(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the texts in the member ``reciprocal_scope_descriptions``, by scope and language tag.

    A language tag is appended to the scope after ``#``, as to the names of human-readable members
    (RFC 7591, section 2.2). A scope can contain ``#`` itself (RFC 6749, section 3.3).
    """
    members = document.get("reciprocal_scope_descriptions")
    if not isinstance(members, dict):
        return {}
    known = set(_scopes(document))
    found: dict[str, dict[str, str]] = {}
    for name, value in members.items():
        scope, mark, tag = name.rpartition("#")
        if name in known or not mark or not _LANGUAGE_TAG.fullmatch(tag):
            scope, tag = name, ""
        text = plain(value, _MAX_DESCRIPTION)
        if not text or scopes.parse(scope) != [scope]:
            continue
        if scope not in found and len(found) >= _MAX_DESCRIBED:
            continue
        texts = found.setdefault(scope, {})
        if tag.lower() in texts or len(texts) < _MAX_LANGUAGES:
            texts[tag.lower()] = text
    return found


def _scopes(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the valid scope tokens of the metadata. Others could not be asked for, and could look
    like other text where they are shown."""
    return tuple(
        each for each in _strings(document, "scopes_supported") if scopes.parse(each) == [each]
    )


def _strings(document: Mapping[str, Any], name: str, *default: str) -> tuple[str, ...]:
    values = document.get(name)
    if not isinstance(values, list):
        return default
    return tuple(value for value in values if isinstance(value, str))[:_MAX_ENTRIES]
