"""Makes authorization requests, and asks the authorization endpoint of a peer, without a browser,
what it does with one.

RFC 6749, sections 3.1, 4.1.1 and 4.1.2.1. With ``prompt=none`` and without a session, an OpenID
provider shows no page: it redirects to the client with the error ``login_required`` (OpenID Connect
Core 1.0, sections 3.1.2.1 and 3.1.2.6). Before that, it checks the client ID, the redirect URI and
the scope. A server must not redirect to a redirect URI that it does not know. So the response shows
what the peer knows of this site.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from oauthlib.oauth2 import WebApplicationClient

from ..core import scopes
from ..core.protocol import OPENID, OWN_AUTHORIZATION_PARAMETERS
from ..exceptions import BadResponse
from ..models import Peer
from . import http
from .token_endpoint import error_code

_REDIRECTS = (301, 302, 303, 307, 308)
#: The name of the redirect URI in the words of an error page, such as "Mismatching redirect URI" or
#: "invalid_redirect_uri". It does not match the parameter of our own request in a URL on the page.
_NAMES_REDIRECT_URI = re.compile(rb"redirect[ _-]?ur[il](?!\w|=|%3D|&)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """The response of a peer to an authorization request without a session.

    :ivar target: the URL to which the peer redirects, without its query and its fragment; ``""`` if
        the response is no redirect.
    :ivar is_response: whether the redirect is an authorization response: it has the ``state`` of
        the request, and a code or an error (RFC 6749, sections 4.1.2 and 4.1.2.1).
    :ivar error: the error code in the redirect (RFC 6749, section 4.1.2.1); ``""`` if it has none.
    :ivar issuer: the issuer in the redirect (RFC 9207, section 2); ``""`` if it has none.
    :ivar names_redirect_uri: whether the text of the response speaks of the redirect URI.
    :ivar headers: the header fields of the response.
    :ivar sent_at: when this site sent the request.
    """

    status: int
    target: str
    is_response: bool
    error: str
    issuer: str
    names_redirect_uri: bool
    headers: Mapping[str, str]
    sent_at: datetime

    def redirects_to(self, uri: str) -> bool:
        """Return whether the peer redirects to ``uri``, with any query."""
        return bool(self.target) and self.target == _without_query(uri)

    @property
    def refuses_redirect_uri(self) -> bool:
        """Return whether the peer says that it does not know the redirect URI of the request. It
        then tells the person, and does not redirect to it (RFC 6749, section 4.1.2.1). GitHub
        redirects to the URI that it does know."""
        if self.target:
            return self.error == "redirect_uri_mismatch"
        return self.status in (400, 403) and self.names_redirect_uri


@sensitive_variables()
def request_url(url: str, parameters: Mapping[str, str]) -> str:
    """Return the URL of an authorization request (RFC 6749, section 4.1.1). Keep the parameters
    that ``url`` already has (RFC 6749, section 3.1), except those that only this app may set.

    :param url: the authorization endpoint of a peer.
    """
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in parameters and name not in OWN_AUTHORIZATION_PARAMETERS
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()])))


@sensitive_variables()
def ask(peer: Peer, redirect_uri: str | None, scope: str) -> Answer:
    """Send an authorization request to the peer as a browser without a session would, and return
    what the peer responds. No redirect is followed, and nobody is asked anything.

    The peer gets our client ID, and neither a secret nor a ``state`` that this site would accept.

    :param redirect_uri: the redirect URI; ``None`` to leave it out. A peer that knows only one
        then redirects to this one (RFC 6749, section 3.1.2.3).
    :param scope: the scope to ask for.
    :raises AddressRefused: this site must not call the authorization endpoint.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    parameters = {
        **peer.extra_parameters,
        "response_type": "code",
        "client_id": peer.client_id,
        "state": state,
        "code_challenge": WebApplicationClient("").create_code_challenge(verifier, "S256"),
        "code_challenge_method": "S256",
        "prompt": "none",
    }
    if redirect_uri is not None:
        parameters["redirect_uri"] = redirect_uri
    if scope:
        parameters["scope"] = scope
    if OPENID in scopes.split(scope):
        parameters["nonce"] = secrets.token_urlsafe(24)
    sent_at = timezone.now()
    url = request_url(peer.authorization_endpoint, parameters)
    response = http.call("GET", url, headers={"Accept": "text/html"})
    target = _target_of(response, url)
    found = dict(parse_qsl(urlsplit(target).query))
    return Answer(
        status=response.status,
        target=_without_query(target),
        is_response=found.get("state") == state and bool({"code", "error"} & found.keys()),
        error=error_code(found.get("error", "")),
        issuer=found.get("iss", "")[:500],
        names_redirect_uri=_names_redirect_uri(response),
        headers=response.headers,
        sent_at=sent_at,
    )


def _target_of(response: http.PeerResponse, url: str) -> str:
    """Return the URL to which the response redirects; ``""`` if it is no redirect, or if the URL
    cannot be read.

    :param url: the URL of the request.
    """
    location = response.headers.get("Location", "")
    if response.status not in _REDIRECTS or not location:
        return ""
    try:
        target = urljoin(url, location)
        urlsplit(target)
    except ValueError:
        return ""
    return target


def _names_redirect_uri(response: http.PeerResponse) -> bool:
    try:
        return bool(_NAMES_REDIRECT_URI.search(response.body))
    except BadResponse:
        return False


def _without_query(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
