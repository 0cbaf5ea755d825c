"""The user ends the link at party B."""

import threading

from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.server import Received, Reply
from .b_use import use_if_it_works

#: Seconds for which a redemption is kept under way. Common clients wait for a response longer.
_UNDER_WAY = 4.0


@check("B-END-6", Severity.MUST, draft="2.2.2/12 3/1", threats="T3", needs="end")
def new_link_after_the_end(b: PartyB) -> None:
    """After the end, the user can link again.

    Does: lets the user end the link, gets a new access token, and hands a new code over with it.

    Expects: the hand-over is accepted, and the code is redeemed.
    """
    b.linked()
    b.end()
    b.forget_user(b.user)
    try:
        access = b.access()
    except Unclear as error:
        raise Broken("A new access token after the end.", str(error)) from None
    code = b.plan()
    b.must_accept(code, b.right(code, access), what="A hand-over after the end")
    b.must_redeem(code)


@check(
    "B-END-1", Severity.SHOULD, draft="3/1", rfc="7009 2", threats="T3 T4", needs="revocation end"
)
def revokes_at_the_end(b: PartyB) -> None:
    """Party B revokes its tokens when the user ends the link.

    Does: lets the user end the link at party B.

    Expects: a revocation request with a token that the tester issued.
    """
    b.linked(access=b.access())
    # Tokens that new ones replaced may be revoked late.
    b.pause(b.quiet)
    before = len(b.revocations)
    b.end()
    b.forget_user(b.user)
    if not b.wait_for(
        lambda: any(b.is_issued(token) for token in b.revocations[before:]), b.waits.send
    ):
        raise Broken("A revocation of the tokens (RFC 7009).", "No revocation came.")


@check("B-END-2", Severity.SECURITY, draft="3/1", threats="T3", needs="end", negative=True)
def old_code_after_the_end(b: PartyB) -> None:
    """A code of a link that has ended is not redeemed.

    Does: hands a code over, lets the user end the link, and sends the same hand-over again.

    Expects: no redemption after the end.
    """
    access = b.access()
    code = b.linked(access=access)
    b.end()
    redeemed = len(code.redemptions)
    response = b.send(b.right(code, access))
    b.note(f"The hand-over after the end was answered with {response}.")
    b.forget_user(b.user)
    b.must_redeem_at_most(code, redeemed)
    issued = {*code.tokens, *code.refresh_tokens}
    if b.is_accepted(response) and not b.wait_for(
        lambda: not issued.isdisjoint(b.revocations), b.waits.send
    ):
        b.note("Nothing but the driver says that the link has ended: no revocation came.")


@check("B-END-3", Severity.SECURITY, draft="3/1", rfc="7009 2", threats="T3 T4", needs="end")
def end_while_redeeming(b: PartyB) -> None:
    """Tokens that come after the user has ended the link are not used, and revoked.

    Does: hands a code over, and answers its redemption after the user has ended the link. Then it
    lets party B use the link, if the driver can.

    Expects: no call of the API with these tokens, and a revocation request with one of them. A
    missing revocation is a warning.
    """
    access, is_ended = b.access(), threading.Event()
    code = b.plan(_after(is_ended, b.tokens()))
    if b.config.dialect.redeems_first:
        b.hand_over_meanwhile(code)
    else:
        b.must_be_accepted(code, access)
    if not b.wait_for(lambda: code.redemptions, b.waits.redeem):
        raise Unclear("A right hand-over was not redeemed.")
    try:
        b.end()
    finally:
        came_before = bool(code.tokens)
        is_ended.set()
    b.forget_user(b.user)
    b.wait_for(lambda: code.tokens, _UNDER_WAY)

    def is_revoked() -> bool:
        return not {*code.tokens, *code.refresh_tokens}.isdisjoint(b.revocations)

    came = b.has("revocation") and b.wait_for(is_revoked, b.waits.send)
    if came_before and not came:
        # Party B may have waited for the redemption; the tokens are then revoked by the end.
        raise NotGiven(f"a journey end that takes less than {_UNDER_WAY:.0f} s")
    if b.has("use"):
        use_if_it_works(b)
    b.stays_quiet(lambda: code.calls)
    if code.calls and not came_before:
        raise Broken("No call of the API after the end.", "The API was called.")
    if b.has("revocation") and not came:
        raise Broken(
            "A revocation of the tokens (RFC 7009).",
            "No revocation came.",
            at_worst=Verdict.WARN,
        )


@check("B-END-4", Severity.SECURITY, draft="3/1", threats="T3 T4", needs="end", negative=True)
def nothing_after_the_end(b: PartyB) -> None:
    """Nothing works after the user has ended the link.

    Does: lets the user end the link. Then it lets party B use it, if the driver can, and hands a
    new code over with the access token of before.

    Expects: no call of the API. The hand-over is refused, and its code is not redeemed.
    """
    access = b.access()
    b.linked(access=access)
    b.end()
    b.forget_user(b.user)
    if b.has("use"):
        before = b.calls_for(b.user)
        use_if_it_works(b)
        if not b.stays_quiet(lambda: b.calls_for(b.user) > before):
            raise Broken("No call of the API after the end.", "The API was called.")
    code = b.plan()
    b.must_refuse(code, b.right(code, access), what="An access token of before the end")


@check("B-END-5", Severity.SECURITY, draft="2.2.2/7", threats="T3 H12", needs="use 2u end")
def end_of_one_user(b: PartyB) -> None:
    """One user's end leaves the other user's link.

    Does: hands codes of both users over, lets the second user end the link, and lets the first one
    use it.

    Expects: a call of the API with the first user's token.
    """
    other = b.other_user()
    for user in (b.user, other):
        # An end before may have ended both.
        b.forget_user(user)
    b.linked(access=b.access(other))
    code = b.linked()
    b.must_call(code)
    b.end(other)
    b.forget_user(other)
    b.must_still_call(code)


def _after(is_ended: threading.Event, answer: Answer) -> Answer:
    """Answer after the end of the link, or when that takes too long: party B may end it only after
    the redemption."""

    def late(code: Code, received: Received) -> Reply:
        is_ended.wait(_UNDER_WAY)
        return answer(code, received)

    return late
