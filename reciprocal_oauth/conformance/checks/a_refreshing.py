"""Party A's own token at party B has expired: it is refreshed before a hand-over (RFC 6749, section
6)."""

from typing import Any

from ..party_a import PartyA
from ..party_a.serving import Flow, Plan
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity

#: Seconds in which a token that lives for a second ends.
_ENDED = 1.5
_NEEDS = "update scopes"


def _updated(a: PartyA, times: int, **refreshed: Any) -> Flow:
    """Issue tokens that live for a second, and let the user allow more so often after their end.

    :param refreshed: members of the response to a refresh.
    :returns: the visit. Its refreshes are those after the first hand-over.
    :raises NotGiven: party A does not send a code then.
    :raises Broken: it does not after such a refresh.
    """
    part, whole = a.scopes()[:1], a.scopes()
    plan = Plan(issued={"expires_in": 1}, refreshed={"expires_in": 1, **refreshed})
    flow, _ = a.linked(scopes=part, plan=plan)
    # It may have ended before the user had allowed.
    has_refreshed = bool(flow.refreshes)
    flow.refreshes.clear()
    for number in range(times):
        a.pause(_ENDED)
        if number:
            a.update(part)
            a.stays_quiet(lambda: False)
        sent = len(flow.handovers)
        a.update(whole)
        if not a.wait_for(lambda: len(flow.handovers) > sent, a.waits.send):  # noqa: B023
            if refreshed and (has_refreshed or flow.refreshes):
                raise Broken("A hand-over after the refresh.", f"None in {a.waits.send:.0f} s.")
            raise NotGiven("a subject that sends a code when the user allows more (A-UPD-1)")
        a.redeem(flow.handovers[-1])
    return flow


@check("A-TOK-1", Severity.SHOULD, draft="2.2.2/6", rfc="6749 6", threats="T1", needs=_NEEDS)
def refreshed_before(a: PartyA) -> None:
    """An expired access token is refreshed before the hand-over.

    Does: issues tokens that live for a second, waits, and lets the user allow more.

    Expects: a refresh, and a hand-over with the new access token: party B refuses an expired one.
    """
    flow = _updated(a, 1)
    if not flow.refreshes:
        raise Broken("A refresh.", "The hand-over has the expired access token.")
    if flow.handovers[-1].access_token != flow.tokens[-1]:
        raise Broken("The new access token.", "The hand-over has the expired one.")


@check("A-TOK-2", Severity.MUST, rfc="6749 6; 9700 4.14.2", threats="T2", needs=_NEEDS)
def newest_refresh_token(a: PartyA) -> None:
    """A new refresh token takes the place of the old one.

    Does: answers refreshes with another refresh token, and lets the user allow more twice.

    Expects: the second refresh has the refresh token of the first one.
    """
    flow = _updated(a, 2)
    if len(flow.refreshes) < 2:
        raise NotGiven("a subject that refreshes its tokens (A-TOK-1)")
    if flow.refreshes[-1] == flow.refreshes[0]:
        raise Broken("The new refresh token.", "The old one was sent again.")


@check("A-TOK-3", Severity.SHOULD, rfc="6749 6", threats="T2", needs=_NEEDS)
def refresh_token_is_kept(a: PartyA) -> None:
    """A refresh without a new refresh token leaves the old one.

    Does: answers refreshes without a refresh token, and lets the user allow more twice.

    Expects: two refreshes with the refresh token that party A has.
    """
    flow = _updated(a, 2, refresh_token=None)
    if not flow.refreshes:
        raise NotGiven("a subject that refreshes its tokens (A-TOK-1)")
    if len(flow.refreshes) < 2:
        raise Broken("Two refreshes.", "There was one.")
