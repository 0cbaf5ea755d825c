"""The tester as the authorization server of party A: it lets users in, issues tokens, takes
hand-overs."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...core.protocol import GRANT_TYPE
from .. import made_up
from ..client_of_subject import ClientOfSubject
from ..wire.client import with_query
from ..wire.exchanges import Exchange
from ..wire.server import Received, Reply

#: The tester asks the scope of the configuration.
CONFIGURED: Final = object()
Parameters = dict[str, str]


@dataclass
class Plan:
    """How the tester behaves during one visit.

    :ivar reciprocal: the value of ``reciprocal`` in the token response, of any JSON type. ``None``
        leaves it out.
    :ivar in_callback: the value of ``reciprocal`` in the authorization response.
    :ivar redirected: changes the parameters of the authorization response.
    :ivar issued: members that the token response has too.
    :ivar token_reply: the response to the token request, in place of tokens.
    :ivar refreshed: members of the response to a refresh; ``None`` leaves one out.
    :ivar answers: responses to the hand-overs: to the first, the second, and so on; the last one
        stays.
    :ivar holds: do not send the browser back, so that the check can open the URL elsewhere.
    :ivar on_issued: called once the tokens are made.
    """

    reciprocal: Any = CONFIGURED
    in_callback: str | None = None
    redirected: Callable[[Parameters], Parameters] = lambda parameters: parameters
    issued: Mapping[str, Any] = field(default_factory=dict)
    token_reply: Reply | None = None
    refreshed: Mapping[str, Any] = field(default_factory=dict)
    answers: list[Reply | Callable[[], Reply]] = field(default_factory=list)
    holds: bool = False
    on_issued: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class HandOver:
    """A hand-over that came (E).

    :ivar parameters: as they were read, from wherever they stood.
    """

    received: Received
    parameters: list[tuple[str, str]]

    @property
    def code(self) -> str:
        return next((value for name, value in self.parameters if name == "code"), "")

    @property
    def access_token(self) -> str:
        return next((value for name, value in self.parameters if name == "access_token"), "")

    @property
    def at(self) -> float:
        return self.received.at


@dataclass(eq=False)
class Flow:
    """One visit of a user, from the authorization request on.

    :ivar request: the parameters of the authorization request (A).
    :ivar callback_url: where the browser is sent (B).
    :ivar token_requests: the requests that redeem the tester's code (C).
    :ivar tokens: the access tokens that the tester issued (D).
    :ivar refreshes: the refresh tokens that were sent.
    :ivar handovers: what came (E).
    :ivar revoked: the tokens that party A revoked.
    """

    plan: Plan
    owner: str
    request: Parameters
    code: str = ""
    callback_url: str = ""
    token_requests: list[Received] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)
    refreshes: list[str] = field(default_factory=list)
    handovers: list[HandOver] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)


class Serving(ClientOfSubject):
    """Answers party A's requests. One lock keeps the lists together."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._lock = threading.Lock()
        #: How the next visit is answered.
        self.plan = Plan()
        self.flows: list[Flow] = []
        self._by_code: dict[str, Flow] = {}
        self._by_token: dict[str, Flow] = {}
        #: The parameters with which browsers came back to the tester, by state.
        self.came_back: dict[str, Parameters] = {}
        #: Requests to addresses that nobody agreed on, and exchanges of codes that never were.
        self.strays: list[Received] = []

    def answer(self, received: Received, exchange: Exchange) -> Reply:
        """Answer a request to the tester's server."""
        answers: dict[str, Callable[[Received, Exchange], Reply]] = {
            "/authorize": self._authorize,
            "/token": self._token,
            "/revoke": self._revoke,
            "/.well-known/oauth-authorization-server": self._metadata,
            "/.well-known/openid-configuration": self._metadata,
            "/callback": self._callback,
        }
        answer = answers.get(received.path, self._stray)
        if received.path == "/api" or received.path.startswith("/api/"):
            answer = self._api
        try:
            return answer(received, exchange)
        finally:
            self.changed()

    def _stray(self, received: Received, exchange: Exchange) -> Reply:
        exchange.owner = self.recorder.owner_of(received.path)
        with self._lock:
            self.strays.append(received)
        return Reply.text("The tester knows no such address.", 404)

    def _metadata(self, received: Received, exchange: Exchange) -> Reply:
        base = self.config.base_url
        return Reply.json(
            issuer=base,
            authorization_endpoint=base + "/authorize",
            token_endpoint=base + "/token",
            revocation_endpoint=base + "/revoke",
            response_types_supported=["code"],
            grant_types_supported=["authorization_code", "refresh_token", GRANT_TYPE],
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            authorization_response_iss_parameter_supported=True,
        )

    # --- (A) and (B) -----------------------------------------------------------------------------

    def _authorize(self, received: Received, exchange: Exchange) -> Reply:
        request = dict(received.query) or dict(received.form)
        plan = self.plan
        flow = Flow(plan, self.recorder.current, request)
        flow.code = self.secret(made_up.value("code-"), "code")
        self.secret(request.get("state", ""), "state")
        parameters = {"code": flow.code, "iss": self.config.base_url}
        if "state" in request:
            parameters["state"] = request["state"]
        if plan.in_callback is not None:
            parameters["reciprocal"] = plan.in_callback
        registered = self.config.subject.at_tester.redirect_uri
        flow.callback_url = with_query(registered, plan.redirected(parameters))
        with self._lock:
            self.flows.append(flow)
            self._by_code[flow.code] = flow
        if plan.holds:
            return Reply.text("The tester does not send the browser back.")
        return Reply.redirect(flow.callback_url)

    def _callback(self, received: Received, exchange: Exchange) -> Reply:
        """The browser comes back to the tester as a client of party A (A-CODE-12)."""
        parameters = dict(received.query)
        exchange.owner = self.recorder.owner_of(parameters.get("state", ""))
        if parameters.get("code"):
            self.redaction.learn(parameters["code"], "code")
        with self._lock:
            self.came_back[parameters.get("state", "")] = parameters
        return Reply.text("The tester has what it needs. You can close this page.")

    # --- (C) and (D), (E) ------------------------------------------------------------------------

    def _token(self, received: Received, exchange: Exchange) -> Reply:
        parameters = _read(received)
        named = dict(parameters)
        grant_type = named.get("grant_type", "")
        if grant_type == "authorization_code":
            return self._exchange(received, exchange, named)
        if grant_type == "refresh_token":
            return self._refresh(exchange, named)
        if "access_token" in named or "reciprocal" in grant_type:
            return self._take(received, exchange, parameters)
        return Reply.error("unsupported_grant_type")

    def _exchange(self, received: Received, exchange: Exchange, named: Parameters) -> Reply:
        flow = self._by_code.get(named.get("code", ""))
        if flow is None:
            with self._lock:
                self.strays.append(received)
            return Reply.error("invalid_grant")
        exchange.owner = flow.owner
        with self._lock:
            flow.token_requests.append(received)
            is_used = len(flow.token_requests) > 1
        if is_used:
            return Reply.error("invalid_grant")
        if flow.plan.token_reply is not None:
            return flow.plan.token_reply
        members = self._issue(flow)
        flow.plan.on_issued()
        return Reply.json(**members)

    def _issue(self, flow: Flow) -> dict[str, Any]:
        access, refresh = made_up.value("token-"), made_up.value("refresh-")
        self.redaction.learn(access, "access_token")
        self.redaction.learn(refresh, "refresh_token")
        with self._lock:
            flow.tokens.append(access)
            flow.refresh_tokens.append(refresh)
            self._by_token[access] = self._by_token[refresh] = flow
        members: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh,
        }
        if flow.request.get("scope"):
            members["scope"] = flow.request["scope"]
        asked = flow.plan.reciprocal
        asked = (self.config.tester.scope or None) if asked is CONFIGURED else asked
        if asked is not None:
            members["reciprocal"] = asked
        return {**members, **flow.plan.issued}

    def _refresh(self, exchange: Exchange, named: Parameters) -> Reply:
        token = named.get("refresh_token", "")
        flow = self._by_token.get(token)
        if flow is None or token in flow.revoked:
            return Reply.error("invalid_grant")
        exchange.owner = flow.owner
        with self._lock:
            flow.refreshes.append(token)
        members = {**self._issue(flow), "reciprocal": None, **flow.plan.refreshed}
        return Reply.json(**{name: each for name, each in members.items() if each is not None})

    def _take(
        self, received: Received, exchange: Exchange, parameters: list[tuple[str, str]]
    ) -> Reply:
        tokens = [value for name, value in parameters if name == "access_token"]
        # A hand-over with a wrong token is that of the last visit: A-E-4 finds it.
        known = [self._by_token[token] for token in tokens if token in self._by_token]
        flow = known[0] if known else self.flows[-1] if self.flows else None
        if flow is None:
            return Reply.error("invalid_grant")
        exchange.owner = flow.owner
        handover = HandOver(received, parameters)
        self.redaction.learn(handover.code, "code")
        with self._lock:
            flow.handovers.append(handover)
            number = len(flow.handovers)
        answers = flow.plan.answers or [Reply.json]
        answer = answers[min(number, len(answers)) - 1]
        return answer if isinstance(answer, Reply) else answer()

    # --- Other addresses -------------------------------------------------------------------------

    def _revoke(self, received: Received, exchange: Exchange) -> Reply:
        token = received.first("token")
        flow = self._by_token.get(token)
        if flow is not None:
            exchange.owner = flow.owner
            with self._lock:
                flow.revoked.extend([token, *flow.tokens, *flow.refresh_tokens])
        return Reply(200)

    def _api(self, received: Received, exchange: Exchange) -> Reply:
        token = received.header("Authorization").partition(" ")[2].strip()
        flow = self._by_token.get(token)
        if flow is None or token in flow.revoked:
            return Reply(401, [("WWW-Authenticate", 'Bearer error="invalid_token"')])
        exchange.owner = flow.owner
        return Reply.json(sub="tester-user", username="tester-user", name="Tester")


def _read(received: Received) -> list[tuple[str, str]]:
    """Return the parameters from the form; else from JSON or the query, which A-E-2 reports."""
    kind = received.header("Content-Type").split(";")[0].strip().lower()
    if kind == "application/json":
        try:
            body = json.loads(received.body)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return [(name, value) for name, value in body.items() if isinstance(value, str)]
    pairs = received.form
    if any(name in ("grant_type", "code", "access_token") for name, _ in pairs):
        return pairs
    return received.query
