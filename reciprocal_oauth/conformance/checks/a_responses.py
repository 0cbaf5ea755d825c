"""Responses to the hand-over that mean "taken", and those that lead elsewhere."""

from ..party_a import PartyA
from ..party_a.serving import Plan
from ..registry import check
from ..verdicts import Broken, Severity, Unclear
from ..wire.server import Reply


@check("A-RETRY-7", Severity.SHOULD, draft="2.2.2/11", threats="R5", negative=True)
def odd_responses(a: PartyA) -> None:
    """Status 200 means that the hand-over was taken, whatever the body is.

    Does: answers hand-overs with 200 and HTML, with nothing, and with an empty object, and redeems
    the codes.

    Expects: no second hand-over, not even after the time in which a failed one comes again.
    """
    html = Reply(200, [("Content-Type", "text/html")], b"<!doctype html><p>Thank you</p>")
    for what, reply in (("HTML", html), ("no body", Reply(200)), ("{}", Reply.json())):
        flow, handover = a.handed_over(plan=Plan(answers=[reply]))
        a.redeem(handover)
        if not a.stays_quiet(lambda: len(flow.handovers) > 1, a.resending / 2):  # noqa: B023
            raise Broken("One hand-over.", f"It came again after 200 with {what}.")


@check("A-RETRY-5", Severity.SECURITY, rfc="9700 4.12", threats="R6 H6", negative=True)
def redirect(a: PartyA) -> None:
    """A redirect of the hand-over is not followed.

    Does: answers the hand-over with status 307 and another address.

    Expects: no request there: it would hold the code, the access token and the secret.
    """
    path = "/elsewhere-" + a.recorder.current.lower()
    a.recorder.own(path)
    reply = Reply.redirect(a.config.base_url + path, 307)
    flow = a.link(plan=Plan(answers=[reply]), may_fail=True)
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        raise Unclear("No hand-over came (A-CODE-1).")
    if not a.stays_quiet(lambda: any(stray.path == path for stray in a.strays)):
        raise Broken("No request to the other address.", "A request came.")


@check("A-RETRY-6", Severity.INFORMATION, draft="2.2.2/12", threats="K7", slow=True)
def never_redeemed(a: PartyA) -> None:
    """What follows if the code is never redeemed.

    Does: answers the hand-over with 200, and does not redeem the code for longer than its life.

    Expects: nothing. It reports whether another code comes.
    """
    flow, _ = a.handed_over()
    seconds = min(a.waits.code_lifetime + a.waits.retry, a.waits.max_wait)
    again = a.wait_for(lambda: len(flow.handovers) > 1, seconds)
    a.note("Another code came." if again else f"No other code came in {seconds:.0f} s.")
