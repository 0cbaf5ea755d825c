"""What all checks share: waiting, sending, and the rules that keep false verdicts out.

- Quiet: "not sent" means that nothing came in :attr:`Bench.quiet` seconds.
- Wait for, not sleep: what should come is waited for long, and ends the wait at once.
- Limits: a subject that asks to wait (429 or 503 with ``Retry-After``) gets the request again.
- Journey: a person who does not get through makes the check inconclusive.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from .config import Config, Waits
from .drivers.journeys import Driver, Journey, JourneyFailed, Outcome, Unsupported
from .redaction import Redaction
from .results import CheckResult
from .verdicts import Broken, NotGiven, Unclear
from .wire.client import Client, NoResponse, Request, Response, retry_after
from .wire.exchanges import Recorder
from .wire.server import Server

#: How often a request is sent again because the subject asked to wait.
_AGAIN = 5
#: Seconds to wait after 429 without ``Retry-After``; twice as long each time.
_LIMITED = 5.0
#: How much later than the second attempt the third one is sent, at most.
_LATER_AGAIN = 8
#: How much longer than the delay of the control it must be quiet.
_QUIETER = 3


@dataclass(eq=False)
class _Later:
    result: CheckResult
    look: Callable[[], None]
    at_least: float
    due: float = 0.0


class Bench:
    """The shared part of both parties that the tester plays."""

    def __init__(
        self,
        config: Config,
        recorder: Recorder,
        redaction: Redaction,
        client: Client,
        driver: Driver,
    ) -> None:
        self.config = config
        self.recorder = recorder
        self.redaction = redaction
        self.client = client
        self.driver = driver
        #: The tester's HTTP server. The run sets it.
        self.server: Server
        #: Whether a person has got through a journey yet; ``None`` before the first one.
        self.has_got_through: bool | None = None
        #: Whether a request has come to the tester's server.
        self.was_called = False
        #: Whether the run may wait for the end of a life.
        self.is_slow = False
        #: What the running check found so far.
        self.result: CheckResult | None = None
        self._changed = threading.Condition()
        self._later: list[_Later] = []
        self._longest_delay = 0.0
        self._resend_delay = 0.0

    @property
    def waits(self) -> Waits:
        return self.config.waits

    def has(self, need: str) -> bool:
        """Whether the configuration gives what a check needs (:mod:`.needs`)."""
        subject, tester, dialect = self.config.subject, self.config.tester, self.config.dialect
        given = {
            "2c": tester.second is not None,
            "2u": len(subject.users) > 1,
            "rev": bool(subject.revocation_endpoint),
            "api": bool(subject.api),
            "scopes": len(tester.scope.split()) > 1,
            "other": bool(tester.other_scope),
            "agreed": bool(tester.agreed_scope),
            "iss": subject.checks_iss,
            "special": has_special(
                (subject.at_tester if self.config.role == "a" else tester).client_secret
            ),
            "tls": bool(self.config.tls_cert),
            "form": not dialect.body,
            "authenticated": dialect.authenticates,
            "redemption": dialect.redemption == "form",
            "revocation": dialect.revocation,
            "draft": not dialect.name,
            "metadata": bool(subject.issuer),
        }
        if need in given:
            return given[need]
        if need == "authorize" and not subject.authorization_endpoint:
            return False
        return self.driver.supports(need)

    # --- What a check says ---------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Add to the check's report what is worth to know and no fault."""
        if self.result is not None and text not in self.result.notes:
            self.result.notes.append(text)

    def later(self, look: Callable[[], None], at_least: float = 0.0) -> None:
        """Look after the quiet time whether something was not sent. Other checks run meanwhile.

        :param look: raises a finding if it was.
        :param at_least: seconds that it must be quiet, if the quiet time is shorter.
        """
        if self.result is not None:
            self._later.append(_Later(self.result, look, at_least))

    def begin_quiet(self, result: CheckResult) -> None:
        """Let the quiet time of a check begin, because the check has ended."""
        for each in self._later:
            if each.result is result:
                each.due = time.monotonic() + max(self.quiet, each.at_least)

    def settle(self, judge: Callable[[CheckResult, Callable[[], None]], None]) -> None:
        """Wait until all that :meth:`later` has begun can be looked at, and look."""
        while self._later:
            each = min(self._later, key=lambda later: later.due)
            self.pause(each.due - time.monotonic())
            self.result = each.result
            judge(each.result, each.look)
            self._later.remove(each)

    def is_pending(self, result: CheckResult) -> bool:
        """Whether there is still something to look at."""
        return any(each.result is result for each in self._later)

    # --- Time ----------------------------------------------------------------------------------

    @property
    def quiet(self) -> float:
        """The seconds without a request after which something counts as not sent."""
        return max(self.waits.quiet, _QUIETER * self._longest_delay)

    def showed_delay(self, seconds: float) -> None:
        """Keep how long the subject took for what is right, so that quiet is longer."""
        self._longest_delay = max(self._longest_delay, min(seconds, self.waits.redeem))

    def showed_resend(self, seconds: float) -> None:
        """Keep how long the subject waited before it sent something again."""
        self._resend_delay = max(self._resend_delay, min(seconds, self.waits.retry))

    @property
    def resending(self) -> float:
        """The seconds to wait for something to be sent again: the delays between attempts mostly
        grow. Until a check has seen the first delay, it is as long as a retry may take."""
        seen = self._resend_delay
        longest = min(_LATER_AGAIN * seen, self.waits.retry) if seen else self.waits.retry
        return max(self.quiet, longest)

    def pause(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)

    def changed(self) -> None:
        """Wake those that wait for the tester's server."""
        with self._changed:
            self.was_called = True
            self._changed.notify_all()

    def wait_for(self, is_true: Callable[[], object], seconds: float) -> bool:
        """Wait until something is true, for so many seconds at most."""
        end = time.monotonic() + seconds
        with self._changed:
            while not is_true():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.25))
        return True

    def stays_quiet(self, happened: Callable[[], object], at_least: float = 0.0) -> bool:
        """Whether something does not happen in the quiet time, or longer."""
        return not self.wait_for(happened, max(self.quiet, at_least))

    # --- Requests ------------------------------------------------------------------------------

    def send(self, request: Request, note: str = "") -> Response:
        """Send a request, again if the subject asks to wait.

        :param note: what the report says about the exchange.
        :raises Unclear: there is no response, or the subject asks to wait too long.
        """
        busy = (429, 503, self.config.dialect.failure_status)
        for attempt in range(_AGAIN):
            response = self.send_once(request, note)
            wait = retry_after(response) if response.status in busy else None
            if wait is None and response.status == 429:
                wait = _LIMITED * 2**attempt
            if wait is None:
                return response
            if wait > self.waits.max_wait or attempt + 1 == _AGAIN:
                raise Unclear(
                    f"The subject asks to wait {wait:.0f} s (status {response.status}); "
                    f"waits.max_wait is {self.waits.max_wait:.0f}."
                )
            self.note(f"The subject asked to wait {wait:.0f} s (status {response.status}).")
            self.pause(wait + 0.1)
        raise AssertionError("The loop returns or raises.")

    def send_once(self, request: Request, note: str = "") -> Response:
        """Send a request.

        :raises Unclear: there is no response.
        """
        try:
            return self.client.send(request, note=note)
        except NoResponse as error:
            raise Unclear(f"{request.method} {request.url}: {error}.") from error

    def send_at_once(self, request: Request, times: int) -> list[Response]:
        """Send the same request several times at once.

        :raises Broken: one of them gets no response.
        """
        responses: list[Response] = []
        failures: list[str] = []

        def send() -> None:
            try:
                responses.append(self.client.send(request))
            except NoResponse as error:
                failures.append(str(error))

        threads = [threading.Thread(target=send) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise Broken(f"{times} responses.", f"{len(failures)} requests got {failures[0]}.")
        return responses

    # --- The person ----------------------------------------------------------------------------

    def journey(self, journey: Journey, until: Callable[[], object] | None = None) -> Outcome:
        """Let a person do something at the subject.

        :param until: whether the tester's server has seen what the journey leads to.
        :raises Unclear: the person did not get through.
        :raises NotGiven: the driver cannot do it.
        """
        try:
            outcome = self._go(journey, until)
        except JourneyFailed as error:
            raise Unclear(f"{_said(journey)} failed: {error}") from error
        if outcome.status is not None and outcome.status >= 400:
            raise Unclear(f"{_said(journey)} ended with status {outcome.status} at {outcome.url}.")
        return outcome

    def try_journey(self, journey: Journey, until: Callable[[], object] | None = None) -> Outcome:
        """As :meth:`journey`, where the person may end at an error page, or at another page than
        the driver expects.

        :raises Unclear: the person did not come to any page.
        """
        try:
            return self._go(journey, until)
        except JourneyFailed as error:
            if error.outcome is None:
                raise Unclear(f"{_said(journey)} failed: {error}") from error
            self.note(f"{_said(journey)} ended: {error}")
            return error.outcome

    def _go(self, journey: Journey, until: Callable[[], object] | None) -> Outcome:
        try:
            outcome = self.driver.go(journey, lambda: bool(until and until()))
        except Unsupported as error:
            raise NotGiven(f"a driver with the journey {journey.name}: {error}") from error
        except JourneyFailed:
            # Whom the subject has sent to the tester was at the subject, whatever came then.
            self.has_got_through = bool(self.has_got_through) or self.was_called
            raise
        self.has_got_through = True
        return outcome

    def other_user(self) -> str:
        """Return the second user.

        :raises NotGiven: there is none.
        """
        if len(self.config.subject.users) < 2:
            raise NotGiven("a second name in users")
        return self.config.subject.users[1]

    @property
    def user(self) -> str:
        return self.config.subject.users[0]

    def secret(self, value: str, kind: str) -> str:
        """Keep a value out of the reports, let its exchanges belong to the check that runs, and
        return it."""
        if value:
            self.redaction.learn(value, kind)
            self.recorder.own(value)
        return value


def _said(journey: Journey) -> str:
    shown = replace(journey, url="")
    return f"The journey {shown.name}" + (f" of {shown.user}" if shown.user else "")


def has_special(secret: str) -> bool:
    """Whether form-encoding changes a secret (RFC 6749, section 2.3.1)."""
    return any(character in secret for character in ":+%")


def each_done(endings: Iterable[Callable[[], object]]) -> list[str]:
    """Do everything, also after a failure, and return the failures."""
    failures = []
    for end in endings:
        try:
            end()
        except Exception as error:
            failures.append(str(error) or type(error).__name__)
    return failures
