"""A small party B in the dialect of Amazon's sample of a "reciprocal authorization endpoint".

``python alexa_b.py config.json`` starts it. It has the faults of the sample that ``faults`` in the
configuration names (:data:`FAULTS`), and none by default. All else is as in ``small_b``, whose
folder must be on the path.

The sample is github.com/alexa-samples/alexa-oauth-sample, commit fc1e34e4: the class
ReciprocalAuthorizationEndpoint and what it calls. Here the client authenticates, too::

    POST /api/reciprocal/authorize
    Authorization: Bearer ACCESS-TOKEN

    grant_type=reciprocal_authorization_code&code=…&client_id=…&client_secret=…
"""

import hmac
import threading
import time
from collections.abc import Mapping
from typing import Any

from small_b import HandOver, Link, PartyB
from small_http import (
    Received,
    Refused,
    Request,
    Response,
    config_of_command_line,
    json_response,
    serve,
)
from small_tokens import RECIPROCAL, Client, Token

GRANT_TYPE = "reciprocal_authorization_code"
#: What each fault does.
FAULTS = {
    "no-authentication": "The secret is not read. The access token is enough.",
    "any-client": "client_id picks the partner, and the token's client is not compared with it.",
    "redeems-inside": "The code is redeemed inside the request, and a failure is the answer.",
    "blank-redirect-uri": "The redemption has an empty redirect_uri.",
    "redeems-again": "A code that came before is redeemed again.",
    "null-parameters": "A parameter that is missing is an exception.",
    "client-as-user": "The tokens are saved under the client's ID if the token has no user.",
    "tokens-beside": "New tokens are saved beside the old ones, and any of them are used.",
    "refresh-token-lost": "A refresh without a new refresh token deletes the old one.",
    "query": "Parameters are read from the query, too.",
}


class AlexaPartyB(PartyB):
    """Takes hand-overs at an address of its own."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        del self.server.grants[RECIPROCAL]
        self.faults = frozenset(config.get("faults", ()))
        #: With the fault tokens-beside: the tokens of each hand-over.
        self.saved: list[Link] = []

    def reciprocal(self, request: Request) -> Response:
        """Take a code."""
        form = request.form()
        if "query" in self.faults:
            form = {**request.arguments(), **form}
        token = self.server.access_token(request.bearer())
        if token is None:
            raise Refused("invalid_token", 401, **{"WWW-Authenticate": "Bearer"})
        if "null-parameters" not in self.faults:
            for name in ("grant_type", "code", "client_id"):
                if name not in form:
                    raise Refused("invalid_request")
        if form["grant_type"] != GRANT_TYPE:
            raise Refused("unsupported_grant_type")
        client = self.client_in(form, token)
        user = token.user
        if not user and "client-as-user" in self.faults:
            user = client.id
        if not user:
            raise Refused("invalid_grant")
        if not (form["code"].isascii() and form["code"].isprintable() and len(form["code"]) < 4096):
            raise Refused("invalid_request")
        handover = self.accept(client.id, user, form["code"])
        if handover is not None and "redeems-inside" in self.faults:
            return self.redeem_inside(handover)
        if handover is not None:
            threading.Thread(target=self.redeem, args=(handover,), daemon=True).start()
        return json_response({})

    def client_in(self, form: Mapping[str, str], token: Token) -> Client:
        client = self.server.clients.get(form["client_id"])
        if client is None:
            raise Refused("invalid_client", 401, **{"WWW-Authenticate": "Bearer"})
        secret = form.get("client_secret", "").encode()
        is_right = hmac.compare_digest(secret, client.secret.encode())
        if not is_right and "no-authentication" not in self.faults:
            raise Refused("invalid_client", 401, **{"WWW-Authenticate": "Bearer"})
        if token.client_id != client.id and "any-client" not in self.faults:
            raise Refused("invalid_token", 401, **{"WWW-Authenticate": "Bearer"})
        return client

    def accept(self, client_id: str, user: str, code: str) -> HandOver | None:
        if "redeems-again" in self.faults:
            self.handovers.pop(code, None)
        handover = super().accept(client_id, user, code)
        if handover is not None and "tokens-beside" in self.faults:
            handover = HandOver(handover.number, code, Link(client_id, user))
            self.saved.append(handover.link)
        return handover

    def redeem_inside(self, handover: HandOver) -> Response:
        form = {"grant_type": "authorization_code", "code": handover.code}
        received = self.post(self.peer.token_endpoint, form)
        if received is None or not self.keep(handover.link, received, handover.number):
            raise Refused("server_error", 500)
        return json_response({})

    def post(self, url: str, form: Mapping[str, str]) -> Received | None:
        is_redemption = form.get("grant_type") == "authorization_code"
        if is_redemption and "blank-redirect-uri" in self.faults:
            form = {**form, "redirect_uri": ""}
        return super().post(url, form)

    def keep(self, link: Link, received: Received, number: int) -> bool:
        is_kept = super().keep(link, received, number)
        if is_kept and "refresh-token-lost" in self.faults:
            link.refresh_token = str(received.members().get("refresh_token") or "")
        return is_kept

    def is_known(self, link: Link) -> bool:
        return link in self.saved or super().is_known(link)

    def use(self, request: Request) -> Response:
        """Call the other party's API for a user."""
        if "tokens-beside" not in self.faults:
            return super().use(request)
        user = request.arguments().get("user", "")
        links = [each for each in self.saved if each.user == user and each.access_token]
        if not links:
            return json_response({"linked": False})
        # Any of them works for a while. A database returns the oldest row first.
        alive = [each for each in links if each.expires > time.time()]
        return json_response({"linked": True, "status": self.call((alive or links)[0])})


def main() -> None:
    config = config_of_command_line()
    party = AlexaPartyB(config)
    server = party.server
    serve(
        int(str(config["port"])),
        {
            "/api/reciprocal/authorize": {"POST": party.reciprocal},
            "/authorize": {"GET": party.authorize},
            "/token": {"POST": server.token_endpoint},
            "/revoke": {"POST": server.revocation_endpoint},
            "/api/*": {"GET": server.api},
            "/use": {"GET": party.use},
            "/end": {"GET": party.end},
            "/.well-known/oauth-authorization-server": {"GET": party.metadata},
        },
    )


if __name__ == "__main__":
    main()
