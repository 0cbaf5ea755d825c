"""A fake peer for tests. It implements draft-ietf-oauth-reciprocal-04.

As an HTTP server on the loopback interface, the fake peer issues tokens, accepts hand-overs
(requests in which this site sends a reciprocal code) and protects resources. As a client, the fake
peer calls the token endpoint of this site with Django's test client.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from django.test import Client
from django.urls import reverse

from ..core.protocol import GRANT_TYPE, INVALID_CLIENT, INVALID_GRANT, UNSUPPORTED_GRANT_TYPE
from .fake_server import FakeResponse, FakeServer, ReceivedRequest, Responder

TOKEN_PATH, REVOCATION_PATH, AUTHORIZATION_PATH = "/token/", "/revoke/", "/authorize/"


@dataclass(frozen=True)
class ReceivedHandover:
    """A hand-over (a request with a reciprocal code) that this site sent to the fake peer."""

    code: str
    access_token: str


class FakePeer(FakeServer):
    """Plays the peer: the other site, with which this site links accounts.

    :param scope: the scope of the tokens that the fake peer issues.
    :param reciprocal: the scope that the fake peer requests at this site, with the member
        ``reciprocal`` of its token responses (draft-ietf-oauth-reciprocal-04, section 2.1);
        ``None`` if its responses do not contain this member.
    :ivar client_id: the client ID of this site at the fake peer. ``client_secret`` belongs to it.
    :ivar own_client_id: the client ID of the fake peer at this site. ``own_client_secret`` belongs
        to it. :func:`.create_peer` sets both.
    :ivar handovers: the hand-overs that this site sent to the fake peer, in order.
    :ivar revoked: the tokens that this site revoked at the fake peer, in order.
    """

    def __init__(self, scope: str = "play", reciprocal: str | None = None) -> None:
        super().__init__()
        self.scope, self.reciprocal = scope, reciprocal
        self.client_id, self.client_secret = "site-at-fake-peer", secrets.token_urlsafe()
        self.own_client_id, self.own_client_secret = "", ""
        self.handovers: list[ReceivedHandover] = []
        self.revoked: list[str] = []
        self._codes: set[str] = set()
        self._access_tokens: set[str] = set()
        self._refresh_tokens: set[str] = set()
        self.responses = {TOKEN_PATH: self._token, REVOCATION_PATH: self._revoke}

    # Methods for the fake peer as a server, which this site calls.

    def new_code(self) -> str:
        """Return a new code. This site can redeem the code once (RFC 6749, section 4.1.2), as an
        authorization code or as a reciprocal code."""
        code = f"code-{secrets.token_urlsafe()}"
        self._codes.add(code)
        return code

    def issue_tokens(self) -> dict[str, Any]:
        """Issue new tokens. Return the members of the token response (RFC 6749, section 5.1)."""
        access, refresh = f"at-{secrets.token_urlsafe()}", f"rt-{secrets.token_urlsafe()}"
        self._access_tokens.add(access)
        self._refresh_tokens.add(refresh)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh,
            "scope": self.scope,
        }

    def expire_access_tokens(self) -> None:
        """Make all access tokens of the fake peer invalid. Its refresh tokens stay valid."""
        self._access_tokens.clear()

    def revoke_all(self) -> None:
        """Make all tokens of the fake peer invalid, as if the user had ended the connection at the
        peer."""
        self._access_tokens.clear()
        self._refresh_tokens.clear()

    def protected(self, responder: Responder) -> Callable[[ReceivedRequest], FakeResponse]:
        """Return a function that protects a path of the fake peer, if you put it in ``responses``
        for this path. The function responds like ``responder`` if the request has a valid access
        token. Otherwise it responds with status 401 (RFC 6750, section 3).
        """

        def respond(request: ReceivedRequest) -> FakeResponse:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or token not in self._access_tokens:
                return FakeResponse(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return responder(request) if callable(responder) else responder

        return respond

    def authorize(self, url: str) -> str:
        """Play a user who gives this site access to their account at the fake peer.

        :param url: the URL of the authorization request, to which this site redirected the user.
        :returns: the URL at this site to which the fake peer redirects the user (RFC 6749, section
            4.1.2; RFC 9207, section 2).
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        response = {"code": self.new_code(), "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(response)}"

    @property
    def issuer(self) -> str:
        """The issuer identifier of the fake peer."""
        return f"{self.url}/o"

    # Methods for the fake peer as a client, which calls this site.

    def hand_over(self, access_token: str, code: str | None = None) -> Any:
        """Send a reciprocal code to this site; the fake peer is party A
        (draft-ietf-oauth-reciprocal-04, section 2.2.2).

        :param access_token: an access token that this site issued. It tells this site for which
            user the code is.
        :param code: the reciprocal code; by default, a new one.
        :returns: the response of this site.
        """
        return self.request_token(
            grant_type=GRANT_TYPE,
            code=self.new_code() if code is None else code,
            client_id=self.own_client_id,
            access_token=access_token,
        )

    def redeem(self, code: str) -> Any:
        """Redeem, at this site, a reciprocal code that this site sent; the fake peer is party B
        (RFC 6749, section 4.1.3).

        :returns: the response of this site.
        """
        return self.request_token(grant_type="authorization_code", code=code)

    def request_token(self, **parameters: str) -> Any:
        """Send ``parameters`` to the token endpoint of this site, with the fake peer's client
        credentials as HTTP Basic (RFC 6749, section 2.3.1). Return the response of this site."""
        pair = f"{self.own_client_id}:{self.own_client_secret}".encode()
        return Client().post(
            reverse("oauth2_provider:token"),
            urlencode(parameters),
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": "Basic " + base64.b64encode(pair).decode()},
            secure=True,
        )

    # The functions that respond to requests at the endpoints of the fake peer (RFC 6749, sections
    # 5.1, 5.2 and 6; RFC 7009, section 2.2).

    def _token(self, request: ReceivedRequest) -> FakeResponse:
        form = request.form
        if not self._is_authenticated(request):
            return FakeResponse.json(401, error=INVALID_CLIENT)
        match form:
            case {"grant_type": "authorization_code", "code": code} if code in self._codes:
                self._codes.remove(code)
                asked = {} if self.reciprocal is None else {"reciprocal": self.reciprocal}
                return FakeResponse.json(200, **self.issue_tokens(), **asked)
            case {"grant_type": "refresh_token", "refresh_token": token} if (
                token in self._refresh_tokens
            ):
                return FakeResponse.json(200, **{**self.issue_tokens(), "refresh_token": token})
            case {"grant_type": "authorization_code" | "refresh_token"}:
                return FakeResponse.json(400, error=INVALID_GRANT)
            case {"grant_type": grant, "code": code, "access_token": token} if grant == GRANT_TYPE:
                self.handovers.append(ReceivedHandover(code, token))
                return FakeResponse()
        return FakeResponse.json(400, error=UNSUPPORTED_GRANT_TYPE)

    def _revoke(self, request: ReceivedRequest) -> FakeResponse:
        if not self._is_authenticated(request):
            return FakeResponse.json(401, error=INVALID_CLIENT)
        token = request.form.get("token", "")
        self.revoked.append(token)
        self._access_tokens.discard(token)
        self._refresh_tokens.discard(token)
        return FakeResponse(200, b"")

    def _is_authenticated(self, request: ReceivedRequest) -> bool:
        """Return whether the request contains the client credentials of this site, as HTTP Basic or
        as form fields (RFC 6749, section 2.3.1)."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client_id, _, secret = base64.b64decode(value).decode().partition(":")
            given = unquote(client_id), unquote(secret)
        else:
            form = request.form
            given = form.get("client_id", ""), form.get("client_secret", "")
        return given == (self.client_id, self.client_secret)
