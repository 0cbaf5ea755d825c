"""A site on Authlib: its authorization server (Flask integration) and its client (requests).

Run as ``python authlib_site.py CONFIG.json``, in an environment with Authlib and Flask.
"""

import json
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # Loopback, without TLS.

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_oauth2 import (
    AuthorizationServer,
    ResourceProtector,
    current_token,
)
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    ClientMixin,
    InvalidGrantError,
    InvalidRequestError,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, Response, jsonify, redirect, request
from joserfc.jwk import RSAKey

with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
#: The registration of the other site here, and ours at the other site.
THERE, HERE = CONFIG["client"], CONFIG["at_the_other"]
URL = CONFIG["url"]
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:reciprocal"
SUBJECT = "alice-there"
SCOPES = {"openid", "playback", "history"}

KEY = RSAKey.generate_key(2048, parameters={"kid": "1", "alg": "RS256", "use": "sig"})


class Client(ClientMixin):
    client_id = THERE["id"]

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return THERE["redirect_uri"]

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(each for each in (scope or "").split() if each in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == THERE["redirect_uri"]

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret.encode(), THERE["secret"].encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == THERE.get("auth_method", "client_secret_basic")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token", GRANT_TYPE)


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Token(TokenMixin):
    client_id: str
    access_token: str
    refresh_token: str | None
    scope: str
    expires_in: int
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

    def get_user(self) -> str:
        return SUBJECT

    def get_client(self) -> Client:
        return CLIENT


CLIENT = Client()
CODES: dict[str, Code] = {}
TOKENS: list[Token] = []
JOURNAL: list[dict[str, Any]] = []
#: What we hold at the other site, and the visits of browsers there.
HELD: dict[str, Any] = {}
VISITS: dict[str, str] = {}


def note(what: str, **more: Any) -> None:
    JOURNAL.append({"what": what, **more})


# The authorization server


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        CODES[code] = Code(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope,
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return CODES.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        CODES.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> str:
        return SUBJECT


class OpenID(OpenIDCode):
    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return False

    def get_jwt_config(self, grant: Any, client: Any = None) -> dict[str, Any]:
        return {"key": KEY, "alg": "RS256", "iss": URL, "exp": 3600}

    def generate_user_info(self, user: str, scope: str) -> UserInfo:
        return UserInfo(sub=user, name="Alice There")


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        for token in TOKENS:
            if token.refresh_token == refresh_token and not token.revoked:
                return token
        return None

    def authenticate_user(self, refresh_token: Token) -> str:
        return SUBJECT

    def revoke_old_credential(self, refresh_token: Token) -> None:
        refresh_token.revoked = True
        note("refreshed")


class ReciprocalGrant(grants.BaseGrant, grants.TokenEndpointMixin):
    """Step (E) as party B: the draft's rules as an Authlib extension grant."""

    GRANT_TYPE = GRANT_TYPE
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client()
        form = self.request.form
        if not all(form.get(name) for name in ("code", "client_id", "access_token")):
            raise InvalidRequestError()
        held = next((t for t in TOKENS if t.access_token == form["access_token"]), None)
        usable = held and held.check_client(client) and not held.revoked and not held.is_expired()
        if not usable:
            raise InvalidGrantError()
        self.request.client = client

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        redeem(self.request.form["code"])
        return 200, {}, self.TOKEN_RESPONSE_HEADER


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:
        for token in TOKENS:
            if token_string in (token.access_token, token.refresh_token):
                return token
        return None

    def revoke_token(self, token: Token, request: Any) -> None:
        token.revoked = True
        note("revoked")


class Tokens(BearerTokenValidator):
    def authenticate_token(self, token_string: str) -> Token | None:
        return next((token for token in TOKENS if token.access_token == token_string), None)


def save_token(token: dict[str, Any], request: Any) -> None:
    TOKENS.append(
        Token(
            client_id=request.client.client_id,
            access_token=token["access_token"],
            refresh_token=token.get("refresh_token"),
            scope=token.get("scope", ""),
            expires_in=token["expires_in"],
        )
    )


app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"authorization_code": CONFIG.get("expires_in", 3600)}
server = AuthorizationServer(
    app,
    query_client=lambda client_id: CLIENT if client_id == CLIENT.client_id else None,
    save_token=save_token,
)
server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True), OpenID()])
server.register_grant(RefreshTokenGrant)
if CONFIG.get("reciprocal", True):
    server.register_grant(ReciprocalGrant)
server.register_endpoint(Revocation)
require_oauth = ResourceProtector()
require_oauth.register_token_validator(Tokens())


@app.route("/authorize")
def authorize() -> Response:
    grant = server.get_consent_grant(end_user=SUBJECT)
    return server.create_authorization_response(grant=grant, grant_user=SUBJECT)


@app.route("/token", methods=["POST"])
def token() -> Response:
    return server.create_token_response()


@app.route("/revoke", methods=["POST"])
def revoke() -> Response:
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.route("/whoami")
@require_oauth()
def whoami() -> Response:
    return jsonify(sub=SUBJECT, scope=current_token.scope)


# The client of the other site


def session(**more: Any) -> OAuth2Session:
    return OAuth2Session(
        HERE["id"],
        HERE["secret"],
        redirect_uri=HERE["redirect_uri"],
        code_challenge_method="S256",
        **more,
    )


def redeem(code: str) -> None:
    """Step (F): the library sends the redirect URI as well, as for every code."""
    try:
        HELD["token"] = session().fetch_token(
            HERE["token_endpoint"], grant_type="authorization_code", code=code
        )
    except OAuthError as error:
        note("redemption refused", error=error.error)
    else:
        note("redeemed", scope=HELD["token"].get("scope", ""))


@app.route("/start")
def start() -> Response:
    verifier = secrets.token_urlsafe(48)
    url, state = session(scope=HERE["scope"]).create_authorization_url(
        HERE["authorization_endpoint"], code_verifier=verifier
    )
    VISITS[state] = verifier
    return redirect(url)


@app.route("/callback")
def callback() -> Response:
    state = request.args["state"]
    client = session(state=state)
    HELD["token"] = client.fetch_token(
        HERE["token_endpoint"], authorization_response=request.url, code_verifier=VISITS.pop(state)
    )
    note("connected", reciprocal=HELD["token"].get("reciprocal", ""))
    return jsonify(hand_over())


def hand_over() -> dict[str, Any]:
    """Step (E) as party A: make a code for the other site and hand it over."""
    code = secrets.token_urlsafe(32)
    CODES[code] = Code(
        code=code, client_id=CLIENT.client_id, redirect_uri="", scope=HELD["token"]["reciprocal"]
    )
    access_token = HELD["token"]["access_token"]
    response = session().post(
        HERE["token_endpoint"],
        withhold_token=True,
        auth=(HERE["id"], HERE["secret"]),
        data={
            "grant_type": GRANT_TYPE,
            "code": code,
            "client_id": HERE["id"],
            "access_token": access_token,
        },
    )
    note("handed over", status=response.status_code)
    return {"status": response.status_code, "body": response.json()}


@app.route("/call", methods=["POST"])
def call() -> Response:
    client = session(token=HELD["token"], token_endpoint=HERE["token_endpoint"])
    if request.args.get("refresh"):
        client.refresh_token(HERE["token_endpoint"])
        HELD["token"] = client.token
    response = client.get(HERE["resource"])
    body = response.json() if response.ok else response.text[:200]
    return jsonify(status=response.status_code, body=body)


@app.route("/journal")
def journal() -> Response:
    return jsonify(JOURNAL)


app.run("127.0.0.1", CONFIG["port"], threaded=True)
