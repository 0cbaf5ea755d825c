"""Carrying queue items through: claim, run the step that a party registered, record."""

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
from . import pausing, queue
from .queue import Look
from .results import Accepted, Cancelled, Done, Failed, Recorded, Result, Retry

logger = logging.getLogger("reciprocal_oauth.delivery")

_ERROR_LENGTH = 500
#: The queues by name, for messages to other processes. What the other side waits for comes first:
#: its code dies.
_QUEUES: Mapping[str, type[QueueItem]] = {"inbox": InboxItem, "outbox": OutboxItem}
#: How many rows of one queue are named at once to whoever shares them out.
_NAMED_AT_ONCE = 100


@dataclass(frozen=True)
class Step:
    """How the items of one queue are worked on.

    :ivar attempt: one attempt; called without a transaction, may do HTTP.
    :ivar policy: when to try again.
    :ivar finished: column values that a row gets which ends in a state (a code that is cleared,
        say).
    :ivar given_up: told of a row that has just died, with its ``Link.Reason``.
    """

    attempt: Callable[[Any], Result]
    policy: Callable[[], RetryPolicy]
    finished: Callable[[QueueItem.State], dict[str, Any]]
    given_up: Callable[[Any, str, str], None]


_steps: dict[type[QueueItem], Step] = {}


def register(model: type[QueueItem], step: Step) -> None:
    """Hand the worker the step to run for the rows of ``model``."""
    _steps[model] = step


def models() -> Sequence[type[QueueItem]]:
    """The queues that have a step."""
    return [model for model in _QUEUES.values() if model in _steps]


def claim(limit: int, look: Look | None = None) -> list[QueueItem]:
    """Claim up to ``limit`` due items of all queues: those that wait, then those that were cut off.

    :param look: is told whose rows were left because their peers have their share.
    """
    look, items = look or Look(), list[QueueItem]()
    look.owner = secrets.token_hex(16)
    try:
        for take in (queue.claim, queue.claim_cut_off):
            for model in models():
                if len(items) < limit:
                    items += take(model, limit - len(items), look)
    except Exception:
        queue.disown(look)
        raise
    return items


def drain() -> int:
    """Work on due items, here and now, until none is due.

    One at a time: the leases of more would run out while a slow peer holds up the first.

    :returns: how many attempts were made.
    """
    attempts = 0
    while items := claim(1):
        work(items[0])
        attempts += 1
    return attempts


def due(link: Link | None = None) -> list[tuple[str, Any]]:
    """Rows that may be claimed, for whoever shares them out: queue and key, for :func:`work_on`.
    Of a backlog these are the first ones; the rest is for :func:`go_on`.

    :param link: only its rows; ``None``: of all.
    """
    among = {} if link is None else {"link": link}
    return [
        (name, pk)
        for name, model in _QUEUES.items()
        for pk in queue.due(model, _NAMED_AT_ONCE, **among)
    ]


def work_on(queue_name: str, pk: Any) -> None:
    """Work on the row ``pk`` of the queue ``inbox`` or ``outbox``, unless it is not due, another
    worker has it, or its peer has its share."""
    if item := queue.claim_one(_QUEUES[queue_name], pk):
        work(item)


def go_on(seconds: float) -> None:
    """Work on due items, one after the other, until none is due; begin none after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and (items := claim(1)):
        work(items[0])


def next_due_at(look: Look | None = None) -> datetime | None:
    """When the next item of any queue comes due that can be claimed then, as far as ``look`` has
    found out."""
    without = look.paused | look.held_up if look else queue.paused_peers()
    times = (queue.next_due_at(model, without=without) for model in models())
    return min((time for time in times if time is not None), default=None)


def work(item: QueueItem) -> None:
    """Make one attempt at a claimed item and record what it came to.

    No fault of the attempt is raised; only of the database that the outcome is recorded in.
    """
    step = _steps[type(item)]
    with delivering():
        outcome = _attempt(item, step)
    try:
        _record(item, step, outcome)
    except LeaseLost:
        # The peer redeemed the code meanwhile, the user ended the link, or the lease ran out.
        logger.info("%s was decided elsewhere", item, extra={"action": "lease_lost"})


@sensitive_variables()  # An error report would show what is sent and received below.
def _attempt(item: QueueItem, step: Step) -> Result:
    if item.attempts > step.policy().limit:
        # Its last attempt was cut off by a crash, or came to nothing. A row that kills its worker
        # must not do so for ever, and a peer is not asked more often than was promised.
        item.attempts -= 1
        return Failed("no attempt is left", item.why_unfinished)
    try:
        return step.attempt(item)
    except Exception as error:
        # A fault of ours must not stop the worker, nor lose the row. The traceback is logged, the
        # text of a foreign error is not kept: it could carry what was sent.
        log_exception(logger, "Attempt %s at %s failed unexpectedly", item.attempts, item)
        return Retry(f"internal error: {type(error).__name__}", item.why_unfinished)


def _record(item: Any, step: Step, outcome: Result) -> None:
    logger.info(
        "Attempt %s at %s: %s",
        item.attempts,
        item,
        outcome,
        extra={"action": type(outcome).__name__.lower(), "attempts": item.attempts},
    )
    match outcome:
        case Recorded():
            pass
        case Done():
            _finish(item, step, QueueItem.State.DONE, last_error="")
        case Cancelled():
            _finish(item, step, QueueItem.State.CANCELLED)
        case Failed(error=error, reason=reason, pauses=peer):
            if peer is None or _pause(item, peer, reason):
                _give_up(item, step, error, reason)
            else:
                _try_again(item, step, Retry(error, reason))
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
            _try_again(item, step, outcome)


def _pause(item: QueueItem, peer: Peer, reason: str) -> bool:
    """:raises LeaseLost: the refusal comes late: others have asked since."""
    queue.renew(item)
    return pausing.pause(peer, reason)


def _try_again(item: QueueItem, step: Step, retry: Retry) -> None:
    wait = step.policy().pause_after(item.attempts, retry.after)
    if wait is None:
        _give_up(item, step, retry.error, retry.reason)
        return
    last_error = retry.error[:_ERROR_LENGTH]
    queue.release(item, QueueItem.State.PENDING, _in(wait), last_error=last_error)


@tried_again
def _give_up(item: Any, step: Step, error: str, reason: str) -> None:
    with atomic():
        # The link before its rows, as everywhere: a redemption that runs would wait for the row.
        Link.objects.select_for_update().filter(pk=item.link_id).first()
        _finish(item, step, QueueItem.State.FAILED, last_error=error[:_ERROR_LENGTH], reason=reason)
        # Not into ``item``, whose lease is needed again where this is repeated.
        dead: Any = type(item)._default_manager.get(pk=item.pk)
        step.given_up(dead, reason, error)
        signals.send_after_commit(signals.delivery_failed, type(item), item=dead)
    logger.warning("%s was given up: %s", item, error, extra={"action": "given_up"})


def _finish(item: QueueItem, step: Step, state: QueueItem.State, **values: Any) -> None:
    queue.finish(item, state, attempts=item.attempts, **values, **step.finished(state))


def give_back(item: QueueItem) -> None:
    """Let others claim a row at once whose attempt is not over, because this process ends."""
    try:
        queue.release(item, QueueItem.State.PENDING, timezone.now())
    except LeaseLost:
        logger.info("%s has just been decided", item, extra={"action": "lease_lost"})


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
