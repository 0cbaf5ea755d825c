"""A peer's metadata: where its endpoints are (RFC 8414; OpenID Connect Discovery 1.0).

::

    GET /.well-known/oauth-authorization-server/o HTTP/1.1
    Host: peer.example

Only what setting up a peer needs is read. Not implemented here: signed metadata (RFC 8414,
section 2.1), WebFinger (OpenID Connect Discovery 1.0, section 2).
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..conf import settings
from ..core.peer_urls import url_problem
from ..core.protocol import GRANT_TYPE, OPENID
from ..exceptions import AddressRefused, BadResponse, NoMetadata, PeerError
from . import http

_WELL_KNOWN = "/.well-known/"
_OAUTH = f"{_WELL_KNOWN}oauth-authorization-server"
_OPENID = f"{_WELL_KNOWN}openid-configuration"

#: The endpoints that are read, and those that a peer can do without.
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
_OPTIONAL = ("revocation_endpoint",)

#: Most entries that are kept of each list in the document.
_MAX_ENTRIES = 200


@dataclass(frozen=True)
class Metadata:
    """What a peer says about itself (RFC 8414, section 2).

    :ivar revocation_endpoint: ``""`` where it offers no revocation.
    :ivar grant_types: its ``grant_types_supported``.
    :ivar auth_methods: its ``token_endpoint_auth_methods_supported``.
    :ivar scopes: its ``scopes_supported``; it may leave some out.
    :ivar userinfo_endpoint: ``""`` where it has none that can be used (OpenID Connect Discovery
        1.0, section 3).
    :ivar sends_iss: it names its issuer in authorization responses (RFC 9207, section 3).
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

    @property
    def takes_handovers(self) -> bool:
        """Whether it says that it knows the reciprocal grant."""
        return GRANT_TYPE in self.grant_types


def discover(issuer: str) -> Metadata:
    """The metadata of the peer whose issuer identifier is ``issuer``.

    The addresses of :func:`addresses_of` are asked in turn, until one has a document that can be
    used. One whose ``issuer`` is not exactly the URL asked for is not used (RFC 8414, section 3.3).

    :raises AddressRefused: ``issuer``, or an address behind it, is one that we never call.
    :raises PeerUnreachable: the peer gave no whole answer; the other addresses are on the same
        host, so they are not tried.
    :raises NoMetadata: no address has a document that can be used; says what was wrong with each.
    """
    problem = url_problem(issuer, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem is None and _WELL_KNOWN in issuer:
        problem = "Give the issuer's own URL, without the part that begins with /.well-known/."
    if problem is None and "?" in issuer:
        problem = "An issuer's URL has no query (RFC 8414, section 2)."
    if problem:
        raise AddressRefused(problem)
    lines, faults = [f"No metadata of {issuer} can be used."], []
    for address in addresses_of(issuer):
        try:
            return _with_userinfo(_read(address, issuer))
        except BadResponse as error:
            lines.append(f"{address}: {error}")
            if isinstance(error, NoMetadata):
                faults.append(error)
    of_issuer = next((fault for fault in faults if fault.problems), NoMetadata(""))
    raise NoMetadata(
        "\n".join(lines),
        issuers=[other for fault in faults for other in fault.issuers],
        endpoints=of_issuer.endpoints,
        problems=of_issuer.problems,
    )


def issuer_in(address: str) -> str:
    """The issuer whose metadata stands at ``address``, one of :func:`addresses_of`; what is none
    of them is given back."""
    for name in (_OAUTH, _OPENID):
        before, found, after = address.partition(name)
        if found:
            return before + after
    return address


def addresses_of(issuer: str) -> list[str]:
    """Where the metadata of ``issuer`` may stand, in the order in which it is looked for.

    The well-known part is put between host and path (RFC 8414, section 3.1), or after the path, as
    OpenID Connect Discovery 1.0, section 4, has it; servers do both with either name.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    paths = (_OAUTH + path, path + _OAUTH, path + _OPENID, _OPENID + path)
    return [urlunsplit(parts._replace(path=each)) for each in dict.fromkeys(paths)]


def _with_userinfo(metadata: Metadata) -> Metadata:
    """Servers that have both documents name their UserInfo endpoint in that of OpenID Connect. To
    lack it is no fault, so nothing that goes wrong here is one."""
    if metadata.userinfo_endpoint or OPENID not in metadata.scopes:
        return metadata
    for address in addresses_of(metadata.issuer):
        if _OPENID in address:
            with contextlib.suppress(PeerError):
                endpoint = _read(address, metadata.issuer).userinfo_endpoint
                return replace(metadata, userinfo_endpoint=endpoint)
    return metadata


def _read(address: str, issuer: str) -> Metadata:
    """:raises BadResponse: there is no metadata of ``issuer`` at this address.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    answer = http.call("GET", address, headers={"Accept": "application/json"})
    if answer.status != 200:
        raise BadResponse(f"HTTP {answer.status}")
    document = _document(answer.body)
    named = document.get("issuer")
    if not isinstance(named, str):
        raise BadResponse("it names no issuer")
    if named != issuer:
        text = f"it is the metadata of another issuer, {ascii(named)[:200]}"
        raise NoMetadata(text, issuers=[named])
    return Metadata(
        issuer=issuer,
        **_endpoints(document),
        # RFC 8414, section 2: what a document means that leaves the list out.
        grant_types=_strings(document, "grant_types_supported", "authorization_code", "implicit"),
        auth_methods=_strings(
            document, "token_endpoint_auth_methods_supported", "client_secret_basic"
        ),
        scopes=_strings(document, "scopes_supported"),
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        userinfo_endpoint=_userinfo_endpoint(document),
    )


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise BadResponse("the answer is not JSON") from None
    if not isinstance(document, dict):
        raise BadResponse("the answer is not a JSON object")
    return document


def _endpoints(document: Mapping[str, Any]) -> dict[str, str]:
    """:raises NoMetadata: with all that is wrong with them."""
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
    url = document.get(name)
    if not url and name in _OPTIONAL:
        return ""
    if not isinstance(url, str) or not url:
        raise BadResponse(f"it names no {name}")
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem:
        raise BadResponse(f"its {name} cannot be used. {problem}")
    return url


def _userinfo_endpoint(document: Mapping[str, Any]) -> str:
    try:
        return _endpoint(document, "userinfo_endpoint")
    except BadResponse:
        return ""


def _strings(document: Mapping[str, Any], name: str, *default: str) -> tuple[str, ...]:
    values = document.get(name)
    if not isinstance(values, list):
        return default
    return tuple(value for value in values if isinstance(value, str))[:_MAX_ENTRIES]
