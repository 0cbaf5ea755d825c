"""Claims rows with a lease and stores the results of attempts.

Two workers never hold the same row, and all workers together never hold more than
``DELIVERIES_PER_PEER`` rows of one peer. With row locks, a worker locks the :class:`ClaimGate` of
the peer and then takes rows with ``SKIP LOCKED``. Without row locks (SQLite), each row is claimed
by one conditional UPDATE (compare-and-set). Leases are measured by the clock of the database, so a
worker with a wrong clock takes no row of another worker. No transaction and no lock is open while a
worker works on a claimed row.

A claimed row whose lease has expired was interrupted: its worker has crashed or was killed, and the
row itself may be the cause. Such rows are claimed separately, after the waiting rows.
"""

import logging
import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, TypeVar

from django.db import Error, IntegrityError, connections
from django.db.models import Count, F, Q, QuerySet, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from ..conf import settings
from ..core.database import atomic, database, tried_again
from ..exceptions import LeaseLost
from ..models import ClaimGate, InboxItem, OutboxItem, Peer, QueueItem

logger = logging.getLogger("reciprocal_oauth.delivery")

Item = TypeVar("Item", bound=QueueItem)
State = QueueItem.State

_ORDER = ("next_attempt_at", "pk")
#: How many candidates are read beyond the number wanted: other workers may claim the same rows.
_EXTRA_CANDIDATES = 20


def paused_peers() -> Set[Any]:
    """Return the keys of all paused peers."""
    # Not as a join: MariaDB would start with the peers and read all rows of each.
    return set(Peer.objects.filter(paused_at__isnull=False).values_list("pk", flat=True))


@dataclass
class ClaimPass:
    """One search of a worker for due rows, in one queue after the other.

    :ivar owner: stored in each row that is claimed. :func:`~.worker.claim` makes a new one for each
        call.
    :ivar expired_for: how many seconds ago the lease of an interrupted row must have expired;
        ``None``: claim no interrupted rows.
    :ivar paused: keys of the peers that were paused when the search began.
    :ivar at_limit: keys of the peers with due rows that were skipped because of
        ``DELIVERIES_PER_PEER``.
    """

    owner: str = field(default_factory=lambda: secrets.token_hex(16))
    expired_for: float | None = 0.0
    paused: Set[Any] = field(default_factory=paused_peers)
    at_limit: set[Any] = field(default_factory=set)


def claim(model: type[Item], limit: int, claim_pass: ClaimPass | None = None) -> Sequence[Item]:
    """Claim up to ``limit`` due rows of ``model`` that are waiting. Claiming a row counts as an
    attempt."""
    return _claim(model, limit, _is_waiting(), _ORDER, claim_pass or ClaimPass())


def claim_interrupted(
    model: type[Item], limit: int, claim_pass: ClaimPass | None = None
) -> Sequence[Item]:
    """Claim up to ``limit`` rows of ``model`` whose lease has expired. Rows with few attempts come
    first: they were probably only in the same process as the row that crashes its worker."""
    claim_pass = claim_pass or ClaimPass()
    if claim_pass.expired_for is None:
        return []
    rows = _has_expired_lease(claim_pass.expired_for)
    items = _claim(model, limit, rows, ("attempts", *_ORDER), claim_pass)
    for item in items:
        item.was_interrupted = True
    return items


def claim_one(model: type[Item], pk: Any) -> Item | None:
    """Claim the row ``pk`` of ``model`` if it is due and its peer is below
    ``DELIVERIES_PER_PEER``."""
    return next(iter(_claim(model, 1, _is_due() & Q(pk=pk), _ORDER, ClaimPass())), None)


def undo_claims(claim_pass: ClaimPass) -> None:
    """Release the rows that ``claim_pass`` claimed before it failed. The attempts are not counted.

    Never raises: a row that cannot be released is claimed again when its lease has expired.
    """
    try:
        connections[database()].close_if_unusable_or_obsolete()
        for model in (InboxItem, OutboxItem):
            owned: QuerySet[Any] = _rows(model).filter(
                state=State.CLAIMED, lease_owner=claim_pass.owner
            )
            owned.update(
                state=State.PENDING, attempts=F("attempts") - 1, lease_owner=None, lease_until=None
            )
    except Error:
        logger.warning("Claimed rows could not be released; their leases will expire")


def due(model: type[QueueItem], limit: int, **conditions: Any) -> list[Any]:
    """Return the keys of up to ``limit`` due rows of ``model``, the oldest first, and at most
    ``DELIVERIES_PER_PEER`` for each peer.

    :param conditions: only rows with these column values.
    """
    found: list[Any] = []
    seen = set(paused_peers())
    while len(found) < limit:
        candidates = _candidates(model, _is_due() & Q(**conditions), _ORDER, seen, limit)
        if not candidates:
            break
        for peer, pks in candidates.items():
            found += pks[: settings.DELIVERIES_PER_PEER]
            seen.add(peer)
    return found[:limit]


def _claim(
    model: type[Item], limit: int, condition: Q, order: Sequence[str], claim_pass: ClaimPass
) -> Sequence[Item]:
    claimed: list[Item] = []
    skipped = set(claim_pass.paused)
    while wanted := limit - len(claimed):
        candidates = _candidates(model, condition, order, skipped, wanted + _EXTRA_CANDIDATES)
        if not candidates:
            break
        for peer, pks in candidates.items():
            try:
                taken = _claim_of(model, peer, pks, order, limit - len(claimed), claim_pass.owner)
            except _PeerAtLimit:
                taken = []
                claim_pass.at_limit.add(peer)
            except IntegrityError:
                taken = []  # The peer and its rows have just been deleted.
            claimed += taken
            if len(claimed) == limit:
                break
            if not taken:
                # The peer is at its limit, or other workers have claimed these rows.
                skipped.add(peer)
    return sorted(claimed, key=attrgetter(*_ORDER))


def _candidates(
    model: type[QueueItem], condition: Q, order: Sequence[str], skipped: set[Any], limit: int
) -> dict[Any, list[Any]]:
    """Return the keys of matching rows, grouped by peer, in the given order.

    :param skipped: keys of the peers to leave out.
    """
    rows = _rows(model).filter(condition).exclude(peer__in=skipped).order_by(*order)
    found: dict[Any, list[Any]] = {}
    for pk, peer in rows.values_list("pk", "peer")[:limit]:
        found.setdefault(peer, []).append(pk)
    return found


def _claim_of(
    model: type[Item], peer: Any, pks: Sequence[Any], order: Sequence[str], limit: int, owner: str
) -> Sequence[Item]:
    """Claim up to ``limit`` of the rows ``pks`` of ``peer``, within ``DELIVERIES_PER_PEER``.

    :raises _PeerAtLimit: the peer already has ``DELIVERIES_PER_PEER`` claimed rows.
    """
    values = {
        "state": State.CLAIMED,
        "attempts": F("attempts") + 1,
        "lease_owner": owner,
        "lease_until": Now() + timedelta(seconds=settings.LEASE_SECONDS),
        "updated_at": timezone.now(),
    }
    if not connections[database()].features.has_select_for_update:
        taken = _compare_and_set(model, peer, pks, limit, values)
        return list(_rows(model).filter(pk__in=taken, lease_owner=owner)) if taken else []
    try:
        return _claim_with_locks(model, peer, pks, order, limit, values)
    except _GateMissing:
        # In a transaction of its own: on MariaDB, two workers that insert the same gate both hold a
        # shared lock on it. If both then asked for the exclusive lock, it would be a deadlock.
        ClaimGate.objects.bulk_create([ClaimGate(peer_id=peer)], ignore_conflicts=True)
        if not ClaimGate.objects.using(database()).filter(pk=peer).exists():
            return []  # The peer has just been deleted. MariaDB ignores that error as well.
        return _claim_of(model, peer, pks, order, limit, owner)


@tried_again
def _claim_with_locks(
    model: type[Item],
    peer: Any,
    pks: Sequence[Any],
    order: Sequence[str],
    limit: int,
    values: dict[str, Any],
) -> Sequence[Item]:
    """Claim rows while the gate of ``peer`` is locked.

    :raises _GateMissing: no row of the peer has been claimed before.
    :raises _PeerAtLimit: the peer already has ``DELIVERIES_PER_PEER`` claimed rows.
    """
    with atomic():
        if not ClaimGate.objects.select_for_update().filter(pk=peer):
            raise _GateMissing
        # Select by key: otherwise MariaDB locks along the index of due rows, in another order than
        # workers that release rows, which can be a deadlock.
        due = _rows(model).filter(_is_due(), pk__in=pks).order_by(*order)
        # Count after the gate is locked, so that rows claimed a moment ago are included.
        due = due.annotate(claimed=_count_claimed(peer))
        found = due.select_for_update(skip_locked=_can_skip_locked())[:limit]
        items = [
            item for n, item in enumerate(found) if item.claimed + n < settings.DELIVERIES_PER_PEER
        ]
        if items:
            _rows(model).filter(pk__in=[item.pk for item in items]).update(**values)
        elif found:
            raise _PeerAtLimit
        for item in items:
            item.state, item.lease_owner = State.CLAIMED, values["lease_owner"]
            item.attempts += 1
        return items


class _GateMissing(Exception):
    """The peer has no :class:`ClaimGate` yet."""


class _PeerAtLimit(Exception):
    """``DELIVERIES_PER_PEER`` rows of the peer are claimed."""


def _can_skip_locked() -> bool:
    return connections[database()].features.has_select_for_update_skip_locked


def _compare_and_set(
    model: type[QueueItem], peer: Any, pks: Sequence[Any], limit: int, values: dict[str, Any]
) -> list[Any]:
    """Claim rows one by one and return their keys. SQLite runs one writing statement at a time, so
    an UPDATE can count the claimed rows and claim another one in one step.

    :raises _PeerAtLimit: the peer already has ``DELIVERIES_PER_PEER`` claimed rows.
    """
    # Count without writing first: a write makes web requests wait.
    counted = Peer.objects.filter(pk=peer).annotate(claimed=_count_claimed(peer))
    room = settings.DELIVERIES_PER_PEER - sum(counted.values_list("claimed", flat=True))
    if room <= 0:
        raise _PeerAtLimit
    taken: list[Any] = []
    rows = _rows(model).alias(claimed=_count_claimed(peer))
    rows = rows.filter(_is_due(), claimed__lt=settings.DELIVERIES_PER_PEER)
    for pk in pks:
        if len(taken) == min(limit, room):
            break
        if tried_again(rows.filter(pk=pk).update)(**values):
            taken.append(pk)
    return taken


def _count_claimed(peer: Any) -> Combinable:
    """Count the rows of ``peer`` in both queues that are claimed and whose lease is valid."""
    return _count_claimed_in(InboxItem, peer) + _count_claimed_in(OutboxItem, peer)


def _count_claimed_in(model: type[QueueItem], peer: Any) -> Coalesce:
    claimed = _rows(model).filter(state=State.CLAIMED, peer=peer, lease_until__gte=Now())
    counted = claimed.order_by().values("peer").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), Value(0))


def next_due_at(model: type[QueueItem], *, skipped: Set[Any]) -> datetime | None:
    """Return when the next waiting row of ``model`` becomes due; ``None``: no row is waiting.

    :param skipped: keys of the peers to leave out.
    """
    waiting = _rows(model).filter(state__in=QueueItem.WAITING_STATES, next_attempt_at__isnull=False)
    waiting = waiting.exclude(peer__in=skipped)
    return waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()


def finish(item: QueueItem, state: State, **values: Any) -> None:
    """Finish a claimed row.

    :param state: the final state.
    :param values: more column values to set.
    :raises LeaseLost: this worker no longer holds the row.
    """
    now = timezone.now()
    _update_claimed(item, **type(item).final_values(state, now, **values))


def renew(item: QueueItem) -> None:
    """Extend the lease of a claimed row: it lasts ``LEASE_SECONDS`` from now.

    :raises LeaseLost: this worker no longer holds the row.
    """
    _update_claimed(item, lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS))


def release(item: QueueItem, state: State, next_attempt_at: datetime, **values: Any) -> None:
    """Release a claimed row. It becomes due again at ``next_attempt_at``.

    :param state: a waiting state.
    :param values: more column values to set.
    :raises LeaseLost: this worker no longer holds the row.
    """
    _update_claimed(
        item,
        state=state,
        next_attempt_at=next_attempt_at,
        lease_owner=None,
        lease_until=None,
        updated_at=timezone.now(),
        **values,
    )


def _rows(model: type[QueueItem]) -> QuerySet[Any]:
    return model._default_manager.all()


def _is_due() -> Q:
    """The row is due: waiting, or interrupted. A claimed row keeps its ``next_attempt_at``, so that
    one index finds both in order."""
    return Q(next_attempt_at__lte=timezone.now()) & (_is_waiting() | _has_expired_lease(0))


def _is_waiting() -> Q:
    # The condition excludes the other states. If it listed the waiting states, SQLite would read
    # all waiting rows, also those that are not due.
    others = [state for state in State if state not in QueueItem.WAITING_STATES]
    return Q(next_attempt_at__lte=timezone.now()) & ~Q(state__in=others)


def _has_expired_lease(seconds: float) -> Q:
    """The row is claimed, and its lease expired at least ``seconds`` ago."""
    return Q(state=State.CLAIMED, lease_until__lt=Now() - timedelta(seconds=seconds))


@tried_again
def _update_claimed(item: QueueItem, **values: Any) -> None:
    """:raises LeaseLost: this worker no longer holds the row."""
    rows = _rows(type(item)).filter(pk=item.pk, state=State.CLAIMED, lease_owner=item.lease_owner)
    if not rows.update(**values):
        raise LeaseLost(f"{item} is no longer held by this worker.")
