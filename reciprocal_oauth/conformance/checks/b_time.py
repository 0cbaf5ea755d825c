"""Party B answers first, and redeems the code "then" (section 2.2.2)."""

from ..party_b import PartyB
from ..registry import check
from ..verdicts import Broken, Severity, Unclear
from ..wire.server import Reply

#: Seconds that the tester's token endpoint takes.
_SLOW = 2.0
_HANGING = 20.0
#: Seconds in which party B should answer although the tester hangs.
_SOON = 5.0
#: Seconds in which the second user's code should be redeemed, if nothing was slower before.
_AS_USUAL = 3.0


@check("B-TIME-1", Severity.SHOULD, draft="2.2.2/12", threats="B18")
def answers_first(b: PartyB) -> None:
    """Party B answers before it redeems the code.

    Does: hands a code over, and lets the token endpoint take 2 seconds.

    Expects: the hand-over is answered before the redemption is.
    """
    b.require_answer_first()
    code = b.plan(b.tokens(delay=_SLOW))
    response = b.must_accept(code)
    if code.redemptions and b.recorder.now() >= code.redemptions[0].at + _SLOW:
        raise Broken(
            "An answer before the redemption is answered.",
            f"The answer came after it: it took {response.seconds:.1f} s.",
        )


@check("B-TIME-2", Severity.MUST, draft="2.2.2/11", threats="B17 R3")
def failing_token_endpoint(b: PartyB) -> None:
    """A hand-over is valid although its code cannot be redeemed now.

    Does: hands a code over, and answers the first redemption with status 500.

    Expects: status 200 to the hand-over: the request is valid.
    """
    b.require_answer_first()
    code = b.plan(b.reply(Reply.text("Failure on purpose.", 500)), b.tokens())
    b.must_accept(code)


@check("B-TIME-3", Severity.SHOULD, draft="2.2.2/12", threats="B18", needs="2u")
def hanging_token_endpoint(b: PartyB) -> None:
    """A party A that hangs does not hold party B up.

    Does: hands a code over, and lets the token endpoint hang for 20 seconds. Meanwhile it hands a
    code of the second user over.

    Expects: the first answer in 5 seconds, and the second user's code is redeemed meanwhile, about
    as soon as otherwise.
    """
    b.require_answer_first()
    # How long it takes otherwise.
    b.linked(access=b.access(b.other_user()))
    b.access()
    hanging = b.plan(b.tokens(delay=_HANGING), b.tokens())
    response = b.must_accept(hanging)
    if response.seconds >= _SOON:
        raise Broken(f"An answer in less than {_SOON:.0f} s.", f"It took {response.seconds:.1f} s.")
    if not b.wait_for(lambda: hanging.redemptions, b.waits.redeem):
        raise Unclear("The code was not redeemed (B-OK-2).")
    code = b.plan()
    b.must_accept(code, b.right(code, b.access(b.other_user())))
    # A party B that gives the hanging request up redeems the second code then, and not before.
    seconds = min(max(_AS_USUAL, b.quiet), _HANGING - 5)
    if not b.wait_for(lambda: code.redemptions, seconds):
        raise Broken(
            "The second user's code is redeemed while the first redemption hangs.",
            f"It was not redeemed in {seconds:.1f} s.",
        )
