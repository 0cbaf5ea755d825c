"""Claiming rows with a lease, and recording what an attempt came to.

A claim is one conditional UPDATE per row (compare-and-set), so two workers never hold the same
row on any database. Leases are counted by the database's clock: a worker whose own clock is wrong
steals nothing. No transaction and no lock is open while a claimed row is worked on.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Count, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from ..conf import settings
from ..exceptions import LeaseLost
from ..models import InboxItem, OutboxItem, QueueItem

Item = TypeVar("Item", bound=QueueItem)
State = QueueItem.State

_ORDER = ("next_attempt_at", "pk")
#: How many more rows are looked at than are wanted: other workers are after the same ones.
_SPARE = 20


def claim(model: type[Item], limit: int) -> Sequence[Item]:
    """Claim up to ``limit`` due rows of ``model``; the attempt is counted at the claim."""
    rows = model._default_manager
    owner = secrets.token_hex(16)
    busy = _busy_peers()
    wanted = limit
    while wanted > 0:
        full = [peer for peer, count in busy.items() if count >= settings.DELIVERIES_PER_PEER]
        candidates = (
            rows.filter(_due())
            .exclude(peer__in=full)
            .order_by(*_ORDER)
            .values_list("pk", "attempts", "state", "peer")[: wanted + _SPARE]
        )
        passed_over = False
        for pk, attempts, state, peer in candidates:
            if not wanted:
                break
            if busy[peer] >= settings.DELIVERIES_PER_PEER:
                passed_over = True
                continue
            claimed = rows.filter(_due(), pk=pk, attempts=attempts, state=state).update(
                state=State.CLAIMED,
                attempts=F("attempts") + 1,
                lease_owner=owner,
                lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS),
                updated_at=timezone.now(),
            )
            busy[peer] += claimed
            wanted -= claimed
        if not passed_over:
            break  # Else the rows of one peer have hidden those of others.
    if wanted == limit:
        return []
    return list(rows.filter(lease_owner=owner).order_by(*_ORDER))


def _busy_peers() -> Counter[Any]:
    """Peers with rows of either queue that are being worked on, and how many."""
    busy: Counter[Any] = Counter()
    for model in (InboxItem, OutboxItem):
        held = model.objects.filter(state=State.CLAIMED, lease_until__gte=Now())
        busy.update(dict(held.order_by().values_list("peer").annotate(Count("pk"))))
    return busy


def next_due_at(model: type[QueueItem]) -> datetime | None:
    """When the next row of ``model`` comes due; ``None``: none waits."""
    waiting = model._default_manager.filter(state__in=QueueItem.WAITING_STATES)
    return waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()


def finish(item: QueueItem, state: State, **values: Any) -> None:
    """End a claimed row.

    :raises LeaseLost: it is no longer ours.
    """
    now = timezone.now()
    _update(item, **type(item).finishing(state, now, **values))


def release(item: QueueItem, state: State, next_attempt_at: datetime, **values: Any) -> None:
    """Give a claimed row back, to be looked at again at ``next_attempt_at``.

    :raises LeaseLost: it is no longer ours.
    """
    _update(
        item,
        state=state,
        next_attempt_at=next_attempt_at,
        lease_owner=None,
        lease_until=None,
        updated_at=timezone.now(),
        **values,
    )


def _due() -> Q:
    waiting = Q(state__in=QueueItem.WAITING_STATES, next_attempt_at__lte=timezone.now())
    abandoned = Q(state=State.CLAIMED, lease_until__lt=Now())
    return waiting | abandoned


def _update(item: QueueItem, **values: Any) -> None:
    mine = type(item)._default_manager.filter(
        pk=item.pk, state=State.CLAIMED, lease_owner=item.lease_owner
    )
    if not mine.update(**values):
        raise LeaseLost(f"{item} is no longer held by this worker.")
