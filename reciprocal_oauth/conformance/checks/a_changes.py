"""The user changes what is allowed (section 3), and ends the link."""

from ..config import Api
from ..party_a import PartyA
from ..party_a.redeeming import Tokens, is_self_contained
from ..party_a.serving import Flow, Plan
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.client import Response
from ..wire.server import Reply

_UPDATE = "3/1 3/2 3/3"
#: The hand-overs that two updates lead to, if the first one is sent again.
_UPDATES = 3


def _first_and_all(a: PartyA) -> tuple[list[str], list[str]]:
    scopes = a.scopes()
    if len(scopes) < 2:
        raise NotGiven("two scopes in tester.at_subject.scope")
    return scopes[:1], scopes


@check("A-UPD-1", Severity.SHOULD, draft=_UPDATE, threats="S3", needs="update scopes")
def more_is_allowed(a: PartyA) -> None:
    """A user who allows more leads to a new code.

    Does: lets the user allow a part, then all, and redeems the new code.

    Expects: another code, whose tokens have the whole scope. The draft says that party A "can"
    send it.
    """
    part, whole = _first_and_all(a)
    flow, _ = a.linked(scopes=part)
    tokens = _updated(a, flow, whole)
    if tokens is None:
        raise Broken("Another code.", f"None came in {a.waits.send:.0f} s.")
    if tokens.scope is not None and tokens.scopes != set(whole):
        raise Broken(f"scope={' '.join(whole)}.", f"scope={tokens.scope}.")


def _updated(a: PartyA, flow: Flow, scopes: list[str]) -> Tokens | None:
    """Let the user change the scope, and redeem the code that comes, if one comes."""
    sent = len(flow.handovers)
    a.update(scopes)
    if not a.wait_for(lambda: len(flow.handovers) > sent, a.waits.send):
        return None
    return a.redeemed(flow.handovers[-1])


@check(
    "A-UPD-2", Severity.SECURITY, draft=_UPDATE, threats="S4", needs="update scopes", negative=True
)
def less_is_allowed(a: PartyA) -> None:
    """A scope that the user takes away is gone at once.

    Does: lets the user allow all, then a part; uses the old tokens at the API, and refreshes them.

    Expects: the scope that was taken away is gone in both.
    """
    part, whole = _first_and_all(a)
    flow, tokens = a.linked()
    if tokens.scope is not None and not set(whole) <= tokens.scopes:
        raise Unclear(f"The user allowed all, and the token response has scope={tokens.scope}.")
    taken = set(whole) - set(part)
    apis = [api for api in a.config.subject.api if api.scope in taken]
    for api in apis:
        if a.call(tokens.access_token, api).status >= 400:
            raise Unclear(f"{api.url} refused the token before the change, too.")
    sent = len(flow.handovers)
    a.update(part)
    _must_refuse_at(a, apis, tokens)
    if tokens.refresh_token:
        _must_have_less(a, a.refresh(tokens), taken, "refresh")
    if a.stays_quiet(lambda: len(flow.handovers) > sent):
        a.note("No code came for the smaller scope.")
    else:
        _must_have_less(a, a.redeem(flow.handovers[-1]), taken, "new code")
    if not apis:
        a.note("The API was not tried: no address of subject.api names the scope.")


def _must_refuse_at(a: PartyA, apis: list[Api], tokens: Tokens) -> None:
    for api in apis:
        response = a.call(tokens.access_token, api)
        if response.status not in (401, 403):
            raise Broken(
                "The API refuses (403 or 401).",
                f"{api.url} answers {response}.",
                at_worst=Verdict.WARN if is_self_contained(tokens) else Verdict.FAIL,
            )


def _must_have_less(a: PartyA, response: Response, taken: set[str], what: str) -> None:
    """See that the tokens that a refresh or a code gives have nothing of what was taken away."""
    if response.status != 200:
        return
    tokens = a.tokens(response)
    if tokens.scopes & taken:
        raise Broken(f"A {what} without the scope.", f"scope={tokens.scope}.")
    apis = [api for api in a.config.subject.api if api.scope in taken]
    if tokens.scope is None and not apis:
        # Without scope, it is that of before (RFC 6749, section 6): only the API could show it.
        raise Unclear(f"The response to the {what} has no scope, and no API was given for it.")
    _must_refuse_at(a, apis, tokens)


@check(
    "A-UPD-3", Severity.SECURITY, draft=_UPDATE, threats="S10", needs="update scopes", negative=True
)
def last_update_counts(a: PartyA) -> None:
    """The last of two quick updates counts.

    Does: lets the user allow all and then a part again, one right after the other; answers the
    first of these hand-overs with status 500, and redeems every code that comes.

    Expects: no token that works has more than the last update allowed.
    """
    part, whole = _first_and_all(a)
    failure = Reply.text("Failure on purpose.", 500)
    plan = Plan(answers=[Reply.json(), failure, Reply.json()])
    flow, first = a.linked(scopes=part, plan=plan)
    sent = len(flow.handovers)
    a.update(whole)
    a.update(part)
    taken = set(whole) - set(part)
    responses: list[Response] = []
    wait = a.waits.send
    # Both updates, and the first one again. Each code is redeemed as it comes: it may live shortly.
    while len(responses) < _UPDATES and a.wait_for(
        lambda: len(flow.handovers) > sent + len(responses), wait
    ):
        responses.append(a.redeem(flow.handovers[sent + len(responses)]))
        _must_have_less(a, responses[-1], taken, "new code")
        wait = max(a.quiet, a.resending)
    if not responses:
        _must_have_less(a, a.refresh(first), taken, "refresh")
        a.note("No code came: the scope ended as it was.")
    elif all(response.status != 200 for response in responses):
        raise Unclear("No code of the updates gave tokens. Perhaps their life is too short.")


@check("A-UPD-4", Severity.SHOULD, draft=_UPDATE, threats="S10", needs="update scopes")
def last_update_is_sent_last(a: PartyA) -> None:
    """The last hand-over has the last update.

    Does: lets the user allow a part, answers that hand-over with status 500, and lets the user
    allow all before it comes again.

    Expects: the last hand-over gives the whole scope.
    """
    part, whole = _first_and_all(a)
    failure = Reply.text("Failure on purpose.", 500)
    flow, _ = a.linked(scopes=whole, plan=Plan(answers=[Reply.json(), failure, Reply.json()]))
    sent = len(flow.handovers)
    a.update(part)
    if not a.wait_for(lambda: len(flow.handovers) > sent, a.waits.send):
        raise NotGiven("a subject that sends a code when the user allows less")
    sent = len(flow.handovers)
    a.update(whole)
    if not a.wait_for(lambda: len(flow.handovers) > sent, a.waits.send):
        raise NotGiven("a subject that sends a code when the user allows more (A-UPD-1)")
    # Each code is redeemed as it comes: it may live shortly.
    response = a.redeem(flow.handovers[sent])
    if a.wait_for(lambda: len(flow.handovers) > sent + 1, a.resending):
        response = a.redeem(flow.handovers[-1])
    if response.status != 200:
        raise Broken("Tokens for the last code.", f"It was answered with {response}.")
    scope = a.tokens(response).scope
    if scope is not None and set(scope.split()) != set(whole):
        raise Broken(f"scope={' '.join(whole)}.", f"The last hand-over gives scope={scope}.")


@check("A-END-4", Severity.SECURITY, draft="3/1", threats="T3", needs="end", negative=True)
def nothing_sent_after_the_end(a: PartyA) -> None:
    """A hand-over that waits to be sent again ends with the link.

    Does: answers the hand-over with status 503, and lets the user end the link.

    Expects: no other hand-over. One whose code gives no tokens is a warning.
    """
    flow = a.link(plan=Plan(answers=[Reply.text("Failure on purpose.", 503)]), may_fail=True)
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        raise Unclear("No hand-over came (A-CODE-1).")
    a.end()
    sent = len(flow.handovers)
    if a.stays_quiet(lambda: len(flow.handovers) > sent, a.resending):
        return
    response = a.redeem(flow.handovers[-1])
    if response.status == 200:
        raise Broken("No code that gives tokens.", "A code came after the end, and gave tokens.")
    raise Broken(
        "No hand-over after the end.",
        "One came. Its code gives no tokens.",
        at_worst=Verdict.WARN,
    )


@check(
    "A-END-3",
    Severity.MUST,
    draft="3/1",
    rfc="7009 2",
    threats="T4",
    needs="rev api",
    negative=True,
)
def revoked_by_party_b(a: PartyA) -> None:
    """Tokens that party B revokes do not work, and no code comes by itself.

    Does: revokes the tokens at party A.

    Expects: the API answers 401, and no new code comes.
    """
    flow, tokens = a.linked()
    a.must_work(tokens)
    response = a.revoke(tokens)
    if response.status != 200:
        raise Broken("Status 200.", f"The revocation was answered with {response}.")
    sent = len(flow.handovers)
    a.must_be_dead(tokens, what="After the revocation", api_at_worst=Verdict.WARN)
    if not a.stays_quiet(lambda: len(flow.handovers) > sent):
        raise Broken("No new code by itself.", "Another code came.")


@check("A-END-1", Severity.SECURITY, draft="3/1", threats="T3 T4", needs="end", negative=True)
def ended_by_the_user(a: PartyA) -> None:
    """Nothing works after the user has ended the link.

    Does: redeems a code, lets the user end the link, and tries tokens and code. Then it lets the
    user link and end again, and tries a code that was not redeemed.

    Expects: the API answers 401; refresh and code are refused.
    """
    _, handover = a.handed_over()
    tokens = a.redeemed(handover)
    a.end()
    a.must_be_dead(tokens, what="After the end")
    _, unredeemed = a.handed_over()
    a.end()
    a.must_not_give_tokens(a.redemption(unredeemed.code), "A code after the end")


@check("A-END-2", Severity.SHOULD, draft="3/1", rfc="7009 2", threats="T4", needs="end")
def revokes_at_the_end(a: PartyA) -> None:
    """Party A revokes the tokens of party B when the user ends the link.

    Does: lets the user link, and end the link.

    Expects: a revocation request with a token that the tester issued in this visit.
    """
    flow, handover = a.handed_over()
    a.redeem(handover)
    a.end()
    if not a.wait_for(lambda: flow.revoked, a.waits.send):
        raise Broken("A revocation of the tokens (RFC 7009).", "No revocation came.")
