"""The tester's token endpoint fails, refuses, redirects, or answers nonsense."""

from .. import made_up
from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..verdicts import Broken, Severity, Unclear
from ..wire.client import Response
from ..wire.server import Received, Reply

#: How often a code that is refused may be sent.
_OFTEN = 3
_WAIT = 3
#: Seconds in which quick attempts come.
_AGAIN_AT_ONCE = 8.0


@check("B-RETRY-1", Severity.SHOULD, draft="2.2.2/12", rfc="6749 5.2", threats="R3 K7")
def redeems_again(b: PartyB) -> None:
    """A redemption that fails is tried again.

    Does: answers the first redemption with status 500, the second one with tokens.

    Expects: a second redemption.
    """
    b.require_answer_first()
    code = b.handed_over(b.reply(Reply.text("Failure on purpose.", 500)), b.tokens())
    b.must_redeem(code, times=2)


@check("B-RETRY-6", Severity.SHOULD, draft="2.2.2/12", threats="R3 K7")
def redeems_again_without_an_answer(b: PartyB) -> None:
    """A redemption without an answer is tried again.

    Does: closes the connection of the first redemption, and answers the second one with tokens.

    Expects: a second redemption. The tester did not redeem the code at the first one.
    """
    b.require_answer_first()
    code = b.handed_over(b.reply(Reply(is_reset=True)), b.tokens())
    b.must_redeem(code, times=2)


@check("B-RETRY-2", Severity.SECURITY, rfc="6749 5.2", threats="R3", negative=True)
def gives_a_refused_code_up(b: PartyB) -> None:
    """A code that is refused is given up.

    Does: answers each redemption with invalid_grant.

    Expects: at most three redemptions. In a dialect that redeems first, the hand-over is refused.
    """
    code = b.plan(b.refusal())
    response = b.must_be_taken(code)
    b.must_redeem(code)
    # Not while another code of the link comes: it may take the place of this one.
    b.stays_quiet(lambda: len(code.redemptions) > _OFTEN, min(b.waits.retry, _AGAIN_AT_ONCE))
    # The delays between attempts grow.
    b.must_redeem_at_most(code, _OFTEN, at_least=b.waits.retry)
    if b.config.dialect.redeems_first and b.is_accepted(response):
        raise Broken(
            "A refusal: an accepted hand-over means that the code is redeemed.",
            f"It was answered with {response}.",
        )


@check("B-RETRY-3", Severity.SECURITY, rfc="9700 4.12", threats="H6 R6", negative=True)
def follows_no_redirect(b: PartyB) -> None:
    """A redirect of the token endpoint is not followed.

    Does: answers the redemption with status 307 and another address.

    Expects: no request there: it would hold the code and party B's secret.
    """
    path = "/" + made_up.value("elsewhere-")
    b.recorder.own(path)
    code = b.handed_over(b.reply(Reply.redirect(b.config.base_url + path, 307)), b.tokens())
    b.must_redeem(code)
    b.must_not_call(path)


@check("B-RETRY-4", Severity.SHOULD, rfc="9110 10.2.3", threats="R4")
def waits_as_asked(b: PartyB) -> None:
    """A redemption is not tried again sooner than the token endpoint asks.

    Does: answers the first redemption with status 429 and Retry-After: 3.

    Expects: a second redemption, and not in less than 3 seconds.
    """
    busy = Reply(429, [("Retry-After", str(_WAIT))])
    code = b.handed_over(b.reply(busy), b.tokens())
    b.must_redeem(code)
    seconds = b.quiet if b.config.dialect.redeems_first else b.waits.retry
    if not b.wait_for(lambda: len(code.redemptions) > 1, seconds):
        if b.config.dialect.redeems_first:
            return
        raise Broken("A second redemption.", f"None came in {seconds:.0f} s.")
    waited = code.redemptions[1].at - code.redemptions[0].at
    if waited < _WAIT - 0.2:
        raise Broken(f"{_WAIT} s or more.", f"The second redemption came after {waited:.1f} s.")


@check(
    "B-RETRY-5",
    Severity.SECURITY,
    draft="2.2.2/12",
    rfc="6749 5.1",
    threats="T6 H8",
    negative=True,
)
def odd_token_responses(b: PartyB) -> None:
    """Odd token responses do no harm.

    Does: answers redemptions with HTML, a list, an object without a token, numbers in the place of
    texts, 1 MB, and deeply nested JSON, each with status 200. Then it hands a code over rightly.

    Expects: the right hand-over is accepted and redeemed.
    """
    codes = []
    for body in (
        "<!doctype html><p>Welcome</p>",
        "[1, 2, 3]",
        "{}",
        '{"access_token": 7, "token_type": ["Bearer"], "expires_in": "soon"}',
        '{"access_token": "' + "x" * 1_000_000 + '", "token_type": "Bearer"}',
        # Shorter than common limits, so that it is read.
        "[" * 50_000,
    ):
        code = b.plan(_body(body))
        codes.append(code)
        _must_live(b, code)
        b.wait_for(lambda code=code: code.redemptions, b.waits.redeem)  # type: ignore[misc]
    for code in codes:
        # Later attempts must not disturb the checks that follow.
        code.answers[:] = [b.refusal()]
    code = b.plan()
    response = _must_live(b, code)
    if not b.is_accepted(response):
        raise Broken("Party B lives on.", f"A right hand-over was answered with {response}.")
    # Party B may rest after so many failures.
    if not b.wait_for(lambda: code.redemptions, max(b.waits.redeem, b.waits.retry)):
        raise Broken("The right code is redeemed.", "It was not redeemed.")


def _must_live(b: PartyB, code: Code) -> Response:
    try:
        return b.hand_over(code)
    except Unclear as error:
        raise Broken("Party B lives on.", str(error)) from None


def _body(text: str) -> Answer:
    def answer(code: Code, received: Received) -> Reply:
        return Reply(200, [("Content-Type", "application/json")], text.encode())

    return answer
