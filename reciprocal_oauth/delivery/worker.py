"""The delivery worker: claims a row of the outbox or the inbox, calls the handler that ``party_a``
or ``party_b`` has registered for the queue, and stores the result.

A row of a queue is also called an item (``QueueItem``).
"""

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
from . import chores, heartbeat, measuring, pausing, queue
from .heartbeat import Kind
from .queue import ClaimPass

logger = logging.getLogger("reciprocal_oauth.delivery")

_ERROR_LENGTH = 500
#: The queues, by the name that is used in messages to worker processes. The inbox comes first,
#: because it contains received codes, which expire soon.
_QUEUES: Mapping[str, type[QueueItem]] = {"inbox": InboxItem, "outbox": OutboxItem}
#: The largest number of rows that :func:`due` returns for each queue.
_MAX_DUE_PER_QUEUE = 100


@dataclass(frozen=True)
class QueueHandler:
    """The functions that the worker calls for the rows of one queue.

    :ivar attempt: makes one attempt to deliver the row. The worker calls it outside of a
        transaction, so it can send requests to the peer.
    :ivar policy: returns the retry policy (how often and when an attempt is repeated).
    :ivar final_values: returns additional column values for a row that ends in the given state. For
        example, it can delete a stored code.
    :ivar on_failed: is called when a row has failed, in the transaction that stores the failure.
        Its arguments are the row, a ``Link.Reason`` and the error text.
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
    """Return the models of the queues for which a handler is registered, the inbox first."""
    return [model for model in _QUEUES.values() if model in _handlers]


def claim(limit: int, claim_pass: ClaimPass | None = None) -> list[QueueItem]:
    """Claim up to ``limit`` due rows of all queues. Claim waiting rows first, and then interrupted
    rows (rows whose lease has expired).

    :param claim_pass: the search that the claim belongs to. This function adds to it the peers that
        were skipped because of ``DELIVERIES_PER_PEER``.
    :raises Exception: any error during the claim. All rows that this call has claimed are released
        first.
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


def drain(kind: Kind | None = Kind.OTHER) -> int:
    """Deliver due rows in this thread until no row is due. Also do the other work that is due
    (:mod:`.chores`).

    Claim only one row at a time. If several rows were claimed together, the first row could take so
    long, because of a slow peer, that the leases of the other rows expire.

    :param kind: what the caller is; it gives a sign of life (:mod:`.heartbeat`). ``None`` if it is
        no worker.
    :returns: the number of attempts.
    """
    attempts = _deliver_all(kind)
    # The deliveries come first, because this work can be slow, for example at a mail server.
    if done := chores.run():
        attempts += done + _deliver_all(kind)
    return attempts


def _deliver_all(kind: Kind | None) -> int:
    heartbeat.beat(kind)
    attempts = 0
    while items := claim(1):
        work(items[0])
        attempts += 1
        heartbeat.beat(kind)
    return attempts


def due(link: Link | None = None) -> list[tuple[str, Any]]:
    """Return rows that can be claimed now, as pairs of queue name and primary key. For each queue,
    return at most 100 rows, and at most ``DELIVERIES_PER_PEER`` rows of one peer.

    :param link: the link whose rows are returned, or ``None`` for the rows of all links.
    """
    conditions = {} if link is None else {"link": link}
    return [
        (name, pk)
        for name, model in _QUEUES.items()
        for pk in queue.due(model, _MAX_DUE_PER_QUEUE, **conditions)
    ]


def work_on(queue_name: str, pk: Any, kind: Kind | None = Kind.OTHER) -> None:
    """Make one attempt to deliver one row. Do nothing if the row is not due, another worker has
    claimed it, its peer is paused, or ``DELIVERIES_PER_PEER`` rows of its peer are already claimed.

    :param queue_name: ``inbox`` or ``outbox``.
    :param pk: the primary key of the row.
    :param kind: see :func:`drain`.
    """
    heartbeat.beat(kind)
    if item := queue.claim_one(_QUEUES[queue_name], pk):
        work(item)


def work_for(seconds: float) -> None:
    """Deliver due rows one after the other. Stop when no row is due, or when ``seconds`` have
    passed and the current row is finished."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (items := claim(1)):
        work(items[0])


def next_due_at(claim_pass: ClaimPass | None = None) -> datetime | None:
    """Return the time at which the next row of any queue becomes due, or ``None`` if no row waits.

    :param claim_pass: a search for due rows, or ``None``. Ignore the rows of the peers that the
        search skipped: paused peers, and peers of which ``DELIVERIES_PER_PEER`` rows are claimed.
        If it is ``None``, ignore only the rows of the peers that are paused now.
    """
    skipped = claim_pass.paused | claim_pass.at_limit if claim_pass else queue.paused_peers()
    times = (queue.next_due_at(model, skipped=skipped) for model in models())
    return min((time for time in times if time is not None), default=None)


def work(item: QueueItem) -> None:
    """Make one attempt to deliver a claimed row, and store the result.

    If the attempt raises an error, the error is logged and the row is tried again later. If the
    result cannot be stored, the database error is raised.
    """
    handler = _handlers[type(item)]
    with delivering(), measuring.attempt(item) as span:
        result = _attempt(item, handler)
        span.set("result", measuring.result_name(result))
    try:
        _apply(item, handler, result)
    except LeaseLost:
        # The row was changed during the attempt. For example, the peer redeemed the code, the user
        # ended the link, or another worker claimed the row after its lease had expired.
        logger.info(
            "The lease of this worker for %s is lost, so the result is not saved",
            item,
            extra={"action": "lease_lost"},
        )
        return
    measuring.count_attempt(item, result)


# Hide the values of variables in error reports, because they contain tokens and codes.
@sensitive_variables()
def _attempt(item: QueueItem, handler: QueueHandler) -> Result:
    if item.attempts > handler.policy().limit:
        # During the last allowed attempt, a worker stopped without a result, for example in a
        # crash. Let the row fail now. Otherwise a row that crashes its process could do this
        # without end. The claim has counted an attempt that is not made, so subtract it.
        item.attempts -= 1
        return Failed("no attempt is left", item.failure_reason)
    try:
        return handler.attempt(item)
    except Exception as error:
        # Try the row again later, because a bug in this app must not stop the worker or lose the
        # row. Log the traceback. Do not store the error text in the row, because the text could
        # contain secrets.
        log_exception(logger, "Attempt %s at %s failed unexpectedly", item.attempts, item)
        return Retry(f"internal error: {type(error).__name__}", item.failure_reason)


def _apply(item: Any, handler: QueueHandler, result: Result) -> None:
    """Store the result of an attempt in the row, and pause the peer if the result demands it.

    :raises LeaseLost: the row is no longer claimed by this worker.
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
    """Pause the delivery to ``peer``, but only if ``item`` is still claimed by this worker.

    :returns: whether the peer is paused now.
    :raises LeaseLost: the row is no longer claimed by this worker. In this case the peer is not
        paused, because another worker may have received a newer and different response.
    """
    queue.renew(item)
    return pausing.pause(peer, reason)


def _retry(item: QueueItem, handler: QueueHandler, retry: Retry) -> None:
    """Release the row, so that it is tried again later. If no attempt is left, set it to failed."""
    wait = handler.policy().pause_after(item.attempts, retry.after)
    if wait is None:
        _fail(item, handler, retry.error, retry.reason)
        return
    last_error = retry.error[:_ERROR_LENGTH]
    queue.release(item, QueueItem.State.PENDING, _in(wait), last_error=last_error)


@tried_again
def _fail(item: Any, handler: QueueHandler, error: str, reason: str) -> None:
    with atomic():
        # Lock the link first and the row second, because all code of this app locks in this order.
        # In the opposite order there could be a deadlock, for example with a request in which the
        # peer redeems the code.
        Link.objects.select_for_update().filter(pk=item.link_id).first()
        values = {"last_error": error[:_ERROR_LENGTH], "reason": reason}
        _finish(item, handler, QueueItem.State.FAILED, **values)
        # ``item`` must not change here: after a conflict in the database, this function runs again
        # with the same ``item``, and needs its ``lease_owner`` to prove the claim of this worker.
        failed: Any = type(item)._default_manager.get(pk=item.pk)
        handler.on_failed(failed, reason, error)
        signals.send_after_commit(signals.delivery_failed, type(item), item=failed)
    logger.warning("%s failed: %s", item, error, extra={"action": "failed"})


def _finish(item: QueueItem, handler: QueueHandler, state: QueueItem.State, **values: Any) -> None:
    queue.finish(item, state, attempts=item.attempts, **values, **handler.final_values(state))


def release(item: QueueItem) -> None:
    """Release a row whose attempt is not finished, because this process ends. Other workers can
    claim the row immediately."""
    try:
        queue.release(item, QueueItem.State.PENDING, timezone.now())
    except LeaseLost:
        logger.info("%s is already released", item, extra={"action": "lease_lost"})


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
