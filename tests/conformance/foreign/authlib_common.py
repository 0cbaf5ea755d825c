"""What both sites on Authlib have: their configuration, the models that the library asks for,
grants that follow its documentation, and a client of the peer.

A site runs as ``python authlib_b.py CONFIG.json``, in an environment with Authlib and Flask.
``CONFIG.json``::

    {"port": …, "expires_in": 3600, "ca": "/…/ca.pem",
     "clients": [{"id": …, "secret": …, "redirect_uri": …, "scope": …}, …],
     "peer": {"client_id": …, "client_secret": …, "token_endpoint": …, …},
     "put_right": […], "mistakes": […], "differences": […]}

``mistakes`` and ``differences`` are names of ``planted.py``. ``put_right`` names what a site does
beyond the library: ``parameters`` (refuses repeated ones, and what is no form of UTF-8),
``one_way`` (refuses two ways of authenticating, and two clients), ``one_answer`` (unknown clients
get the same error as wrong secrets), ``encoding`` (form-encodes the credentials that it sends),
``header`` (refuses a header that cannot be read), ``scope`` (a refresh for a part of the scope
narrows no refresh token).
"""

import base64
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # Loopback, without TLS.

import requests
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.auth import encode_client_secret_basic
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Flask, Response, request

with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
PEER = CONFIG["peer"]
URL = f"http://127.0.0.1:{CONFIG['port']}"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:reciprocal"
STANDARD_GRANTS = ("authorization_code", "refresh_token", "client_credentials")
#: The certificates that the client of the peer trusts.
TRUSTED = CONFIG["ca"]
BOTH_WAYS = ["client_secret_basic", "client_secret_post"]
ATTEMPTS, FIRST_PAUSE_SECONDS = 6, 0.5


def mistake(name: str) -> bool:
    return name in CONFIG.get("mistakes", ())


def differs(name: str) -> bool:
    return name in CONFIG.get("differences", ())


def put_right(name: str) -> bool:
    return name in CONFIG.get("put_right", ())


if mistake("certificate_unchecked"):
    TRUSTED = False


# Models


@dataclass
class Client(ClientMixin):
    client_id: str
    secret: str
    redirect_uri: str
    scope: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(each for each in (scope or "").split() if each in self.scope.split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret.encode(), self.secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in BOTH_WAYS

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    client_id: str
    user: str
    scope: str
    redirect_uri: str = ""
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    issued_at: float = field(default_factory=time.time)

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):
    """:ivar code: the authorization code from which the token descends."""

    client_id: str
    user: str | None
    access_token: str
    refresh_token: str | None
    scope: str
    expires_in: int
    code: str = ""
    granted: str = ""
    issued_at: float = field(default_factory=time.time)
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return self.expires_in

    def is_expired(self) -> bool:
        return time.time() > self.issued_at + self.expires_in

    def is_revoked(self) -> bool:
        return self.revoked

    def get_user(self) -> str | None:
        return self.user

    def get_client(self) -> Client:
        return CLIENTS[self.client_id]


CLIENTS = {
    each["id"]: Client(each["id"], each["secret"], each["redirect_uri"], each["scope"])
    for each in CONFIG["clients"]
}
CODES: dict[str, Code] = {}
TOKENS: list[Token] = []


def find_token(access_token: str) -> Token | None:
    if mistake("letter_case_ignored"):  # As in a database that compares so.
        return next((t for t in TOKENS if t.access_token.lower() == access_token.lower()), None)
    return next((t for t in TOKENS if t.access_token == access_token), None)


def save_token(token: dict[str, Any], request: Any) -> None:
    code = request.authorization_code or request.refresh_token
    TOKENS.append(
        Token(
            client_id=request.client.client_id,
            user=request.user,
            access_token=token["access_token"],
            refresh_token=token.get("refresh_token"),
            scope=token.get("scope", ""),
            expires_in=token["expires_in"],
            code=code.code if code else "",
            granted=getattr(code, "granted", "") or token.get("scope", ""),
        )
    )


# The authorization server


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = BOTH_WAYS

    def save_authorization_code(self, code: str, request: Any) -> None:
        CODES[code] = Code(
            code=code,
            client_id=request.client.client_id,
            user=request.user,
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            code_challenge=request.payload.data.get("code_challenge"),
            code_challenge_method=request.payload.data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = CODES.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        CODES.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = BOTH_WAYS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        for token in TOKENS:
            if token.refresh_token == refresh_token and not token.revoked:
                return replace(token, scope=token.granted) if put_right("scope") else token
        return None

    def authenticate_user(self, refresh_token: Token) -> str | None:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Token) -> None:
        for token in TOKENS:
            if token.refresh_token == refresh_token.refresh_token:
                token.revoked = True


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = BOTH_WAYS

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:
        for token in TOKENS:
            if token_string in (token.access_token, token.refresh_token):
                return token
        return None

    def revoke_token(self, token: Token, request: Any) -> None:
        token.revoked = True


class Tokens(BearerTokenValidator):
    def authenticate_token(self, token_string: str) -> Token | None:
        return find_token(token_string)


app = Flask("foreign")
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(STANDARD_GRANTS, CONFIG["expires_in"])
server = AuthorizationServer(app, query_client=CLIENTS.get, save_token=save_token)
server.register_grant(RefreshTokenGrant)
server.register_endpoint(Revocation)
require_oauth = ResourceProtector()
require_oauth.register_token_validator(Tokens())


@app.before_request
def keep_body() -> None:
    """Werkzeug keeps the body if it is read before the form."""
    request.get_data()


def is_clean_form() -> bool:
    """Whether the body is a form of UTF-8 in which nothing is repeated."""
    try:
        pairs = parse_qsl(request.get_data().decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        return False
    is_form = request.mimetype == "application/x-www-form-urlencoded"
    return is_form and len(dict(pairs)) == len(pairs)


def is_header_readable() -> bool:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        base64.b64decode(credentials).decode()
    except ValueError:
        return scheme.lower() != "basic"
    return True


@app.route("/token", methods=["POST"])
def token() -> Response:
    refused = put_right("parameters") and not is_clean_form()
    if put_right("header") and not is_header_readable():
        return server.handle_response(401, {"error": "invalid_client"}, [])
    if put_right("one_way") and request.authorization:
        own = request.authorization.parameters.get("username")
        refused |= "client_secret" in request.form
        refused |= unquote_plus(own or "") != request.form.get("client_id", unquote_plus(own or ""))
    if refused:
        return server.handle_response(400, {"error": "invalid_request"}, [])
    response = server.create_token_response()
    if put_right("one_answer") and response.status_code == 401:
        response.set_data(json.dumps({"error": "invalid_client"}))
    if mistake("caches_may_keep_it"):
        del response.headers["Cache-Control"]
    if mistake("any_origin"):
        response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@app.route("/revoke", methods=["POST"])
def revoke() -> Response:
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


# The client of the peer


def form_encoded(client: Any, method: str, uri: str, headers: Any, body: Any) -> Any:
    """RFC 6749, section 2.3.1: the credentials are form-encoded before they are joined."""

    class Encoded:
        client_id = quote_plus(client.client_id)
        client_secret = quote_plus(client.client_secret)

    return encode_client_secret_basic(Encoded, method, uri, headers, body)


def set_up(session: OAuth2Session) -> None:
    """Register what a site does beyond the library."""
    if put_right("encoding"):
        session.register_client_auth_method(("client_secret_basic", form_encoded))
    # The library hides the status of an error from its caller.
    session.register_compliance_hook("access_token_response", raise_for_passing_trouble)


class Peer(OAuth2Session):
    """A session of our client. It follows no redirect: the request holds secrets."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            PEER["client_id"],
            PEER["client_secret"],
            token_endpoint=PEER["token_endpoint"],
            trust_env=False,
            verify=TRUSTED,
            **more,
        )
        set_up(self)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if not mistake("redirects_followed"):
            kwargs["allow_redirects"] = False
        return super().request(*args, **kwargs)


def is_passing(response: requests.Response) -> bool:
    """Whether the same request may succeed later."""
    return response.status_code == 429 or response.status_code >= 500


def raise_for_passing_trouble(response: requests.Response) -> requests.Response:
    if is_passing(response):
        response.raise_for_status()
    return response


def pause_after(attempt: int, response: requests.Response | None) -> float:
    """Return the seconds until the next attempt."""
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    pause = 0.1 if mistake("refusal_tried_again") else FIRST_PAUSE_SECONDS * 2**attempt
    if mistake("retry_after_ignored"):
        return pause
    if asked.isdigit():
        return max(pause, int(asked))
    if asked and not mistake("dates_ignored"):
        return max(pause, parsedate_to_datetime(asked).timestamp() - time.time())
    return pause


def in_background(function: Callable[..., Any], *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def run() -> None:
    app.run("127.0.0.1", CONFIG["port"], threaded=True)
