"""The user ends the link at party B."""

import threading

from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..verdicts import Broken, Severity, Unclear
from ..wire.server import Received, Reply

#: Seconds for which a redemption is kept under way. Common clients wait for a response longer.
_UNDER_WAY = 4.0


@check(
    "B-END-1", Severity.SHOULD, draft="3/1", rfc="7009 2", threats="T3 T4", needs="revocation end"
)
def revokes_at_the_end(b: PartyB) -> None:
    """Party B revokes its tokens when the user ends the link.

    Does: lets the user end the link at party B.

    Expects: a revocation request with a token that the tester issued.
    """
    code = b.linked(access=b.access())
    b.end()
    b.forget_user(b.user)
    issued = {*code.tokens, *code.refresh_tokens}
    if not b.wait_for(lambda: issued & set(b.revocations), b.waits.send):
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


@check(
    "B-END-3", Severity.SHOULD, draft="3/1", rfc="7009 2", threats="T3 T4", needs="revocation end"
)
def end_while_redeeming(b: PartyB) -> None:
    """Tokens that come after the user has ended the link are revoked.

    Does: hands a code over, and answers its redemption after the user has ended the link.

    Expects: a revocation request with a token of this answer.
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
        is_ended.set()
    b.forget_user(b.user)

    def is_revoked() -> bool:
        return not {*code.tokens, *code.refresh_tokens}.isdisjoint(b.revocations)

    if not b.wait_for(is_revoked, max(b.waits.send, b.waits.redeem)):
        raise Broken("A revocation of the tokens (RFC 7009).", "No revocation came.")


def _after(is_ended: threading.Event, answer: Answer) -> Answer:
    """Answer after the end of the link, or when that takes too long: party B may end it only after
    the redemption."""

    def late(code: Code, received: Received) -> Reply:
        is_ended.wait(_UNDER_WAY)
        return answer(code, received)

    return late
