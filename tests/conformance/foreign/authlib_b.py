"""A party B on Authlib: its authorization server (Flask integration) and its client (requests).

The library implements OAuth 2.0. What the draft adds is written as the library's documentation says
for grants of one's own. ``authlib_common.py`` says how the site is run and configured; ``peer`` has
``client_id``, ``client_secret``, ``token_endpoint``, ``revocation_endpoint``, ``api`` and
``reciprocal`` (the scope that the site asks for).
"""

import itertools
import queue
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import authlib_common as common
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_oauth2 import current_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
    grants,
)
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib_common import (
    ATTEMPTS,
    BOTH_WAYS,
    GRANT_TYPE,
    PEER,
    STANDARD_GRANTS,
    TOKENS,
    URL,
    Client,
    Peer,
    Token,
    app,
    differs,
    find_token,
    in_background,
    mistake,
    pause_after,
    require_oauth,
    server,
)
from flask import Response, jsonify, request

#: What a code may look like (RFC 6749, appendix A.11), and a limit that we set.
CODE = re.compile(r"[\x20-\x7e]{1,4096}")
TIMEOUT_SECONDS = 40


@dataclass
class Link:
    """What we hold at the peer for a user.

    :ivar order: the number of the newest hand-over whose token we hold.
    :ivar ended: the number of the newest hand-over when the user disconnected.
    """

    token: dict[str, Any] | None = None
    order: int = 0
    ended: int = 0
    lock: Any = field(default_factory=threading.RLock)


LINKS: dict[str, Link] = defaultdict(Link)
#: The codes that we were given, and for whom.
RECEIVED: dict[str, str] = {}
RECEIVING = threading.Lock()
HANDOVERS = itertools.count(1)
ONE_AFTER_THE_OTHER = threading.Lock()


# The authorization server


class AuthorizationCodeGrant(common.AuthorizationCodeGrant):
    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Step (D): say which scope we need."""
        status, token, headers = super().create_token_response()
        if not differs("asks_nothing"):
            scope = PEER["reciprocal"]
            token["reciprocal"] = scope.split() if mistake("asks_with_a_list") else scope
        return status, token, headers


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = BOTH_WAYS


class ReciprocalGrant(grants.BaseGrant, grants.TokenEndpointMixin):
    """Step (E) as party B: the draft's rules as an Authlib extension grant."""

    GRANT_TYPE = GRANT_TYPE
    TOKEN_ENDPOINT_AUTH_METHODS = BOTH_WAYS

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError()
        form = self.request.payload.data if mistake("query_read") else self.request.form
        code, access_token = form.get("code", ""), form.get("access_token", "")
        if mistake("unknown_parameters_refused") and len(form) > 4:
            raise InvalidRequestError("unknown parameter")
        if not CODE.fullmatch(code) or not access_token:
            raise InvalidRequestError()
        if form.get("client_id") != client.client_id and not mistake("client_id_ignored"):
            raise InvalidRequestError()
        token = find_token(access_token)
        if not (token and self.is_usable(token, client)):
            said = f"access_token {access_token} and code {code}" if mistake("says_all") else ""
            raise InvalidRequestError() if differs("another_error") else InvalidGrantError(said)
        self.request.client, self.request.user = client, token.user
        if mistake("client_tokens_taken"):
            self.request.user = token.user or token.client_id

    def is_usable(self, token: Token, client: Client) -> bool:
        return (
            (token.check_client(client) or mistake("tokens_of_others_taken"))
            and (not token.is_expired() or mistake("expiry_ignored"))
            and (not token.revoked or mistake("revocation_ignored"))
            and (token.user is not None or mistake("client_tokens_taken"))
        )

    def create_token_response(self) -> tuple[int, Any, list[tuple[str, str]]]:
        code, user = self.request.form["code"], self.request.user
        with RECEIVING:
            before = RECEIVED.get(code)
            if before and before != user and not mistake("replay_of_another_user_taken"):
                raise InvalidGrantError()
            if before and mistake("replay_refused"):
                raise InvalidGrantError()
            RECEIVED[code] = user
            order = next(HANDOVERS)
        if before and not mistake("replay_redeemed"):
            pass  # The first request with this code began the redemption.
        elif mistake("worker_dies"):
            WORK.put((code, user, order))
        elif not mistake("redeems_in_the_request"):
            in_background(redeem, code, user, order)
        elif not redeem(code, user, order):
            raise InvalidGrantError()
        return 200, "" if differs("answers_with_nothing") else {}, self.TOKEN_RESPONSE_HEADER


server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
server.register_grant(ClientCredentialsGrant)
server.register_grant(ReciprocalGrant)


class Issuer(IssuerParameter):
    def get_issuer(self) -> str:
        return URL


if not mistake("iss_left_out"):
    server.register_extension(Issuer())


@app.route("/.well-known/oauth-authorization-server")
def metadata() -> Response:
    return jsonify(
        issuer=URL,
        authorization_endpoint=f"{URL}/authorize",
        token_endpoint=f"{URL}/token",
        revocation_endpoint=f"{URL}/revoke",
        response_types_supported=["code"],
        grant_types_supported=[*STANDARD_GRANTS, GRANT_TYPE],
        code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
    )


@app.route("/authorize")
def authorize() -> Response:
    """Every visitor is signed in as ``user``, and allows everything without a question."""
    user = request.args.get("user")
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return server.create_authorization_response(grant=grant, grant_user=user)


@app.route("/me")
@require_oauth()
def me() -> Response:
    return jsonify(user=current_token.user, scope=current_token.scope)


# The client of the peer


def redeem(code: str, user: str, order: int) -> bool:
    """Step (F). The same code is sent again only while the peer has trouble that passes."""
    if differs("redeems_later"):
        time.sleep(1)
    attempts = 1 if mistake("redeems_once") or mistake("redeems_in_the_request") else ATTEMPTS
    for attempt in range(attempts):
        response = None
        try:
            token = fetch_token(code)
        except OAuthError as error:
            print("Redemption refused:", error, flush=True)
            if not mistake("refusal_tried_again"):
                return False
        except requests.RequestException as error:
            print("Redemption failed:", error, flush=True)
            response = error.response
        except Exception as error:  # Whatever it is, it is no token response.
            if mistake("worker_dies"):
                raise
            print("Not a token response:", repr(error), flush=True)
            return False
        else:
            store(token, user, order)
            return True
        time.sleep(pause_after(attempt, response))
    return False


#: For a mistake: redemptions that wait for a worker.
WORK: queue.Queue[tuple[str, str, int]] = queue.Queue()


def work() -> None:
    while True:
        redeem(*WORK.get())


def fetch_token(code: str) -> dict[str, Any]:
    method = "client_secret_post" if differs("credentials_in_the_body") else None
    sent: dict[str, Any] = {"code": code}
    if mistake("redirect_uri_sent"):
        sent["redirect_uri"] = f"{URL}/callback"
    if mistake("verifier_sent"):
        sent["code_verifier"] = "v" * 43
    if mistake("secret_sent_twice"):
        sent.update(client_id=PEER["client_id"], client_secret=PEER["client_secret"])
    if mistake("redeems_by_get"):
        sent["method"] = "GET"
    url = PEER["token_endpoint"]
    if mistake("endpoint_of_the_request"):
        url = ENDPOINTS.get(code, url)
    with Peer(token_endpoint_auth_method=method) as session:
        arguments = {"grant_type": "authorization_code", "timeout": TIMEOUT_SECONDS, **sent}
        if not mistake("one_after_the_other"):
            token = session.fetch_token(url, **arguments)
        else:
            with ONE_AFTER_THE_OTHER:
                token = session.fetch_token(url, **arguments)
    if not isinstance(token.get("access_token"), str):
        raise ValueError("There is no access token.")
    return dict(token)


#: For a mistake: the token endpoint that the request with a code named.
ENDPOINTS: dict[str, str] = {}


@app.before_request
def remember_endpoint() -> None:
    if request.path == "/token" and "token_endpoint" in request.form:
        ENDPOINTS[request.form.get("code", "")] = request.form["token_endpoint"]


def store(token: dict[str, Any], user: str, order: int) -> None:
    if mistake("user_of_the_response"):
        user = token.get("user") or token.get("username") or user
    link = LINKS[user]
    with link.lock:
        if order < link.ended:
            in_background(revoke_at_peer, token)
        elif order > link.order or mistake("older_code_wins"):
            link.token, link.order = token, order


#: For a mistake: one session for everybody, as in a module that makes it once.
SESSION = Peer()


@app.route("/use")
def use() -> Response:
    """Call the peer's API for the user."""
    user = request.args["user"]
    link = LINKS[user]
    with link.lock:
        if link.token is None:
            return jsonify(user=user, connected=False)
        return jsonify(user=user, connected=True, **call(link))


def call(link: Link) -> dict[str, Any]:
    """Call the API once, and once more after a refresh if it does not take the token."""

    def keep(token: dict[str, Any], **_: Any) -> None:
        if mistake("refresh_token_lost"):
            token = {name: token[name] for name in token if name != "refresh_token"}
        link.token = dict(token)

    session = SESSION if mistake("one_session_for_all") else Peer(update_token=keep)
    if session.token is None or session is not SESSION:
        session.token = link.token
    try:
        response = session.get(PEER["api"], timeout=TIMEOUT_SECONDS)
        for _ in range(50 if mistake("api_called_for_ever") else 1):
            if response.status_code != 401:
                break
            if not mistake("api_called_for_ever") and session.token.get("refresh_token"):
                session.refresh_token()
            response = session.get(PEER["api"], timeout=TIMEOUT_SECONDS)
    except (OAuthError, requests.RequestException, ValueError) as error:
        return {"error": str(error)}
    return {"status": response.status_code, "scope": session.token.get("scope", "")}


@app.route("/end")
def end() -> Response:
    """Disconnect the user: nothing that either party holds for this link works after it."""
    user = request.args["user"]
    link = LINKS[user]
    with link.lock:
        held, link.token, link.ended = link.token, None, next(HANDOVERS)
    for token in TOKENS:
        token.revoked = token.revoked or token.user == user
    if held and not mistake("disconnect_keeps_tokens"):
        in_background(revoke_at_peer, held)
    return jsonify(user=user, connected=False)


def revoke_at_peer(token: dict[str, Any]) -> None:
    with Peer(token=token) as session:
        try:
            session.revoke_token(PEER["revocation_endpoint"], timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            print("Revocation failed:", error, flush=True)


in_background(work)
common.run()
