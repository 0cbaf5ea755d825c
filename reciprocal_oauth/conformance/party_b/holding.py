"""The tester as a client of party B: it gets access tokens, refreshes and revokes them."""

import base64
import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, Final

from .. import made_up
from ..client_of_subject import AUTHENTICATIONS, read_metadata
from ..config import Client
from ..drivers.journeys import Journey, Outcome
from ..verdicts import Broken, NotGiven, Unclear
from ..wire.client import Response, with_query
from ..wire.exchanges import Exchange
from ..wire.server import Received, Reply
from .issuing import Issuing

CALLBACK: Final = "/callback"
METADATA: Final = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
_THANKS: Final = "The tester has what it needs. You can close this page."
_REFUSED: Final = "Your site sent the browser back with error={error}: the report says more."


@dataclass(frozen=True)
class Authorization:
    """An authorization code that party B issued to the tester, and its verifier.

    :ivar callback: the parameters of the authorization response.
    """

    client: Client
    callback: dict[str, str]
    verifier: str

    @property
    def code(self) -> str:
        return self.callback["code"]


@dataclass(frozen=True)
class Access:
    """What party B issued to the tester for a user.

    :ivar callback: the parameters of the authorization response.
    :ivar issued: the token response to the code (D).
    :ivar response: the latest token response: that one, or that to a refresh.
    :ivar at: when the response came, in seconds since the run began.
    """

    user: str
    client: Client
    access_token: str
    refresh_token: str
    callback: dict[str, str]
    issued: Response
    response: Response
    at: float

    @property
    def expires_in(self) -> float | None:
        """The life in seconds, if the token response says it."""
        value = self.response.member("expires_in")
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            return None
        # Some servers say -1 or 0 for tokens that do not end.
        return seconds if seconds > 0 else None

    def has_ended(self, now: float) -> bool:
        """Whether the life of the access token is over."""
        return self.expires_in is not None and now - self.at >= self.expires_in

    @property
    def is_state_right(self) -> bool:
        return self.callback.get("state") == self.callback["sent state"]

    @property
    def asked_by_callback(self) -> str | None:
        return self.callback.get("reciprocal")

    @property
    def asked_by_response(self) -> Any:
        return self.issued.member("reciprocal")


class Holding(Issuing):
    """Holds party B's tokens."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        #: The parameters with which browsers came back, and the latest of them by its state.
        self._callbacks: dict[str, dict[str, str]] = {}
        self._came_back: list[dict[str, str]] = []
        self._kept: dict[tuple[str, str], Access] = {}
        #: Everything that was given during the run, and who gave it: to be ended at its end.
        self.all_accesses: list[Access] = []
        self.users: set[str] = set()

    # --- The browser comes back ------------------------------------------------------------------

    def answer_browser(self, received: Received, exchange: Exchange) -> Reply:
        parameters = dict(received.query)
        if received.path == CALLBACK:
            state = parameters.get("state", "")
            exchange.owner = self.recorder.owner_of(state)
            if parameters.get("code"):
                self.redaction.learn(parameters["code"], "code")
            with self._lock:
                self._callbacks[state] = parameters
                self._came_back.append(parameters)
            error = parameters.get("error")
            return Reply.text(_REFUSED.format(error=error) if error else _THANKS)
        if received.path in METADATA:
            return Reply.json(
                issuer=self.config.base_url,
                authorization_endpoint=self.config.base_url + "/authorize",
                token_endpoint=self.config.base_url + "/token",
                revocation_endpoint=self.config.base_url + "/revoke",
                response_types_supported=["code"],
                code_challenge_methods_supported=["S256"],
            )
        if received.path == "/authorize":
            # Some parties B begin with a visit to party A. The tester lets everybody in.
            return self._answer_authorization(parameters)
        return self.stray(received, exchange)

    def _answer_authorization(self, parameters: dict[str, str]) -> Reply:
        redirect_uri = parameters.get("redirect_uri", "")
        if not redirect_uri.startswith(("http://", "https://")):
            return Reply.text("The authorization request has no redirect_uri.", 400)
        code = self.plan()
        answer = {"code": code.value, "iss": self.config.base_url}
        if "state" in parameters:
            answer["state"] = parameters["state"]
        return Reply.redirect(with_query(redirect_uri, answer))

    # --- Tokens ----------------------------------------------------------------------------------

    def access(self, user: str = "", client: Client | None = None) -> Access:
        """Return an access of the user. It is got once: a visit of the person is dear. One that has
        lived half of its life is got again, so that it lives as long as a check takes."""
        user, client = user or self.user, client or self.config.tester
        key = (user, client.client_id)
        kept = self._kept.get(key)
        if kept is None or self.recorder.now() - kept.at > (kept.expires_in or math.inf) / 2:
            self._kept[key] = self.new_access(user, client)
        return self._kept[key]

    def forget(self, access: Access) -> None:
        """Use an access no more, because it does not work any more."""
        token = access.access_token
        self._kept = {key: each for key, each in self._kept.items() if each.access_token != token}

    def forget_user(self, user: str) -> None:
        """Use the accesses of a user no more."""
        self._kept = {key: each for key, each in self._kept.items() if key[0] != user}

    def new_access(self, user: str = "", client: Client | None = None) -> Access:
        """Let a user give access, and get the tokens (RFC 6749, section 4.1).

        :raises Unclear: there are no tokens.
        """
        user, client = user or self.user, client or self.config.tester
        ways = [self.authentication]
        if self.config.tester.auth == "basic" and not self._kept:
            ways += [way for way in AUTHENTICATIONS if way not in ways]
        response: Response | None = None
        for way in ways:
            given = self.authorized(user, client)
            response = self.exchange(given, way=way)
            if response.status == 200:
                self.authentication = way
                return self.keep_access(user, client, given.callback, response)
            if response.status != 401 and response.member("error") != "invalid_client":
                break
            self.refused_authentications[way] = response
        hint = ""
        if response is not None and response.member("error") == "invalid_client":
            hint = " Are client_id, client_secret and auth in tester.at_subject right?"
        raise Unclear(f"The token endpoint answered the authorization code with {response}.{hint}")

    def authorized(
        self, user: str = "", client: Client | None = None, scope: str = ""
    ) -> Authorization:
        """Let a user give access, and return the code.

        :param scope: what the tester asks, if not what the configuration says.
        :raises Unclear: there is no code.
        """
        user, client = user or self.user, client or self.config.tester
        # Party B may make another connection, or end the one before.
        self._kept.pop((user, client.client_id), None)
        state, verifier = made_up.value("state-"), made_up.value("verifier-")
        self.secret(state, "state")
        self.redaction.learn(verifier, "code_verifier")
        url = self.authorization_url(client, state, verifier, scope)
        came_before = len(self._came_back)

        def is_back() -> bool:
            # Without the right state, too: B-ASK-2 finds this, and other checks go on.
            return state in self._callbacks or len(self._came_back) > came_before

        try:
            outcome = self.journey(Journey("authorize", user=user, url=url), is_back)
        except Unclear:
            # It went no further, because party B refused the request at once.
            if not (is_back() and self._came_back[-1].get("error")):
                raise
            outcome = Outcome()
        if not self.wait_for(is_back, min(5.0, self.waits.person)):
            raise Unclear(
                "The browser did not come back to the tester's redirect URI; "
                f"it ended at {outcome.url or 'an address that the driver did not say'}."
            )
        callback = {"sent state": state, **self._callbacks.get(state, self._came_back[-1])}
        if not callback.get("code"):
            raise Unclear(
                f"The authorization response is an error: {callback.get('error', 'without a code')}"
                f"{_described(callback)}. The request had scope={scope or self.config.tester.scope}"
                " (tester.at_subject.scope)."
            )
        return Authorization(client, callback, verifier)

    def authorization_url(
        self, client: Client, state: str, verifier: str, scope: str = "", redirect_uri: str = ""
    ) -> str:
        """Return the address of an authorization request (RFC 6749, section 4.1.1)."""
        parameters = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri or self.config.base_url + CALLBACK,
            "state": state,
        }
        if scope or self.config.tester.scope:
            parameters["scope"] = scope or self.config.tester.scope
        if self.config.subject.pkce:
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
            parameters["code_challenge"] = challenge.decode().rstrip("=")
            parameters["code_challenge_method"] = "S256"
        return with_query(self.endpoint("authorization_endpoint"), parameters)

    def exchange(
        self,
        given: Authorization,
        *,
        client: Client | None = None,
        verifier: str | None = None,
        redirect_uri: str = "",
        way: str = "",
    ) -> Response:
        """Redeem a code of party B, rightly unless something else is said.

        :param verifier: another one; an empty text leaves it out.
        """
        pairs = [
            ("grant_type", "authorization_code"),
            ("code", given.code),
            ("redirect_uri", redirect_uri or self.config.base_url + CALLBACK),
        ]
        verifier = given.verifier if verifier is None else verifier
        if self.config.subject.pkce and verifier:
            pairs.append(("code_verifier", verifier))
        return self.send(self.token_request(pairs, client or given.client, way))

    def keep_access(
        self, user: str, client: Client, callback: dict[str, str], response: Response
    ) -> Access:
        """Read a token response. What it gives is revoked at the end of the run.

        :raises Unclear: it has no access token.
        """
        token = response.member("access_token")
        if not isinstance(token, str) or not token:
            raise Unclear("The token response has no access_token.")
        refresh = response.member("refresh_token")
        refresh = refresh if isinstance(refresh, str) else ""
        self.secret(token, "access_token")
        self.secret(refresh, "refresh_token")
        now = self.recorder.now()
        access = Access(user, client, token, refresh, callback, response, response, now)
        self.all_accesses.append(access)
        self.users.add(user)
        return access

    def refreshed(self, access: Access) -> Access:
        """Refresh the tokens.

        :raises NotGiven: there is no refresh token.
        :raises Unclear: the refresh does not work.
        """
        if not access.refresh_token:
            raise NotGiven("a subject that issues refresh tokens")
        pairs = [("grant_type", "refresh_token"), ("refresh_token", access.refresh_token)]
        response = self.send(self.token_request(pairs, access.client))
        if response.status != 200:
            raise Unclear(f"The refresh was answered with {response}.")
        new = self.keep_access(access.user, access.client, access.callback, response)
        new = replace(
            new,
            issued=access.issued,
            refresh_token=new.refresh_token or access.refresh_token,
        )
        self.forget(access)
        self._kept[access.user, access.client.client_id] = new
        return new

    def revoke(self, access: Access) -> None:
        """Revoke the tokens (RFC 7009, section 2).

        :raises NotGiven: there is no revocation endpoint.
        :raises Broken: it refuses.
        """
        self.forget(access)
        for token, hint in (
            (access.access_token, "access_token"),
            (access.refresh_token, "refresh_token"),
        ):
            if not token:
                continue
            response = self.revoke_one(token, hint, access.client)
            if response.status != 200:
                raise Broken("The revocation is answered with 200.", f"It was {response}.")

    def revoke_one(self, token: str, hint: str, client: Client) -> Response:
        """Send a revocation request (RFC 7009, section 2.1)."""
        request = self.token_request([("token", token), ("token_type_hint", hint)], client)
        return self.send(replace(request, url=self.endpoint("revocation_endpoint")))

    def client_credentials(self) -> str:
        """Return a token that belongs to no user.

        :raises NotGiven: party B issues none.
        """
        pairs = [("grant_type", "client_credentials")]
        response = self.send(self.token_request(pairs, self.config.tester))
        token = response.member("access_token")
        if response.status != 200 or not isinstance(token, str):
            raise NotGiven(f"a subject that grants client_credentials (it answered {response})")
        return self.secret(token, "access_token")

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of party B (RFC 8414, section 3).

        :raises NotGiven: there are none.
        """
        issuer = self.config.subject.issuer
        if not issuer:
            raise NotGiven("subject.issuer")
        document = read_metadata(self.send, issuer)
        if document is None:
            raise NotGiven("a subject with metadata (RFC 8414)")
        return document


def _described(callback: dict[str, str]) -> str:
    text = callback.get("error_description", "")
    return f" ({text})" if text else ""
