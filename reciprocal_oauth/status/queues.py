"""The figures of the two queues: how many rows are due, since when, and how many have failed."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from ..conf import settings
from ..delivery import queue
from ..models import InboxItem, OutboxItem, QueueItem

State = QueueItem.State
#: The queues, by the names that people and programs see.
QUEUES: dict[str, type[QueueItem]] = {"outbox": OutboxItem, "inbox": InboxItem}
#: Since when a row is due. The column ``lease_until`` is set if the last attempt did not end.
_DUE_SINCE = Coalesce("lease_until", "next_attempt_at")


@dataclass(frozen=True)
class QueueFigures:
    """The figures of one queue.

    :ivar name: ``outbox`` (what this site delivers to peers) or ``inbox`` (the codes of peers that
        this site redeems).
    :ivar unfinished: the number of rows that are waiting or being delivered.
    :ivar due: the number of rows that a worker could deliver now.
    :ivar oldest_due_seconds: for how many seconds the oldest of these rows has been due; ``None``
        if no row is due.
    :ivar overdue: the number of due rows that no worker has taken for ``WORKER_MISSING_SECONDS``,
        although it delivers nothing else to their peer.
    :ivar on_hold: the number of rows that would be due if their peer were not paused.
    :ivar failed: the number of rows that have failed since the beginning of the period.
    """

    name: str
    unfinished: int
    due: int
    oldest_due_seconds: float | None
    overdue: int
    on_hold: int
    failed: int


def queue_figures(since: datetime) -> tuple[QueueFigures, ...]:
    """Return the figures of all queues, the outbox first.

    :param since: the beginning of the period in which failed rows are counted.
    """
    now, paused, busy = timezone.now(), queue.paused_peers(), _busy_peers()
    return tuple(_figures(name, now, since, paused, busy) for name in QUEUES)


def is_anything_overdue() -> bool:
    """Return whether a row of any queue is overdue (see :class:`QueueFigures`)."""
    skipped = queue.paused_peers()
    rows = [queue.due_rows(model).filter(_overdue(timezone.now())) for model in QUEUES.values()]
    if not any(each.exclude(peer__in=skipped).exists() for each in rows):
        return False
    skipped = {*skipped, *_busy_peers()}
    return any(each.exclude(peer__in=skipped).exists() for each in rows)


def _figures(
    name: str, now: datetime, since: datetime, paused: Set[Any], busy: Set[Any]
) -> QueueFigures:
    rows = _rows(QUEUES[name])
    due = queue.due_rows(QUEUES[name]).order_by()
    on_hold = Q(peer__in=paused)
    found = due.aggregate(
        due=Count("pk", filter=~on_hold),
        oldest=Min(_DUE_SINCE, filter=~on_hold),
        overdue=Count("pk", filter=_overdue(now) & ~Q(peer__in={*paused, *busy})),
        on_hold=Count("pk", filter=on_hold),
    )
    oldest = found.pop("oldest")
    return QueueFigures(
        name=name,
        unfinished=rows.filter(state__in=QueueItem.LIVE_STATES).count(),
        oldest_due_seconds=None if oldest is None else max((now - oldest).total_seconds(), 0.0),
        failed=rows.filter(state=State.FAILED, finished_at__gte=since).count(),
        **found,
    )


def _overdue(now: datetime) -> Q:
    before = now - timedelta(seconds=settings.WORKER_MISSING_SECONDS)
    is_waiting = Q(lease_until__isnull=True) | Q(lease_until__lte=before)
    return Q(next_attempt_at__lte=before) & is_waiting


def _busy_peers() -> Set[Any]:
    """Return the primary keys of the peers to which a worker delivers something now. Further rows
    of such a peer may have to wait, because ``DELIVERIES_PER_PEER`` limits what is delivered to it
    at the same time."""
    claimed = Q(state=State.CLAIMED, lease_until__gte=Now())
    return {
        peer
        for model in QUEUES.values()
        for peer in _rows(model).filter(claimed).values_list("peer", flat=True)
    }


def _rows(model: type[QueueItem]) -> QuerySet[Any]:
    return model._default_manager.order_by()


__all__ = ["QUEUES", "QueueFigures", "is_anything_overdue", "queue_figures"]
