"""The hand-over is refused. This comes last: a party A may stop for all users after it."""

from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, Severity
from ..wire.server import Reply
from .a_retries import first_sent

#: How often a hand-over that is refused may be sent.
_OFTEN = 2


@check("A-RETRY-4", Severity.SHOULD, draft="2.2.2/11", threats="R3", negative=True)
def refusal(a: PartyA) -> None:
    """A hand-over that is refused is given up.

    Does: answers hand-overs with 400 and invalid_grant; for a new link with 401 and
    invalid_client.

    Expects: at most two hand-overs each time.
    """
    for reply in (Reply.error("invalid_grant"), Reply.error("invalid_client", 401)):
        flow = first_sent(a, reply)
        a.stays_quiet(lambda: len(flow.handovers) > _OFTEN, a.resending)  # noqa: B023
        if len(flow.handovers) > _OFTEN:
            raise Broken(
                f"At most {_OFTEN} hand-overs after {reply.status}.",
                f"There were {len(flow.handovers)}.",
            )
