"""The authorization server that both small parties have: clients, codes, tokens and scopes."""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from small_http import Refused, Request, Response, error_response, json_response, redirect

RECIPROCAL = "urn:ietf:params:oauth:grant-type:reciprocal"
NEVER = float("inf")


@dataclass(frozen=True)
class Client:
    """:ivar scopes: what it may have at most.
    :ivar is_peer: the other party, with which codes are handed over."""

    id: str
    secret: str
    redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    is_peer: bool = True


@dataclass
class Token:
    """An access token or a refresh token.

    :ivar user: whose it is, or an empty text: the client got it for itself.
    """

    value: str
    client_id: str
    user: str
    scopes: frozenset[str]
    expires: float
    is_refresh: bool = False
    family: list["Token"] = field(default_factory=list, repr=False)


@dataclass
class Code:
    """:ivar redirect_uri: that of the authorization request, or an empty text for a code that is
    handed over to a peer (draft-ietf-oauth-reciprocal-04, section 2.2.2).
    :ivar challenge: that of PKCE (RFC 7636), or an empty text.
    :ivar family: the tokens that it gave, once it is redeemed."""

    value: str
    client_id: str
    user: str
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str
    expires: float
    reciprocal: str = ""
    family: list[Token] | None = None


def scopes_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def text_of(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes))


def challenge_of(verifier: str) -> str:
    """Return the challenge of PKCE for a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class AuthorizationServer:
    """Issues codes and tokens, and keeps them in memory.

    :ivar grants: further grant types of the token endpoint: they get the client and the form.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self.issuer = str(config["issuer"])
        self.clients = {client["id"]: _client(client) for client in config["clients"]}
        self.code_seconds = float(config.get("code_seconds", 60))
        self.token_seconds = float(config.get("token_seconds", 3600))
        self.lock = threading.RLock()
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, Token] = {}
        #: What users allow a client now.
        self.allowed: dict[tuple[str, str], frozenset[str]] = {}
        self.grants: dict[str, Callable[[Client, dict[str, str]], Response]] = {
            "authorization_code": self.redeem,
            "refresh_token": self.refresh,
            "client_credentials": self.client_credentials,
        }

    # --- The token endpoint ----------------------------------------------------------------

    def token_endpoint(self, request: Request) -> Response:
        form = request.form()
        client = self.authenticate(request, form)
        if "grant_type" not in form:
            raise Refused("invalid_request")
        if form["grant_type"] not in self.grants:
            raise Refused("unsupported_grant_type")
        return self.grants[form["grant_type"]](client, form)

    def authenticate(self, request: Request, form: Mapping[str, str]) -> Client:
        """Return the client that sent the request (RFC 6749, section 2.3).

        :raises Refused: it does not authenticate, or in two ways.
        """
        basic = request.basic()
        if "Authorization" in request.headers and "client_secret" in form:
            raise Refused("invalid_request")
        if basic and form.get("client_id", basic[0]) != basic[0]:
            raise Refused("invalid_request")
        client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        client = self.clients.get(client_id)
        known_secret = client.secret if client else secrets.token_urlsafe()
        is_right = hmac.compare_digest(secret.encode(), known_secret.encode())
        if client is None or not is_right:
            challenge = {"WWW-Authenticate": 'Basic realm="token"'}
            raise Refused("invalid_client", 401, **challenge)
        return client

    def redeem(self, client: Client, form: Mapping[str, str]) -> Response:
        """Redeem a code (RFC 6749, section 4.1.3)."""
        if "code" not in form:
            raise Refused("invalid_request")
        with self.lock:
            code = self.codes.get(form["code"])
            if code is None or code.client_id != client.id:
                raise Refused("invalid_grant")
            if code.family is not None:
                self.kill(code.family)
                raise Refused("invalid_grant")
            if code.expires < time.time() or code.redirect_uri != form.get("redirect_uri", ""):
                raise Refused("invalid_grant")
            verifier = form.get("code_verifier", "")
            if (challenge_of(verifier) if verifier else "") != code.challenge:
                raise Refused("invalid_grant")
            code.family = []
            return self.issue_tokens(client, code.user, code.scopes, code.family, code.reciprocal)

    def refresh(self, client: Client, form: Mapping[str, str]) -> Response:
        """Give a new access token (RFC 6749, section 6). The refresh token stays the same."""
        with self.lock:
            token = self.tokens.get(form.get("refresh_token", ""))
            if token is None or not token.is_refresh or token.client_id != client.id:
                raise Refused("invalid_grant")
            left = self.scopes_now(token)
            if not left:
                raise Refused("invalid_grant")
            asked = scopes_of(form["scope"]) if "scope" in form else left
            if not asked <= left:
                raise Refused("invalid_scope")
            return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)

    def client_credentials(self, client: Client, form: Mapping[str, str]) -> Response:
        """Give a token that belongs to no user (RFC 6749, section 4.4)."""
        token = self._new_token(client, "", client.scopes, [], self.token_seconds)
        return json_response(self._members(token))

    def issue_tokens(
        self,
        client: Client,
        user: str,
        scopes: frozenset[str],
        family: list[Token],
        reciprocal: str = "",
        keep: str = "",
    ) -> Response:
        """Return a token response.

        :param keep: the refresh token, if there is one already.
        """
        token = self._new_token(client, user, scopes, family, self.token_seconds)
        members = self._members(token)
        if not keep:
            refresh = self._new_token(client, user, scopes, family, NEVER, is_refresh=True)
            members["refresh_token"] = refresh.value
        if reciprocal:
            members["reciprocal"] = reciprocal
        return json_response(members)

    def _new_token(
        self,
        client: Client,
        user: str,
        scopes: frozenset[str],
        family: list[Token],
        seconds: float,
        *,
        is_refresh: bool = False,
    ) -> Token:
        value = secrets.token_urlsafe(32)
        token = Token(value, client.id, user, scopes, time.time() + seconds, is_refresh, family)
        family.append(token)
        self.tokens[value] = token
        return token

    def _members(self, token: Token) -> dict[str, object]:
        return {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": int(self.token_seconds),
            "scope": text_of(self.scopes_now(token)),
        }

    # --- Codes and tokens --------------------------------------------------------------------

    def new_code(
        self,
        client: Client,
        user: str,
        scopes: frozenset[str],
        redirect_uri: str = "",
        challenge: str = "",
        reciprocal: str = "",
    ) -> str:
        """Return a code."""
        value = secrets.token_urlsafe(32)
        expires = time.time() + self.code_seconds
        with self.lock:
            self.codes[value] = Code(
                value, client.id, user, scopes, redirect_uri, challenge, expires, reciprocal
            )
        return value

    def allow(self, client_id: str, user: str, scopes: frozenset[str]) -> None:
        """Set what the user allows the client. It also narrows the tokens that are out already."""
        self.allowed[client_id, user] = scopes

    def access_token(self, value: str) -> Token | None:
        """Return the access token, if it is one and works."""
        token = self.tokens.get(value)
        if token is None or token.is_refresh or token.expires < time.time():
            return None
        return token

    def scopes_now(self, token: Token) -> frozenset[str]:
        """Return the scopes of a token that its user still allows."""
        if not token.user:
            return token.scopes
        return token.scopes & self.allowed.get((token.client_id, token.user), frozenset())

    def kill(self, family: list[Token]) -> None:
        """End these tokens."""
        with self.lock:
            for token in family:
                self.tokens.pop(token.value, None)

    def kill_codes(self, client_id: str, user: str) -> None:
        """End the codes that wait to be redeemed."""
        with self.lock:
            for code in list(self.codes.values()):
                if (code.client_id, code.user) == (client_id, user) and code.family is None:
                    del self.codes[code.value]

    def end(self, client_id: str, user: str) -> None:
        """End all that a client has of a user."""
        with self.lock:
            self.allowed.pop((client_id, user), None)
            self.kill_codes(client_id, user)
            tokens = list(self.tokens.values())
            self.kill([each for each in tokens if (each.client_id, each.user) == (client_id, user)])

    # --- The other endpoints -------------------------------------------------------------------

    def authorization_request(self, request: Request) -> tuple[Client, dict[str, str]]:
        """Return client and parameters of an authorization request (RFC 6749, section 4.1.1).

        :raises Refused: it must not be answered by a redirect, or is wrong.
        """
        asked = request.arguments()
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client.redirect_uris:
            raise Refused("invalid_request")
        if asked.get("response_type") != "code":
            raise Refused("unsupported_response_type")
        if "code_challenge" in asked and asked.get("code_challenge_method") != "S256":
            raise Refused("invalid_request")
        return client, asked

    def authorize(
        self, client: Client, asked: Mapping[str, str], user: str, reciprocal: str = ""
    ) -> Response:
        """Send the browser back with a code (RFC 6749, section 4.1.2; RFC 9207, section 2)."""
        scopes = scopes_of(asked.get("scope", "")) & client.scopes or client.scopes
        uri, challenge = asked["redirect_uri"], asked.get("code_challenge", "")
        self.allow(client.id, user, scopes | self.allowed.get((client.id, user), frozenset()))
        code = self.new_code(client, user, scopes, uri, challenge, reciprocal)
        state = asked.get("state", "")
        return redirect(uri, code=code, state=state, iss=self.issuer, reciprocal=reciprocal)

    def revocation_endpoint(self, request: Request) -> Response:
        """End a token, and all that came from the same code (RFC 7009, section 2)."""
        form = request.form()
        client = self.authenticate(request, form)
        token = self.tokens.get(form.get("token", ""))
        if token is not None and token.client_id == client.id:
            self.kill(token.family)
        return json_response({})

    def api(self, request: Request) -> Response:
        """Answer ``/api/SCOPE`` to a token that has the scope (RFC 6750, section 3.1)."""
        needed = request.path.rpartition("/")[2]
        token = self.access_token(request.bearer())
        if token is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return error_response(Refused("invalid_token", 401, **challenge))
        if needed not in self.scopes_now(token):
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}
            return error_response(Refused("insufficient_scope", 403, **challenge))
        return json_response({"user": token.user, "scope": text_of(self.scopes_now(token))})

    def metadata(self, grant_types: tuple[str, ...]) -> dict[str, object]:
        """Return the metadata (RFC 8414, section 2)."""
        ways = ["client_secret_basic", "client_secret_post"]
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": list(grant_types),
            "token_endpoint_auth_methods_supported": ways,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }


def _client(values: Mapping[str, object]) -> Client:
    return Client(
        id=str(values["id"]),
        secret=str(values["secret"]),
        redirect_uris=tuple(values.get("redirect_uris", ())),
        scopes=scopes_of(str(values.get("scope", ""))),
        is_peer=bool(values.get("is_peer", True)),
    )
