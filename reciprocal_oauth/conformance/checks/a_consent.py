"""Party A obtains consent from the user (section 2.2.1)."""

from ..party_a import PartyA
from ..party_a.serving import Plan
from ..registry import check
from ..verdicts import Broken, Severity, Unclear

_CONSENT = "2.2/1 2.2.1/1"


@check("A-CON-1", Severity.MUST, draft=_CONSENT, negative=True)
def question(a: PartyA) -> None:
    """The user is asked before a code is handed over.

    Does: lets the user come to the question, and leaves it open.

    Expects: the page asks, and no code is handed over.
    """
    flow = a.link("look")
    a.must_not_send(flow, "The question is open")
    if a.outcome.consent is False:
        raise Broken("A page that asks for consent.", f"{a.outcome.url} does not ask.")
    if a.outcome.consent is None:
        a.note("The driver does not say whether the page asks.")


@check("A-CON-2", Severity.MUST, draft=_CONSENT, threats="L12", negative=True)
def denied(a: PartyA) -> None:
    """A user who denies hands nothing over.

    Does: lets the user deny.

    Expects: no code is handed over.
    """
    flow = a.link("deny")
    a.must_not_send(flow, "The user denied")


@check(
    "A-CON-3",
    Severity.SECURITY,
    draft=_CONSENT,
    rfc="6749 10.12",
    threats="L13",
    needs="forge",
    negative=True,
)
def forged(a: PartyA) -> None:
    """A page of another site cannot answer for the user.

    Does: lets the user come to the question; then the answer is sent by GET, and by POST without
    what protects the form.

    Expects: no code is handed over. Cookies are sent although they may be marked SameSite, because
    not every page of an attacker is on another site.
    """
    for how, what in (("get", "A consent by GET"), ("post", "A consent without protection")):
        flow = a.forge(how)
        a.must_not_send(flow, what)


@check(
    "A-CON-4",
    Severity.SECURITY,
    draft=_CONSENT,
    threats="L13 H12",
    needs="forge 2u",
    negative=True,
)
def other_users_answer(a: PartyA) -> None:
    """Another user cannot answer for the user.

    Does: lets the user come to the question; then another user's browser sends the answer.

    Expects: no code is handed over.
    """
    flow = a.forge("other", a.other_user())
    a.must_not_send(flow, "Another user's answer")


@check(
    "A-CON-5",
    Severity.SECURITY,
    draft="2.2.1/1 2.2.1/2",
    threats="L10 S1",
    needs="scopes",
    negative=True,
)
def more_is_asked_later(a: PartyA) -> None:
    """A user who allowed a part is asked before more is granted.

    Does: asks one scope and lets the user allow it. Then the user links again, without an end
    before; the tester asks all scopes, and the user leaves the question open.

    Expects: no code that gives more than the user allowed.
    """
    part, whole = a.scopes()[:1], a.scopes()
    a.handed_over(plan=Plan(reciprocal=part[0]), scopes=part)
    flow = a.link("look", plan=Plan(reciprocal=" ".join(whole)), may_fail=True, keeps=True)
    if not a.wait_for(lambda: flow.token_requests, a.waits.send):
        raise Unclear("Party A did not exchange the code of the authorization response.")
    if a.stays_quiet(lambda: flow.handovers):
        return
    tokens = a.redeemed(flow.handovers[-1])
    if tokens.scope is None:
        raise Unclear("A code came, and its token response does not say the scope.")
    if tokens.scopes - set(part):
        raise Broken("A question for the other scopes.", f"scope={tokens.scope} was granted.")
    a.note("What was allowed before was handed over again without a question.")
