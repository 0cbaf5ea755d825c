"""Claims rows of the outbox and the inbox with a lease, and stores the results of attempts.

A lease is a claim that expires. Two workers never have a valid lease of the same row, and all
workers together never have valid leases of more than ``DELIVERIES_PER_PEER`` rows of one peer. How
this is ensured:

- If the database has row locks, a worker locks the :class:`ClaimGate` row of the peer, and then
  selects rows with ``SKIP LOCKED``.
- If the database has no row locks (SQLite), one conditional UPDATE (compare-and-set) claims each
  row.

The clock of the database decides when a lease expires, so a worker with a wrong clock cannot claim
the row of another worker too early. While a worker delivers a row, it keeps no transaction open and
no database row locked.

If the lease of a claimed row has expired, the row was interrupted: its worker has crashed or was
killed. Perhaps the row itself makes the worker crash, so interrupted rows are claimed separately,
after the waiting rows.
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
#: A worker reads this many more rows than it needs, because other workers may claim some of the
#: rows before this worker can claim them.
_EXTRA_CANDIDATES = 20


def paused_peers() -> Set[Any]:
    """Return the primary keys of all peers to which the delivery is paused."""
    # Read the paused peers in a separate query. If a query for queue rows joined the table of the
    # peers, MariaDB would read the peers first, and then all queue rows of each peer.
    return set(Peer.objects.filter(paused_at__isnull=False).values_list("pk", flat=True))


@dataclass
class ClaimPass:
    """One search of a worker for due rows. The search goes through the inbox and the outbox.

    :ivar owner: a random value that is stored in each claimed row, so that a worker can check later
        whether the row is still claimed by this search. :func:`~.worker.claim` sets a new value for
        each call.
    :ivar expired_for: how many seconds an interrupted row must wait after the end of its lease,
        before the row can be claimed. If it is ``None``, claim no interrupted row.
    :ivar paused: the primary keys of the peers that were paused when the search began.
    :ivar at_limit: the primary keys of the peers whose due rows were skipped, because
        ``DELIVERIES_PER_PEER`` rows of the peer are already claimed.
    """

    owner: str = field(default_factory=lambda: secrets.token_hex(16))
    expired_for: float | None = 0.0
    paused: Set[Any] = field(default_factory=paused_peers)
    at_limit: set[Any] = field(default_factory=set)


def claim(model: type[Item], limit: int, claim_pass: ClaimPass | None = None) -> Sequence[Item]:
    """Claim up to ``limit`` rows of ``model`` that are waiting and due. Each claim adds one to the
    attempts of the row."""
    return _claim(model, limit, _is_waiting(), _ORDER, claim_pass or ClaimPass())


def claim_interrupted(
    model: type[Item], limit: int, claim_pass: ClaimPass | None = None
) -> Sequence[Item]:
    """Claim up to ``limit`` interrupted rows of ``model`` (rows whose lease has expired). Claim the
    rows with few attempts first. A row that crashes its process again and again has many attempts.
    A row with few attempts was probably only interrupted by the crash of such a row."""
    claim_pass = claim_pass or ClaimPass()
    if claim_pass.expired_for is None:
        return []
    rows = _has_expired_lease(claim_pass.expired_for)
    items = _claim(model, limit, rows, ("attempts", *_ORDER), claim_pass)
    for item in items:
        item.was_interrupted = True
    return items


def claim_one(model: type[Item], pk: Any) -> Item | None:
    """Claim the row with the primary key ``pk`` and return it.

    :returns: the row, or ``None`` if the row is not due, another worker has claimed it, its peer is
        paused, or ``DELIVERIES_PER_PEER`` rows of its peer are already claimed.
    """
    return next(iter(_claim(model, 1, _is_due() & Q(pk=pk), _ORDER, ClaimPass())), None)


def due_rows(model: type[QueueItem]) -> QuerySet[Any]:
    """Return the rows of ``model`` that are due, including those of paused peers, which no worker
    claims."""
    return _rows(model).filter(_is_due())


def undo_claims(claim_pass: ClaimPass) -> None:
    """Release the rows that were claimed with ``claim_pass.owner``, because an error has ended the
    search. The claims no longer count as attempts.

    A database error is logged and not raised: if a row is not released, another worker claims it
    after its lease has expired.
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
    """Return the primary keys of up to ``limit`` due rows of ``model``. Return at most
    ``DELIVERIES_PER_PEER`` rows of each peer. The rows that became due first are preferred.

    :param conditions: the column values that the rows must have.
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
                taken = []  # Another process has just deleted the peer and its rows.
            claimed += taken
            if len(claimed) == limit:
                break
            if not taken:
                # Do not read rows of this peer again in this search: DELIVERIES_PER_PEER rows of
                # the peer are already claimed, or other workers have claimed the rows that were
                # read.
                skipped.add(peer)
    return sorted(claimed, key=attrgetter(*_ORDER))


def _candidates(
    model: type[QueueItem], condition: Q, order: Sequence[str], skipped: set[Any], limit: int
) -> dict[Any, list[Any]]:
    """Return the primary keys of up to ``limit`` rows that match ``condition``, in the given order,
    grouped by the primary key of the peer.

    :param skipped: the primary keys of the peers whose rows are not returned.
    """
    rows = _rows(model).filter(condition).exclude(peer__in=skipped).order_by(*order)
    found: dict[Any, list[Any]] = {}
    for pk, peer in rows.values_list("pk", "peer")[:limit]:
        found.setdefault(peer, []).append(pk)
    return found


def _claim_of(
    model: type[Item], peer: Any, pks: Sequence[Any], order: Sequence[str], limit: int, owner: str
) -> Sequence[Item]:
    """Claim up to ``limit`` rows of ``peer``, but not more than ``DELIVERIES_PER_PEER`` allows.

    :param pks: the primary keys of the rows that can be claimed.
    :raises _PeerAtLimit: ``DELIVERIES_PER_PEER`` rows of the peer are already claimed.
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
        # Insert the ClaimGate row of the peer outside of the transaction that locks it. Otherwise
        # MariaDB could have a deadlock: if two workers insert this row, both get a shared lock on
        # it, and then each worker waits for the other to get an exclusive lock.
        ClaimGate.objects.bulk_create([ClaimGate(peer_id=peer)], ignore_conflicts=True)
        if not ClaimGate.objects.using(database()).filter(pk=peer).exists():
            # Another process has just deleted the peer. MariaDB does not report this as an error,
            # because ignore_conflicts also ignores a foreign key that does not exist.
            return []
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
    """Lock the :class:`ClaimGate` row of ``peer``, and claim up to ``limit`` of the rows ``pks``.

    :raises _GateMissing: the peer has no ``ClaimGate`` row yet.
    :raises _PeerAtLimit: ``DELIVERIES_PER_PEER`` rows of the peer are already claimed.
    """
    with atomic():
        if not ClaimGate.objects.select_for_update().filter(pk=peer):
            raise _GateMissing
        # Select the rows by primary key, so that MariaDB locks the rows first. A search for due
        # rows would lock entries of the index on next_attempt_at first. A worker that releases a
        # row locks the row first, so the two workers could wait for each other (deadlock).
        due = _rows(model).filter(_is_due(), pk__in=pks).order_by(*order)
        # Count the claimed rows only after the ClaimGate row is locked. Before that, another worker
        # can still claim rows of this peer, and the count must include these rows.
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
    """The peer has no :class:`ClaimGate` row yet, so a worker cannot lock this row."""


class _PeerAtLimit(Exception):
    """``DELIVERIES_PER_PEER`` rows of the peer are claimed, so no more can be claimed now."""


def _can_skip_locked() -> bool:
    return connections[database()].features.has_select_for_update_skip_locked


def _compare_and_set(
    model: type[QueueItem], peer: Any, pks: Sequence[Any], limit: int, values: dict[str, Any]
) -> list[Any]:
    """Claim up to ``limit`` of the rows ``pks``, one after the other, without row locks (SQLite).

    SQLite runs only one UPDATE at a time. So one UPDATE can count the claimed rows of the peer and
    claim a row, and no other worker claims a row between these two steps.

    :returns: the primary keys of the claimed rows.
    :raises _PeerAtLimit: ``DELIVERIES_PER_PEER`` rows of the peer are already claimed.
    """
    # Count the claimed rows with a query that only reads, before the UPDATE below. The UPDATE locks
    # the whole SQLite database and makes web requests wait, so skip it if no row can be claimed.
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
    """Return a query expression that counts the claimed rows of ``peer`` in the inbox and the
    outbox. Rows whose lease has expired are not counted."""
    return _count_claimed_in(InboxItem, peer) + _count_claimed_in(OutboxItem, peer)


def _count_claimed_in(model: type[QueueItem], peer: Any) -> Coalesce:
    claimed = _rows(model).filter(state=State.CLAIMED, peer=peer, lease_until__gte=Now())
    counted = claimed.order_by().values("peer").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), Value(0))


def next_due_at(model: type[QueueItem], *, skipped: Set[Any]) -> datetime | None:
    """Return the time at which the next waiting row of ``model`` becomes due, or ``None`` if no row
    is waiting.

    :param skipped: the primary keys of the peers whose rows are not considered.
    """
    waiting = _rows(model).filter(state__in=QueueItem.WAITING_STATES, next_attempt_at__isnull=False)
    waiting = waiting.exclude(peer__in=skipped)
    return waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()


def finish(item: QueueItem, state: State, **values: Any) -> None:
    """Set a claimed row to its final state, so that no worker claims it again.

    :param state: the final state.
    :param values: values of other columns to set.
    :raises LeaseLost: the row is no longer claimed by this worker.
    """
    now = timezone.now()
    _update_claimed(item, **type(item).final_values(state, now, **values))


def renew(item: QueueItem) -> None:
    """Extend the lease of a claimed row, so that the lease ends ``LEASE_SECONDS`` from now.

    :raises LeaseLost: the row is no longer claimed by this worker.
    """
    _update_claimed(item, lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS))


def release(item: QueueItem, state: State, next_attempt_at: datetime, **values: Any) -> None:
    """Release a claimed row. Workers can claim the row again from ``next_attempt_at`` on.

    :param state: the new state of the row, one of ``QueueItem.WAITING_STATES``.
    :param values: values of other columns to set.
    :raises LeaseLost: the row is no longer claimed by this worker.
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
    """Return the condition for a due row: its ``next_attempt_at`` is reached, and it is waiting or
    interrupted (claimed, but the lease has expired).

    A claimed row keeps its ``next_attempt_at``. So the index on this column finds waiting rows and
    interrupted rows.
    """
    return Q(next_attempt_at__lte=timezone.now()) & (_is_waiting() | _has_expired_lease(0))


def _is_waiting() -> Q:
    # Exclude all other states instead of asking for the waiting states. With a list of the waiting
    # states, SQLite would read all waiting rows, including rows that are not due.
    others = [state for state in State if state not in QueueItem.WAITING_STATES]
    return Q(next_attempt_at__lte=timezone.now()) & ~Q(state__in=others)


def _has_expired_lease(seconds: float) -> Q:
    """Return the condition for a claimed row whose lease expired at least ``seconds`` ago."""
    return Q(state=State.CLAIMED, lease_until__lt=Now() - timedelta(seconds=seconds))


@tried_again
def _update_claimed(item: QueueItem, **values: Any) -> None:
    """Set columns of a row that this worker has claimed.

    :raises LeaseLost: the row is no longer claimed by this worker.
    """
    rows = _rows(type(item)).filter(pk=item.pk, state=State.CLAIMED, lease_owner=item.lease_owner)
    if not rows.update(**values):
        raise LeaseLost(f"{item} is no longer claimed by this worker.")
