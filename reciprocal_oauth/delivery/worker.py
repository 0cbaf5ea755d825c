"""Works on queue items: claims a row, calls the handler that a party registered, stores the
result."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import signals
from ..core.database import atomic, delivering, log_exception, tried_again
from ..core.retry_policy import RetryPolicy
from ..exceptions import LeaseLost
from ..models import InboxItem, Link, OutboxItem, Peer, QueueItem
from ..models.results import Accepted, Cancelled, Done, Failed, Recorded, Result, Retry
from . import pausing, queue
from .queue import ClaimPass

logger = logging.getLogger("reciprocal_oauth.delivery")

_ERROR_LENGTH = 500
#: The queues by the name that messages to other processes use. The inbox comes first, because a
#: received code expires soon.
_QUEUES: Mapping[str, type[QueueItem]] = {"inbox": InboxItem, "outbox": OutboxItem}
#: How many due rows of each queue :func:`due` returns at most.
_MAX_DUE_PER_QUEUE = 100


@dataclass(frozen=True)
class QueueHandler:
    """What the worker calls for the items of one queue.

    :ivar attempt: makes one attempt. It is called without a transaction and may send requests.
    :ivar policy: returns the retry policy.
    :ivar final_values: returns more column values to set when a row ends in the given state, for
        example to clear a code.
    :ivar on_failed: called in the transaction in which a row fails, with the item, a
        ``Link.Reason`` and the error text.
    """

    attempt: Callable[[Any], Result]
    policy: Callable[[], RetryPolicy]
    final_values: Callable[[QueueItem.State], dict[str, Any]]
    on_failed: Callable[[Any, str, str], None]


_handlers: dict[type[QueueItem], QueueHandler] = {}


def register(model: type[QueueItem], handler: QueueHandler) -> None:
    """Set the handler for the rows of ``model``."""
    _handlers[model] = handler


def models() -> Sequence[type[QueueItem]]:
    """Return the queues that have a handler."""
    return [model for model in _QUEUES.values() if model in _handlers]


def claim(limit: int, claim_pass: ClaimPass | None = None) -> list[QueueItem]:
    """Claim up to ``limit`` due items of all queues: waiting items first, then interrupted ones.

    :param claim_pass: receives the peers that were skipped because of ``DELIVERIES_PER_PEER``.
    :raises Exception: any error of the database or of a queue; the claims are undone first.
    """
    claim_pass, items = claim_pass or ClaimPass(), list[QueueItem]()
    claim_pass.owner = secrets.token_hex(16)
    try:
        for take in (queue.claim, queue.claim_interrupted):
            for model in models():
                if len(items) < limit:
                    items += take(model, limit - len(items), claim_pass)
    except Exception:
        queue.undo_claims(claim_pass)
        raise
    return items


def drain() -> int:
    """Work on due items in this thread until no item is due.

    Items are claimed one at a time: if several were claimed, a slow peer could delay the first one
    until the leases of the others have expired.

    :returns: the number of attempts.
    """
    attempts = 0
    while items := claim(1):
        work(items[0])
        attempts += 1
    return attempts


def due(link: Link | None = None) -> list[tuple[str, Any]]:
    """Return rows that can be claimed, as pairs of queue name and key for :func:`work_on`. At most
    100 for each queue; :func:`work_for` works on the rest.

    :param link: only rows of this link; ``None``: rows of all links.
    """
    conditions = {} if link is None else {"link": link}
    return [
        (name, pk)
        for name, model in _QUEUES.items()
        for pk in queue.due(model, _MAX_DUE_PER_QUEUE, **conditions)
    ]


def work_on(queue_name: str, pk: Any) -> None:
    """Work on one row. Does nothing if the row is not due, if another worker holds it, or if its
    peer has ``DELIVERIES_PER_PEER`` claimed rows.

    :param queue_name: ``inbox`` or ``outbox``.
    """
    if item := queue.claim_one(_QUEUES[queue_name], pk):
        work(item)


def work_for(seconds: float) -> None:
    """Work on due items one after the other until no item is due. After ``seconds``, start no other
    item."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (items := claim(1)):
        work(items[0])


def next_due_at(claim_pass: ClaimPass | None = None) -> datetime | None:
    """Return when the next item of any queue becomes due; ``None``: no item is waiting.

    :param claim_pass: leave out the peers that were paused or at their limit in it; ``None``: leave
        out all paused peers.
    """
    skipped = claim_pass.paused | claim_pass.at_limit if claim_pass else queue.paused_peers()
    times = (queue.next_due_at(model, skipped=skipped) for model in models())
    return min((time for time in times if time is not None), default=None)


def work(item: QueueItem) -> None:
    """Make one attempt at a claimed item and store the result.

    An error in the attempt is logged and not raised. Database errors while the result is stored are
    raised.
    """
    handler = _handlers[type(item)]
    with delivering():
        result = _attempt(item, handler)
    try:
        _apply(item, handler, result)
    except LeaseLost:
        # Meanwhile the peer redeemed the code, the user ended the link, or the lease expired.
        logger.info(
            "%s is no longer held by this worker; the result is dropped",
            item,
            extra={"action": "lease_lost"},
        )


@sensitive_variables()  # An error report would show the request and the response.
def _attempt(item: QueueItem, handler: QueueHandler) -> Result:
    if item.attempts > handler.policy().limit:
        # The last attempt was interrupted by a crash. A row that crashes its worker must not do so
        # for ever, and the number of requests to a peer is limited.
        item.attempts -= 1
        return Failed("no attempt is left", item.failure_reason)
    try:
        return handler.attempt(item)
    except Exception as error:
        # A bug in this app must not stop the worker or lose the row. The traceback is logged. The
        # text of the error is not stored, because it could contain secrets.
        log_exception(logger, "Attempt %s at %s failed unexpectedly", item.attempts, item)
        return Retry(f"internal error: {type(error).__name__}", item.failure_reason)


def _apply(item: Any, handler: QueueHandler, result: Result) -> None:
    """Store ``result`` in the row.

    :raises LeaseLost: this worker no longer holds the row.
    """
    logger.info(
        "Attempt %s at %s: %s",
        item.attempts,
        item,
        result,
        extra={"action": type(result).__name__.lower(), "attempts": item.attempts},
    )
    match result:
        case Recorded():
            pass
        case Done():
            _finish(item, handler, QueueItem.State.DONE, last_error="")
        case Cancelled():
            _finish(item, handler, QueueItem.State.CANCELLED)
        case Failed(error=error, reason=reason, pauses=peer):
            if peer is None or _pause(item, peer, reason):
                _fail(item, handler, error, reason)
            else:
                _retry(item, handler, Retry(error, reason))
        case Accepted(watch_seconds=seconds):
            queue.release(
                item,
                QueueItem.State.ACCEPTED,
                _in(seconds),
                last_error="",
                accepted_at=timezone.now(),
            )
        case Retry(reason=reason, pauses=peer):
            if peer is not None:
                _pause(item, peer, reason)
            _retry(item, handler, result)


def _pause(item: QueueItem, peer: Peer, reason: str) -> bool:
    """Pause ``peer`` if this worker still holds ``item``.

    :returns: whether the peer is paused now.
    :raises LeaseLost: this worker no longer holds the row; another worker may have had a newer
        response.
    """
    queue.renew(item)
    return pausing.pause(peer, reason)


def _retry(item: QueueItem, handler: QueueHandler, retry: Retry) -> None:
    """Release the row for its next attempt. If no attempt is left, the row fails."""
    wait = handler.policy().pause_after(item.attempts, retry.after)
    if wait is None:
        _fail(item, handler, retry.error, retry.reason)
        return
    last_error = retry.error[:_ERROR_LENGTH]
    queue.release(item, QueueItem.State.PENDING, _in(wait), last_error=last_error)


@tried_again
def _fail(item: Any, handler: QueueHandler, error: str, reason: str) -> None:
    with atomic():
        # Lock the link before the row (the lock order everywhere): a redemption that runs at the
        # same time holds the link and waits for the row.
        Link.objects.select_for_update().filter(pk=item.link_id).first()
        values = {"last_error": error[:_ERROR_LENGTH], "reason": reason}
        _finish(item, handler, QueueItem.State.FAILED, **values)
        # Read the row again instead of changing ``item``: a repeated transaction needs the lease
        # that ``item`` holds.
        failed: Any = type(item)._default_manager.get(pk=item.pk)
        handler.on_failed(failed, reason, error)
        signals.send_after_commit(signals.delivery_failed, type(item), item=failed)
    logger.warning("%s failed: %s", item, error, extra={"action": "failed"})


def _finish(item: QueueItem, handler: QueueHandler, state: QueueItem.State, **values: Any) -> None:
    queue.finish(item, state, attempts=item.attempts, **values, **handler.final_values(state))


def release(item: QueueItem) -> None:
    """Release a row whose attempt is not finished, because this process ends. Other workers can
    claim the row at once."""
    try:
        queue.release(item, QueueItem.State.PENDING, timezone.now())
    except LeaseLost:
        logger.info("%s is already released", item, extra={"action": "lease_lost"})


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
