"""The code that party A issues: who may redeem it, how often, and until when."""

from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict

_CODE = "2/5 2.2.2/1"


@check("A-CODE-2", Severity.MUST, draft=_CODE, rfc="6749 4.1.2", threats="C7", negative=True)
def redeemed_twice(a: PartyA) -> None:
    """A code is redeemed once.

    Does: redeems a code, and redeems it again.

    Expects: status 400 to the second request.
    """
    _, handover = a.handed_over()
    a.redeemed(handover)
    a.must_not_give_tokens(a.redemption(handover.code), "The second redemption")


@check(
    "A-CODE-3",
    Severity.SECURITY,
    draft=_CODE,
    rfc="6749 4.1.2; 9700 4.5",
    threats="C7",
    needs="api",
    negative=True,
)
def tokens_after_a_replay(a: PartyA) -> None:
    """The second redemption of a code ends its tokens.

    Does: redeems a code twice, and uses the tokens of the first redemption.

    Expects: the API answers 401, and the refresh is refused.
    """
    _, handover = a.handed_over()
    tokens = a.redeemed(handover)
    a.must_work(tokens)
    a.send(a.redemption(handover.code))
    a.must_be_dead(tokens, what="After the second redemption")


@check(
    "A-CODE-4",
    Severity.MUST,
    draft=_CODE,
    rfc="6749 4.1.3",
    threats="C6",
    needs="2c",
    negative=True,
)
def other_client(a: PartyA) -> None:
    """Another client cannot redeem the code.

    Does: redeems a code with the second client, then with the right one.

    Expects: 4xx to the second client; status 200 to the right one. A code that is used up then is
    a warning: no RFC forbids it, but others can make codes useless.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code, client=a.second_client())
    a.must_not_give_tokens(request, "Another client", (400, 401, 403))
    response = a.send(a.redemption(handover.code))
    if response.status != 200:
        raise Broken(
            "The right client gets tokens.",
            f"It was answered with {response}.",
            at_worst=Verdict.WARN,
        )


@check("A-CODE-5", Severity.MUST, draft=_CODE, rfc="6749 3.2.1", threats="B1", negative=True)
def wrong_secret(a: PartyA) -> None:
    """The client must authenticate to redeem the code.

    Does: redeems a code with a wrong secret, and without a secret.

    Expects: status 401 or 400 both times.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code, client=a.config.tester.with_wrong_secret())
    a.must_not_give_tokens(request, "A wrong secret", (400, 401))
    request = a.redemption(handover.code, way="none")
    a.must_not_give_tokens(request, "No secret", (400, 401))


@check(
    "A-CODE-6",
    Severity.MUST,
    draft=_CODE,
    rfc="6749 4.1.2",
    threats="C11",
    negative=True,
    slow=True,
)
def expired(a: PartyA) -> None:
    """An expired code is refused.

    Does: waits longer than the life of a code (waits.code_lifetime), and redeems it.

    Expects: status 400.
    """
    life = a.waits.code_lifetime
    if not 0 < life <= a.waits.max_wait:
        raise NotGiven(f"waits.code_lifetime, at most waits.max_wait ({a.waits.max_wait:.0f} s)")
    _, handover = a.handed_over()
    a.pause(life + 2)
    a.must_not_give_tokens(a.redemption(handover.code), "An expired code")


@check("A-CODE-7", Severity.SECURITY, draft=_CODE, rfc="9700 4.8.2", threats="C5", negative=True)
def verifier(a: PartyA) -> None:
    """A code without a challenge is not redeemed with a verifier.

    Does: redeems a code with a code_verifier.

    Expects: status 400. Whoever sends one has put the code into another flow.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code, more=[("code_verifier", "v" * 43)])
    a.must_not_give_tokens(request, "A code_verifier")


@check("A-CODE-8", Severity.MUST, draft=_CODE, rfc="6749 3.2", threats="P7", negative=True)
def get(a: PartyA) -> None:
    """A code is not redeemed by GET.

    Does: sends the right parameters in the query of a GET.

    Expects: 4xx.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code)
    headers = [pair for pair in request.headers if pair[0].lower() != "content-type"]
    url = f"{request.url}{'&' if '?' in request.url else '?'}{request.body.decode()}"
    a.must_not_give_tokens(type(request)("GET", url, headers), "GET", tuple(range(400, 500)))


@check(
    "A-CODE-9",
    Severity.SECURITY,
    draft="2.2.1/2 2.2.2/1",
    rfc="6749 3.3; 6749 6",
    threats="C15 S1",
    needs="scopes",
    negative=True,
)
def more_scope(a: PartyA) -> None:
    """Redemption and refresh give no more scope than the user allowed.

    Does: lets the user allow a part, and asks all at the redemption and at a refresh.

    Expects: no more than the user allowed.
    """
    allowed = a.scopes()[:1]
    _, handover = a.handed_over(scopes=allowed)
    more = [("scope", " ".join(a.scopes()))]
    response = a.send(a.redemption(handover.code, more=more))
    if response.status != 200:
        a.note(f"The redemption with scope was answered with {response}.")
        _, tokens = a.linked(scopes=allowed)
    else:
        tokens = a.tokens(response)
    _must_have_no_more(tokens.scope, allowed, "redemption")
    if not tokens.refresh_token:
        return
    response = a.refresh(tokens, more)
    if response.status == 200:
        _must_have_no_more(a.tokens(response).scope, allowed, "refresh")


def _must_have_no_more(scope: str | None, allowed: list[str], what: str) -> None:
    if scope is None:
        # RFC 6749, section 5.1: without scope, it is what the request asked.
        raise Broken(f"scope={' '.join(allowed)}.", f"The response to the {what} has no scope.")
    if not set(scope.split()) <= set(allowed):
        raise Broken(f"scope={' '.join(allowed)}.", f"The {what} gives scope={scope}.")


@check("A-CODE-10", Severity.SECURITY, draft=_CODE, rfc="6749 4.1.2", threats="C10", negative=True)
def five_at_once(a: PartyA) -> None:
    """A code that is redeemed five times at once gives tokens once.

    Does: sends the right redemption five times at once.

    Expects: one 200, and never 5xx.
    """
    _, handover = a.handed_over()
    responses = a.send_at_once(a.redemption(handover.code), 5)
    statuses = sorted(response.status for response in responses)
    if any(status >= 500 and status != 503 for status in statuses):
        raise Broken("Never 5xx.", f"The statuses are {statuses}.")
    if statuses.count(200) > 1:
        raise Broken("One 200.", f"The statuses are {statuses}.")
    if 200 not in statuses:
        if 429 in statuses or 503 in statuses:
            raise Unclear(f"The statuses are {statuses}.")
        raise Broken("One 200.", f"The statuses are {statuses}.")


@check("A-CODE-11", Severity.SECURITY, draft=_CODE, threats="C17", negative=True)
def not_the_same_code(a: PartyA) -> None:
    """A code in other letter case, or with a blank behind it, is refused.

    Does: redeems a code with capitals and small letters exchanged, and with a blank behind it.

    Expects: status 400. Some databases ignore letter case, and find it. The code with the blank is
    a warning: some frameworks take blanks away.
    """
    _, handover = a.handed_over()
    other_case = a.secret(handover.code.swapcase(), "code")
    if other_case != handover.code:
        a.must_not_give_tokens(a.redemption(other_case), "A code in other letter case")
    response = a.send(a.redemption(a.secret(handover.code + " ", "code")))
    if response.status != 400:
        raise Broken(
            "A code with a blank is answered with 400.",
            f"It was answered with {response}.",
            at_worst=Verdict.WARN if response.status == 200 else Verdict.FAIL,
        )
