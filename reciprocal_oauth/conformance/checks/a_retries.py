"""The hand-over fails: what party A does then."""

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial

from ..party_a import PartyA
from ..party_a.serving import Flow, Plan
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear
from ..wire.server import Reply

_WAIT = 3
#: Seconds after which the tester ends a connection on which it said nothing.
_SILENCE = 20.0

_FAILURE = Reply.text("Failure on purpose.", 500)


def first_sent(a: PartyA, *answers: Reply | Callable[[], Reply]) -> Flow:
    """Let a user link, and wait until a hand-over got the first of these answers."""
    flow = a.link(plan=Plan(answers=list(answers)), may_fail=True)
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        raise Unclear("No hand-over came (A-CODE-1).")
    return flow


def _busy(status: int) -> Reply:
    """Ask to wait, by a number of seconds or by a date."""
    if status == 429:
        return Reply(status, [("Retry-After", str(_WAIT))])
    # A date has no parts of a second.
    date = formatdate(time.time() + _WAIT + 1, usegmt=True)
    return Reply(status, [("Retry-After", date)])


def _comes_again(a: PartyA, flow: Flow, more: float = 0) -> bool:
    return a.wait_for(lambda: len(flow.handovers) > 1, a.waits.retry + more)


@check("A-RETRY-1", Severity.SHOULD, draft="2.2.2/11", threats="R3 K4")
def failure(a: PartyA) -> None:
    """A hand-over that fails is sent again.

    Does: answers the hand-over with status 500; for a new link it closes the connection; with
    --slow it says nothing for 20 seconds.

    Expects: another hand-over each time.
    """
    failures = {"status 500": _FAILURE, "a reset": Reply(is_reset=True)}
    if a.is_slow:
        failures["silence"] = Reply(is_reset=True, delay=_SILENCE)
    for what, reply in failures.items():
        flow = first_sent(a, reply, Reply.json())
        if not _comes_again(a, flow, reply.delay):
            raise Broken(f"Another hand-over after {what}.", f"None in {a.waits.retry:.0f} s.")
        if not reply.delay:
            # After a silence nobody knows when party A stopped waiting.
            a.showed_resend(flow.handovers[1].at - flow.handovers[0].at)
        a.redeem(flow.handovers[-1])


@check(
    "A-RETRY-2", Severity.SHOULD, draft="2.2.2/1", rfc="6749 4.1.2", threats="R3 C7", negative=True
)
def another_code(a: PartyA) -> None:
    """A hand-over that is sent again has another code.

    Does: answers the hand-over with status 500, and redeems the code that comes then.

    Expects: two different codes; the new one gives tokens.
    """
    flow = _sent_twice(a)
    old, new = flow.handovers[0], flow.handovers[1]
    if old.code == new.code:
        raise Broken("Another code.", "The same code was sent again.")
    response = a.redeem(new)
    if response.status != 200:
        raise Broken("The new code gives tokens.", f"It was answered with {response}.")


@check("A-RETRY-8", Severity.SHOULD, draft="2.2.2/1", threats="R3 C7", negative=True)
def old_code(a: PartyA) -> None:
    """The code of a hand-over that failed cannot be redeemed after another one was sent.

    Does: answers the hand-over with status 500, and redeems the first code after the second
    hand-over came.

    Expects: a refusal. No RFC demands it, so tokens are a warning: nobody watches the first of two
    codes for one consent.
    """
    flow = _sent_twice(a)
    old, new = flow.handovers[0], flow.handovers[1]
    if old.code == new.code:
        raise NotGiven("a subject that sends another code (A-RETRY-2)")
    a.must_not_give_tokens(a.redemption(old.code), "The old code")


def _sent_twice(a: PartyA) -> Flow:
    flow = first_sent(a, _FAILURE, Reply.json())
    if not _comes_again(a, flow):
        raise NotGiven("a subject that sends a failed hand-over again (A-RETRY-1)")
    a.showed_resend(flow.handovers[1].at - flow.handovers[0].at)
    return flow


@check("A-RETRY-3", Severity.SHOULD, rfc="9110 10.2.3", threats="R4")
def waits_as_asked(a: PartyA) -> None:
    """A hand-over is not sent again sooner than party B asks.

    Does: answers the hand-over with status 429 and Retry-After: 3, and for a new link with 503 and
    the date in 3 to 4 seconds.

    Expects: a second hand-over, and not in less than 3 seconds.
    """
    for status in (429, 503):
        flow = first_sent(a, partial(_busy, status), Reply.json())
        if not _comes_again(a, flow, _WAIT):
            raise Broken(f"Another hand-over after {status}.", f"None in {a.waits.retry:.0f} s.")
        waited = flow.handovers[1].at - flow.handovers[0].at
        a.redeem(flow.handovers[1])
        if waited < _WAIT - 0.2:
            raise Broken(f"{_WAIT} s or more after {status}.", f"It came after {waited:.1f} s.")
