"""The tester as party A: the hand-over of a code (E), right or wrong in exactly one thing."""

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from ...core.protocol import GRANT_TYPE
from .. import json_templates
from ..bench import each_done
from ..client_of_subject import AUTHENTICATIONS, KNOWN_ERRORS
from ..config import Client
from ..drivers.journeys import Journey
from ..verdicts import Broken, NotGiven, Unclear, Verdict
from ..wire.client import FORM, Request, Response, form
from .holding import Access, Holding
from .issuing import Answer, Code

#: What party B may answer a request that is not valid (section 2.2.2), and what RFC 6749, section
#: 5.2, says about clients that are not authenticated.
INVALID = (400,)
UNAUTHENTICATED = (400, 401)
JSON = "application/json"
#: Seconds that party B has to store its tokens.
_STORING = 0.5
Parameters = list[tuple[str, str]]


class PartyB(Holding):
    """Hands codes over to the party B under test."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._has_adapted = False

    # --- The request -----------------------------------------------------------------------------

    def parameters(self, code: Code | str, token: str, client: Client | None = None) -> Parameters:
        """Return the four parameters (section 2.2.2)."""
        value = code if isinstance(code, str) else code.value
        client = client or self.config.tester
        return [
            ("grant_type", self.config.dialect.grant_type or GRANT_TYPE),
            ("code", value),
            ("client_id", client.client_id),
            ("access_token", token),
        ]

    def request(
        self,
        parameters: Parameters,
        *,
        client: Client | None = None,
        way: str = "",
    ) -> Request:
        """Return the request with these parameters.

        :param way: how the client authenticates: one of ``AUTHENTICATIONS``, or ``none``.
        """
        client, dialect = client or self.config.tester, self.config.dialect
        headers = [("Content-Type", JSON if dialect.body else FORM)]
        parameters = list(parameters)
        if dialect.is_bearer:
            tokens = [value for name, value in parameters if name == "access_token"]
            parameters = without(parameters, "access_token")
            headers += [("Authorization", f"Bearer {token}") for token in tokens]
        if dialect.authenticates and way != "none":
            authentication, more = self.credentials(client, self._way(way))
            headers += authentication
            # The client ID is one of the four parameters, and may be missing on purpose.
            parameters += [pair for pair in more if pair[0] == "client_secret"]
        body = self._json(parameters) if dialect.body else form(parameters)
        return Request("POST", self.endpoint("handover_url"), headers, body)

    def _way(self, way: str) -> str:
        """Return how the client authenticates: the dialect may know one way only."""
        dialect, way = self.config.dialect, way or self.authentication
        if dialect.has_secret_in_body:
            return "body"
        return "basic" if dialect.body and way == "body" else way

    def _json(self, parameters: Parameters) -> bytes:
        """Return the JSON body of the dialect. What is not in the parameters is left out."""
        values = {
            "subject_client_id": self.config.subject.at_tester.client_id,
            "token_endpoint": f"{self.config.base_url}/token",
            "api": f"{self.config.base_url}/api",
            "id": str(uuid.uuid4()),
            **dict(parameters),
        }
        return json.dumps(json_templates.filled(self.config.dialect.body, values)).encode()

    # --- What a dialect does not have ------------------------------------------------------------

    def require_parameter(self, *names: str) -> None:
        """:raises NotGiven: the hand-over of the dialect has none of these parameters."""
        dialect = self.config.dialect
        if not dialect.body or any(dialect.sends(name) for name in names):
            return
        if not (dialect.is_bearer and "access_token" in names):
            raise NotGiven(f"a hand-over with {names[0]}, which this dialect does not have")

    def require_header(self) -> None:
        """:raises NotGiven: the client does not authenticate in the header Authorization."""
        dialect = self.config.dialect
        if dialect.has_secret_in_body or (self.authentication == "body" and not dialect.body):
            raise NotGiven("a client that authenticates in the header")

    def require_answer_first(self) -> None:
        """:raises NotGiven: party B redeems the code before it answers, as the dialect wants."""
        if self.config.dialect.redeems_first:
            raise NotGiven("a dialect in which party B answers before it redeems")

    def right(
        self,
        code: Code,
        access: Access | None = None,
        *,
        more: Iterable[tuple[str, str]] = (),
        way: str = "",
    ) -> Request:
        """Return the right request, with parameters added."""
        access = access or self.access()
        code.access_token = access.access_token
        parameters = [*self.parameters(code, access.access_token, access.client), *more]
        return self.request(parameters, client=access.client, way=way)

    @staticmethod
    def changed_request(request: Request, **changes: Any) -> Request:
        """Return a request that differs in one thing: ``url``, ``headers`` or ``body``."""
        return replace(request, **changes)

    # --- Accepted --------------------------------------------------------------------------------

    def adapt(self) -> None:
        """Find out how party B wants the client to authenticate: one fault must not blank the run.
        B-AUTH-1 reports what was refused."""
        is_adapted = self._has_adapted or self.config.tester.auth == "body"
        self._has_adapted = True
        if is_adapted or self.config.dialect.name:
            return
        access = self.access()
        for way in AUTHENTICATIONS:
            code = self.plan()
            response = self.send(self.right(code, access, way=way))
            if response.status == 200:
                code.handed_over_at = self.recorder.now()
                self.authentication = way
                return
            if response.status != 401 and response.member("error") != "invalid_client":
                return
            self.refused_authentications.setdefault(way, response)

    def hand_over(
        self, code: Code, request: Request | None = None, access: Access | None = None
    ) -> Response:
        """Send the right request, or another one, for a code.

        :raises Unclear: the access token ended while the tester waited as it was asked to.
        """
        access = access or self.access()
        response = self.send(request or self.right(code, access))
        if not self.is_accepted(response) and access.has_ended(self.recorder.now()):
            self.forget(access)
            if request is not None:
                raise Unclear("The access token ended before the request was sent.")
            response = self.send(self.right(code, self.access(access.user, access.client)))
        code.handed_over_at = self.recorder.now()
        return response

    def must_accept(
        self, code: Code, request: Request | None = None, *, what: str = "The request"
    ) -> Response:
        """Hand a code over.

        :raises Broken: party B refuses.
        """
        response = self.hand_over(code, request)
        if not self.is_accepted(response):
            raise Broken(f"{what} is answered with 200.", f"It was answered with {response}.")
        return response

    def is_accepted(self, response: Response) -> bool:
        dialect = self.config.dialect
        if not dialect.name:
            return response.status == 200
        has_refused = bool(dialect.refused_by) and dialect.refused_by in response.text
        return 200 <= response.status < 300 and not has_refused

    def handed_over(self, *answers: Answer, access: Access | None = None, **plan: object) -> Code:
        """Hand a code over rightly.

        :raises Unclear: party B refuses it, so the check cannot be carried out.
        """
        code = self.plan(*answers, **plan)  # type: ignore[arg-type]
        self.must_be_taken(code, access)
        return code

    def must_be_taken(self, code: Code, access: Access | None = None) -> Response:
        """Hand a code over rightly. Who redeems before the answer may refuse, as the tester's token
        endpoint did.

        :raises Unclear: party B refuses it and does not redeem it: the check cannot be carried out.
        """
        response = self.hand_over(code, access=access)
        if self.is_accepted(response) or self.config.dialect.redeems_first:
            return response
        if not code.redemptions:
            raise Unclear(f"A right hand-over was answered with {response}.")
        self.note(f"The code was redeemed, and the hand-over was answered with {response}.")
        return response

    def must_be_accepted(self, code: Code, access: Access | None = None) -> None:
        """Hand a code over rightly, where the tester answers its redemption with tokens.

        :raises Unclear: party B refuses it, so the check cannot be carried out.
        """
        response = self.must_be_taken(code, access)
        if not self.is_accepted(response):
            raise Unclear(f"A right hand-over was answered with {response}.")

    def hand_over_meanwhile(self, code: Code, access: Access | None = None) -> None:
        """Hand a code over rightly, and do not wait for the response: a dialect may redeem first.
        What the response is does not matter."""

        def send(request: Request) -> None:
            with contextlib.suppress(Unclear):
                self.send(request)

        request = self.right(code, access)
        code.handed_over_at = self.recorder.now()
        threading.Thread(target=send, args=(request,), daemon=True).start()

    def hand_over_at_once(self, codes: Sequence[Code], accesses: Sequence[Access]) -> None:
        """Hand several codes over rightly at the same time, and wait for the responses.

        :raises Unclear: one of them is not accepted.
        """
        requests = [self.right(code, each) for code, each in zip(codes, accesses, strict=True)]
        with ThreadPoolExecutor(len(requests)) as pool:
            responses = list(pool.map(self.send, requests))
        for code, response in zip(codes, responses, strict=True):
            code.handed_over_at = self.recorder.now()
            if not self.is_accepted(response):
                raise Unclear(f"A right hand-over was answered with {response}.")

    def linked(self, *answers: Answer, access: Access | None = None, **plan: object) -> Code:
        """Hand a code over rightly, and wait until it is redeemed.

        :raises Unclear: it is not.
        """
        code = self.plan(*answers, **plan)  # type: ignore[arg-type]
        self.must_be_accepted(code, access)
        if not self.wait_for(lambda: code.tokens, self.waits.redeem):
            raise Unclear("A right hand-over was not redeemed.")
        self.redeemed_in(code)
        # Party B stores what it got, and may call the API by itself.
        self.pause(_STORING)
        return code

    # --- Refused ---------------------------------------------------------------------------------

    def must_refuse(
        self,
        code: Code,
        request: Request,
        statuses: tuple[int, ...] = INVALID,
        *,
        error: str = "",
        what: str = "The request",
        at_worst: Verdict = Verdict.FAIL,
    ) -> Response:
        """Send a request that is wrong in one thing. It is refused, and its code is not redeemed.

        :param error: the value of ``error`` that RFC 6749, section 5.2, has for this; another one
            is worth a note.
        :param at_worst: the verdict if party B takes the request.
        :raises Broken: party B takes it, fails, or answers with another status.
        """
        response = self.send(request)
        if not (self.is_accepted(response) and at_worst is Verdict.WARN):
            self.must_redeem_at_most(code, 0)
        is_dialect = bool(self.config.dialect.name)
        allowed = "" if is_dialect else f" with status {' or '.join(map(str, statuses))}"
        # In a dialect, the statuses of the draft do not hold. But nobody refuses by failing.
        is_refused = 400 <= response.status < 500 or (is_dialect and response.status < 300)
        is_right = is_refused and (is_dialect or response.status in statuses)
        if self.is_accepted(response) or not is_right:
            worst = at_worst if self.is_accepted(response) else Verdict.FAIL
            observed = f"It was answered with {response}."
            raise Broken(f"{what} is refused{allowed}.", observed, at_worst=worst)
        if is_dialect:
            return response
        said = response.member("error")
        if error and said != error:
            self.note(
                f"RFC 6749, section 5.2, has error={error} for this; the response has {said}."
            )
        return response

    # --- What the user does at party B -----------------------------------------------------------

    def own_calls(self, code: Code) -> int:
        """Return how often party B called the API by itself, as some do once they have tokens."""
        self.pause(min(_STORING * 2, self.quiet))
        return len(code.calls)

    def must_call(self, code: Code, user: str = "") -> None:
        """Let party B call the API, and wait for the call.

        :raises Unclear: it does not call.
        """
        before = len(code.calls)
        # Twice, because the first visit may have been too early.
        for seconds in (min(5.0, self.waits.send), self.waits.send):
            self.try_use(user, code)
            if self.wait_for(lambda: len(code.calls) > before, seconds):
                return
        raise Unclear("The journey use led to no call of the tester's API with the new token.")

    def must_still_call(self, code: Code, user: str = "") -> None:
        """Let party B call the API, which it did before.

        :raises Broken: it does not call.
        """
        try:
            self.must_call(code, user)
        except Unclear as error:
            raise Broken("A call with the token of this code.", str(error)) from None

    def try_use(self, user: str = "", *codes: Code) -> None:
        """Let party B call the API. Its page may be an error page.

        :param codes: a call with the tokens of one of these ends the visit.
        """
        before = sum(len(code.calls) for code in codes)
        self.try_journey(
            Journey("use", user=user or self.user),
            lambda: sum(len(code.calls) for code in codes) > before,
        )

    def calls_for(self, user: str) -> int:
        """Return how many calls had a token that came from a hand-over for this user."""
        own = {access.access_token for access in self.all_accesses if access.user == user}
        return self.calls(own)

    def end(self, user: str = "") -> None:
        """Let a user end the link. A revocation shows that it has ended."""
        before = len(self.revocations)
        self.journey(Journey("end", user=user or self.user), lambda: len(self.revocations) > before)

    def leave(self) -> list[str]:
        """End the links that the run has made, where the driver can, and revoke the tokens.

        :returns: what could not be ended.
        """
        endings: list[Callable[[], object]] = []
        if self.driver.supports("end"):
            endings += [partial(self.try_journey, Journey("end", user=u)) for u in self.users]
        if self.config.subject.revocation_endpoint:
            endings += [partial(self.revoke, access) for access in self.all_accesses]
        return each_done(endings)


def known_error(response: Response) -> bool:
    """Whether the body is an error as RFC 6749, section 5.2, has it."""
    return response.member("error") in KNOWN_ERRORS


def without(parameters: Parameters, name: str) -> Parameters:
    """Leave one parameter out."""
    return [pair for pair in parameters if pair[0] != name]


def with_value(parameters: Parameters, name: str, value: str) -> Parameters:
    """Give one parameter another value."""
    return [(key, value if key == name else old) for key, old in parameters]
