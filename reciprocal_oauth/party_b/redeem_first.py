"""Redeems a code before this site responds to the hand-over, because some vendors take the response
as the result of the redemption.

These are the steps (F) and (G) in the figure of draft-ietf-oauth-reciprocal-04, section 2, within
step (E). :func:`.receive.receive` stores the row of such a code as claimed, so that no worker takes
it meanwhile. If the code is not redeemed in time, the row is cancelled: the peer was told that the
hand-over has failed, so a later success would make a link that the peer does not know.
"""

import time
from typing import Any

from django.utils import timezone

from ..conf import settings
from ..core import protocol
from ..core.database import release_connections, tried_again
from ..delivery import worker
from ..dialects import dialect_of
from ..exceptions import Cause, HandoverRefused
from ..models import InboxItem, Link, Reason

#: The pause, in seconds, between two looks at a row that another request redeems.
_POLL_SECONDS = 0.1
State = InboxItem.State


def redeem_first(item: InboxItem, started_at: float) -> None:
    """If the dialect of the peer demands it, redeem the code in ``item`` now. If another request
    redeems the same code at this moment, wait for its result.

    :param started_at: when the request came, as a value of ``time.monotonic()``. The result must be
        known ``REDEEM_FIRST_SECONDS`` later.
    :raises HandoverRefused: the code was not redeemed.
    """
    if not dialect_of(item.peer).redeems_first:
        return
    until = started_at + settings.REDEEM_FIRST_SECONDS
    if item.is_awaited:
        item.awaited_until = until
        worker.work(item)
        _cancel(item)
    state, reason = _state_of(item)
    while state == State.CLAIMED and time.monotonic() < until:
        release_connections()
        time.sleep(_POLL_SECONDS)
        state, reason = _state_of(item)
    if state != State.DONE:
        raise _refusal(reason)
    if not Link.objects.filter(pk=item.link_id, status=Link.Status.ACTIVE).exists():
        raise HandoverRefused(
            protocol.INVALID_GRANT,
            "the link for which the code was redeemed has ended",
            cause=Cause.CODE,
        )


@tried_again
def _cancel(item: InboxItem) -> None:
    """Cancel the row if it is not finished. A worker that still waits for the peer then finds the
    row finished, and revokes the tokens that it gets."""
    cancelled = InboxItem.final_values(State.CANCELLED, timezone.now())
    InboxItem.objects.filter(pk=item.pk, state__in=InboxItem.LIVE_STATES).update(
        **cancelled, **InboxItem.without_secrets()
    )


def _state_of(item: InboxItem) -> tuple[Any, str]:
    found = InboxItem.objects.filter(pk=item.pk).values_list("state", "reason").first()
    return found or (State.CANCELLED, "")  # Without a row, the link was deleted meanwhile.


def _refusal(reason: str) -> HandoverRefused:
    if reason == Reason.CODE_REFUSED:
        return HandoverRefused(
            protocol.INVALID_GRANT, "the peer refused to redeem its code", cause=Cause.CODE
        )
    return HandoverRefused(
        protocol.TEMPORARILY_UNAVAILABLE,
        f"the code was not redeemed in time ({reason or 'no answer'})",
        status=503,
    )
