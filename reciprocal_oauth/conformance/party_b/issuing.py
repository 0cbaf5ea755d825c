"""The tester as an authorization server for party B: codes, redemptions, tokens, API."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from .. import json_templates, made_up
from ..client_of_subject import ClientOfSubject
from ..verdicts import Broken
from ..wire.exchanges import Exchange
from ..wire.server import Received, Reply

#: Members of a token response that a dialect without a place for them does not have.
_STANDARD = ("token_type", "expires_in", "refresh_token", "scope")
#: How the tester answers the redemption of a code, or a refresh.
Answer = Callable[["Code", Received], Reply]


@dataclass(eq=False)
class Code:
    """A reciprocal code of the tester, and what became of it.

    :ivar answers: answer to the first redemption, the second, and so on; the last one stays.
    :ivar redemptions: the requests that redeemed it, also in vain.
    :ivar tokens: the access tokens that it led to, in this order.
    :ivar calls: calls of the tester's API with one of these tokens.
    :ivar refreshes: the refreshes with one of its refresh tokens.
    :ivar access_token: that with which it was handed over rightly.
    """

    value: str
    answers: list[Answer]
    expires_in: int = 3600
    user: str = ""
    redemptions: list[Received] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)
    calls: list[Received] = field(default_factory=list)
    refreshes: list[Received] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    on_call: Callable[[Received], Reply] | None = None
    on_refresh: Answer | None = None
    handed_over_at: float = 0.0
    access_token: str = field(default="", repr=False)

    def tokens_in(self, received: Received) -> list[str]:
        """Return the refresh tokens of this code that a request has."""
        body = received.body.decode("utf-8", errors="replace")
        return [token for token in self.refresh_tokens if token in body]


class Issuing(ClientOfSubject):
    """Answers party B's requests. One lock keeps the lists together."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._lock = threading.Lock()
        self._codes: dict[str, Code] = {}
        self._of_token: dict[str, Code] = {}
        #: Requests to addresses that nobody agreed on, and redemptions of unknown codes. The latter
        #: are no fault: a subject may try a code of an earlier run again.
        self.strays: list[Received] = []
        #: Requests to the revocation endpoint: the tokens.
        self.revocations: list[str] = []
        #: All answered redemptions, for the checks that read them.
        self.redeemed: list[tuple[Code, Received]] = []

    # --- Codes -----------------------------------------------------------------------------------

    def plan(self, *answers: Answer, expires_in: int = 3600, value: str = "") -> Code:
        """Make a code, and say how its redemptions are answered: with tokens, unless something else
        is said."""
        code = Code(
            self.secret(value or made_up.value("code-"), "code"),
            list(answers) or [self.tokens()],
            expires_in,
        )
        with self._lock:
            self._codes[code.value] = code
        return code

    def tokens(self, *, delay: float = 0.0, length: int = 0, **members: object) -> Answer:
        """Answer with tokens.

        :param length: characters that they have, if it is not the usual number.
        :param members: members of the token response that are added, or left out if ``None``.
        """

        def answer(code: Code, received: Received) -> Reply:
            access = self.secret(made_up.value("token-", length), "access_token")
            refresh = self.secret(made_up.value("refresh-", length), "refresh_token")
            with self._lock:
                code.tokens.append(access)
                code.refresh_tokens.append(refresh)
                self._of_token[access] = self._of_token[refresh] = code
            return self._token_response(access, refresh, code.expires_in, delay, members)

        return answer

    def _token_response(
        self, access: str, refresh: str, expires_in: int, delay: float, members: dict[str, object]
    ) -> Reply:
        body: dict[str, object] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": expires_in,
            "refresh_token": refresh,
        }
        if self.config.tester.reciprocal:
            body["scope"] = self.config.tester.reciprocal
        body.update(members)
        body = {name: value for name, value in body.items() if value is not None}
        body = self._in_dialect(body, access)
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return Reply(200, headers, json.dumps(body).encode(), delay=delay)

    def _in_dialect(self, members: dict[str, object], access: str) -> dict[str, object]:
        """Put the members of a token response into the template of the dialect, if it has one."""
        template = self.config.dialect.token_response
        if not template:
            return members
        body: dict[str, object] = json_templates.filled(template, members)
        known = {*json_templates.placeholders(template), *_STANDARD}
        beside = json_templates.object_with(body, access)
        if beside is not None:
            beside.update({name: each for name, each in members.items() if name not in known})
        return body

    def refusal(self) -> Answer:
        """Refuse a code or a refresh token for good."""
        return lambda code, received: self._refused()

    def _refused(self) -> Reply:
        text = self.config.dialect.token_refusal
        return Reply.json(400, **json.loads(text)) if text else Reply.error("invalid_grant")

    @staticmethod
    def reply(reply: Reply) -> Answer:
        """Answer with something else."""
        return lambda code, received: reply

    # --- Requests of party B ---------------------------------------------------------------------

    def answer(self, received: Received, exchange: Exchange) -> Reply:
        """Answer a request to the tester's server."""
        path = received.path
        try:
            if path == "/token":
                return self._answer_token_request(received, exchange)
            if path == "/revoke":
                return self._answer_revocation(received, exchange)
            if path == "/api" or path.startswith("/api/"):
                return self._answer_call(received, exchange)
            return self.answer_browser(received, exchange)
        finally:
            self.changed()

    def answer_browser(self, received: Received, exchange: Exchange) -> Reply:
        raise NotImplementedError

    def stray(self, received: Received, exchange: Exchange) -> Reply:
        exchange.owner = self.recorder.owner_of(received.path, received.first("code"))
        with self._lock:
            self.strays.append(received)
        return Reply.text("The tester knows no such address.", 404)

    def _answer_token_request(self, received: Received, exchange: Exchange) -> Reply:
        if received.first("grant_type") == "refresh_token" or self._is_json_refresh(received):
            return self._answer_refresh(received, exchange)
        code = self._code_in(received)
        if code is None:
            with self._lock:
                self.strays.append(received)
            return self._refused()
        exchange.owner = self.recorder.owner_of(code.value)
        with self._lock:
            code.redemptions.append(received)
            self.redeemed.append((code, received))
            answer = code.answers.pop(0) if len(code.answers) > 1 else code.answers[0]
        return answer(code, received)

    def _code_in(self, received: Received) -> Code | None:
        return next(
            (self._codes[v] for v in self._sent(received, "code") if v in self._codes), None
        )

    def _is_json_refresh(self, received: Received) -> bool:
        if self.config.dialect.redemption != "json" or self._code_in(received) is not None:
            return False
        return any(value in self._of_token for value in self._sent(received, ""))

    def _sent(self, received: Received, name: str) -> list[str]:
        """Return the values of a parameter of a token request. In JSON, any text can be it."""
        if self.config.dialect.redemption == "json":
            return list(json_templates.strings(received.json))
        # In the URL or in JSON it is wrong, but it is a redemption: B-RED-1 reports it.
        in_url = [value for key, value in received.query if key == name]
        return received.all(name) or in_url or list(json_templates.strings(received.json))

    def _answer_refresh(self, received: Received, exchange: Exchange) -> Reply:
        sent = self._sent(received, "refresh_token")
        given = next((value for value in sent if value in self._of_token), "")
        code = self._of_token.get(given)
        if code is None:
            with self._lock:
                self.strays.append(received)
            return self._refused()
        exchange.owner = self.recorder.owner_of(code.value)
        with self._lock:
            code.refreshes.append(received)
        if given in code.revoked:
            return self._refused()
        return (code.on_refresh or self.tokens())(code, received)

    def _answer_revocation(self, received: Received, exchange: Exchange) -> Reply:
        token = received.first("token")
        code = self._of_token.get(token)
        exchange.owner = self.recorder.owner_of(token)
        with self._lock:
            self.revocations.append(token)
            if code is not None:
                # RFC 7009, section 2.1: the grant goes with its tokens.
                code.revoked.extend([*code.tokens, *code.refresh_tokens])
        return Reply(200)

    def _answer_call(self, received: Received, exchange: Exchange) -> Reply:
        token = self.token_of_call(received)
        code = self._of_token.get(token)
        if code is None:
            return _unauthorized()
        exchange.owner = self.recorder.owner_of(code.value)
        with self._lock:
            code.calls.append(received)
        if code.on_call is not None:
            return code.on_call(received)
        if token in code.revoked:
            return _unauthorized()
        return Reply.json(user=code.user or self.user, ok=True)

    def token_of_call(self, received: Received) -> str:
        """Return the access token of a call of the API, or an empty text. A dialect may have it at
        any place of a JSON body."""
        scheme, _, token = received.header("Authorization").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        texts = json_templates.strings(received.json) if self.config.dialect.name else ()
        # In the address it is wrong, but it is a call: B-USE-7 reports it.
        in_url = [text for name, text in received.query if name == "access_token"]
        return next((text for text in [*texts, *in_url] if text in self._of_token), "")

    def is_issued(self, token: str) -> bool:
        """Whether the tester issued this token to party B."""
        return token in self._of_token

    def calls(self, of: set[str] | None = None) -> int:
        """Return how many calls had a token that the tester issued.

        :param of: only for codes that were handed over with one of these access tokens.
        """
        with self._lock:
            codes = list(self._codes.values())
        return sum(len(code.calls) for code in codes if of is None or code.access_token in of)

    def refreshes(self, access_token: str) -> int:
        """Return how many refreshes had a token for a code that was handed over with this access
        token."""
        with self._lock:
            codes = list(self._codes.values())
        return sum(len(code.refreshes) for code in codes if code.access_token == access_token)

    # --- What must be seen -------------------------------------------------------------------

    def must_redeem(self, code: Code, *, times: int = 1) -> Received:
        """Wait until party B has redeemed a code.

        :raises Broken: it did not.
        """
        seconds = self.waits.redeem if times == 1 else self.waits.retry
        if not self.wait_for(lambda: len(code.redemptions) >= times, seconds):
            raise Broken(
                f"The code is redeemed {times} times." if times > 1 else "The code is redeemed.",
                f"It was redeemed {len(code.redemptions)} times in {seconds:.0f} s.",
            )
        self.redeemed_in(code)
        return code.redemptions[times - 1]

    def redeemed_in(self, code: Code) -> None:
        """Keep how long party B took to redeem a code."""
        self.showed_delay(code.redemptions[0].at - code.handed_over_at)

    def must_redeem_at_most(self, code: Code, times: int, *, at_least: float = 0.0) -> None:
        """Look after the quiet time that a code was not redeemed more often.

        :param at_least: seconds to wait, if the quiet time is shorter.
        """

        def look() -> None:
            seen = len(code.redemptions)
            if seen > times:
                allowed = f"at most {times} times" if times > 1 else "once" if times else "not"
                raise Broken(f"The code is {allowed} redeemed.", f"It was redeemed {seen} times.")

        self.later(look, at_least)

    def is_called(self, path: str) -> bool:
        """Whether party B called an address that nobody agreed on."""
        # With something before or behind it: an issuer leads to the address of its metadata.
        return any(path in stray.path for stray in self.strays)

    def must_not_call(self, path: str) -> None:
        """Look after the quiet time that an address was not called."""

        def look() -> None:
            if self.is_called(path):
                raise Broken("Only the agreed token endpoint is called.", f"{path} was called.")

        self.later(look)


def _unauthorized() -> Reply:
    headers = [("WWW-Authenticate", 'Bearer error="invalid_token"')]
    return Reply(401, headers, b"")
