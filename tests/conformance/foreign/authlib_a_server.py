"""The authorization server of the party A on Authlib, where party B redeems the reciprocal code."""

import threading
import time
from collections.abc import Callable
from typing import Any

import authlib_common as common
from authlib.integrations.flask_oauth2 import current_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib_common import (
    CODES,
    CONFIG,
    TOKENS,
    Client,
    Code,
    Token,
    app,
    mistake,
    require_oauth,
    server,
)
from flask import Response, jsonify, session

SCOPES = {"calendar": "Your calendar", "contacts": "Your contacts", "profile": "Your profile"}
TAKING = threading.Lock()


class AuthorizationCodeGrant(common.AuthorizationCodeGrant):
    """Redeems reciprocal codes, too: without a redirect URI and a challenge, the library compares
    neither."""

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = CODES.get(code)
        if found is None:
            if not mistake("tokens_of_a_reused_code_live"):
                revoke(lambda token: token.code == code and token.client_id == client.client_id)
            return None
        if found.client_id != client.client_id and not mistake("code_of_another_client_taken"):
            return None
        if time.time() > found.issued_at + CONFIG["code_lifetime"] and not mistake("codes_live_on"):
            return None
        if mistake("redirect_uri_required") and "redirect_uri" not in self.request.form:
            return None
        return found

    def authenticate_user(self, authorization_code: Code) -> str | None:
        """Take the code: of several requests at once, one gets it."""
        if mistake("code_taken_last"):
            time.sleep(0.2)  # As long as a database may take.
            return authorization_code.user
        with TAKING:
            taken = CODES.get(authorization_code.code)
            if not mistake("code_reusable"):
                CODES.pop(authorization_code.code, None)
            return taken.user if taken else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        if not mistake("code_reusable"):
            super().delete_authorization_code(authorization_code)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        status, token, headers = super().create_token_response()
        if mistake("scope_left_out"):
            del token["scope"]
        return status, token, headers

    def generate_token(self, user: Any = None, scope: Any = None, **more: Any) -> dict[str, Any]:
        if mistake("scope_of_the_redemption"):
            scope = self.request.payload.scope or scope
        return super().generate_token(user=user, scope=scope, **more)


class Challenge(CodeChallenge):
    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        is_missing = "code_verifier" not in grant.request.form
        if is_missing and mistake("verifier_always_required"):
            raise InvalidRequestError()
        ignored = "exemption_leaks" if is_missing else "verifier_ignored"
        if not mistake(ignored):
            super().validate_code_verifier(grant, result)


server.register_grant(AuthorizationCodeGrant, [Challenge(required=True)])


def revoke(belongs: Callable[[Token], bool]) -> None:
    """Revoke the tokens for which ``belongs`` is true."""
    for token in TOKENS:
        token.revoked = token.revoked or belongs(token)


@app.route("/authorize")
def authorize() -> Response:
    """An ordinary authorization request. The site asks no question: it is here to be compared."""
    try:
        grant = server.get_consent_grant(end_user=session["user"])
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return server.create_authorization_response(grant=grant, grant_user=session["user"])


def resource(scope: str) -> None:
    needed = None if mistake("api_ignores_scope") else scope

    def view() -> Response:
        return jsonify(user=current_token.user, scope=current_token.scope)

    app.add_url_rule(f"/api/{scope}", scope, require_oauth(needed)(view))


for each in SCOPES:
    resource(each)
