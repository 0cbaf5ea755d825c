"""The same hand-over again: party A repeats it if it did not get the response."""

from .. import made_up
from ..party_b import PartyB
from ..registry import check
from ..verdicts import Broken, Severity, Unclear, Verdict


@check("B-REP-1", Severity.SHOULD, draft="2.2.2/11", threats="B12 K4 K6")
def same_again(b: PartyB) -> None:
    """The same hand-over again is accepted.

    Does: sends the same request twice, as a party A does that did not get the first response. The
    code can be redeemed once.

    Expects: status 200 both times: the request is valid, and has been carried out.
    """
    code = b.linked(b.tokens(), b.refusal())
    b.must_accept(code, what="The same request again")


@check("B-REP-2", Severity.SECURITY, rfc="6749 4.1.2", threats="B12 C7", negative=True)
def redeemed_once_for_two(b: PartyB) -> None:
    """The same hand-over again leads to no second redemption.

    Does: sends the same request twice.

    Expects: one token request with the code. Party A may take a second one for theft, and revoke
    the tokens.
    """
    code = b.linked()
    b.hand_over(code)
    b.must_redeem_at_most(code, 1)


@check(
    "B-REP-3",
    Severity.SECURITY,
    draft="2.2.2/7 2.2.2/11",
    threats="B12 B16 H12",
    needs="2u",
    negative=True,
)
def same_code_for_another_user(b: PartyB) -> None:
    """A code that was taken for one user is not taken for another.

    Does: hands a code over with the first user's access token, and again with the second user's.

    Expects: status 400 to the second request, and no second redemption.
    """
    b.access(b.other_user())
    code = b.linked()
    response = b.send(b.right(code, b.access(b.other_user())))
    b.must_redeem_at_most(code, 1)
    has_failed = response.status >= 500 and response.status != b.config.dialect.failure_status
    if b.is_accepted(response) or has_failed:
        raise Broken("Status 400.", f"The second request was answered with {response}.")


@check("B-REP-5", Severity.SHOULD, draft="2.2.2/11", threats="B12 B7")
def code_after_a_refusal(b: PartyB) -> None:
    """A hand-over that is refused does not use the code up.

    Does: hands a code over with an access token that nobody has issued, and then rightly.

    Expects: the right request is accepted, and the code is redeemed.
    """
    code = b.plan()
    wrong = b.request(b.parameters(code, b.secret(made_up.value(), "access_token")))
    if b.is_accepted(b.send(wrong)):
        raise Unclear("Party B takes an unknown access token (B-TOK-2).")
    b.must_accept(code, what="The right hand-over after a wrong one")
    b.must_redeem(code)


_MANY = 20


@check(
    "B-REP-4", Severity.SECURITY, draft="2.2.2/11", rfc="6749 4.1.2", threats="B12", negative=True
)
def many_at_once(b: PartyB) -> None:
    """Twenty equal hand-overs at once are one.

    Does: sends the same right request twenty times at once.

    Expects: status 200, 429 or 503 each time; one redemption in all. Status 400 is a warning, as at
    B-REP-1.
    """
    code = b.plan()
    request = b.right(code)
    b.must_redeem_at_most(code, 1)
    responses = b.send_at_once(request, _MANY)
    code.handed_over_at = b.recorder.now()
    usual = (200, 429, 503, b.config.dialect.failure_status)
    odd = {str(each) for each in responses if each.status not in usual}
    if odd:
        refused = all(each.status < 500 for each in responses if each.status not in usual)
        raise Broken(
            "Status 200, 429 or 503.",
            "; ".join(sorted(odd)),
            at_worst=Verdict.WARN if refused else Verdict.FAIL,
        )
    if not any(b.is_accepted(each) for each in responses):
        # All were too many for party B: once more, when it lets the tester.
        b.must_be_taken(code)
    b.must_redeem(code)
