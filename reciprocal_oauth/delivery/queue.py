"""Claiming rows with a lease, and recording what an attempt came to.

Two workers never hold the same row, and all workers together never hold more rows of one peer than
``DELIVERIES_PER_PEER``, on any database: rows are claimed behind the peer's gate with ``SKIP
LOCKED``, or, where there are no row locks (SQLite), by one conditional UPDATE each
(compare-and-set). Leases are counted by the database's clock: a worker whose own clock is wrong
steals nothing. No transaction and no lock is open while a claimed row is worked on.

A claimed row whose lease has run out was cut off: its worker has been killed, and it may be this
row that kills workers. Such rows are claimed apart from those that wait, and after them.
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
#: How many more rows are looked at than are wanted: other workers are after the same ones.
_SPARE = 20


def paused_peers() -> Set[Any]:
    """Keys of the peers whose rows wait for an administrator."""
    # Not by a join: MariaDB would begin with the peers, and go through all rows of each.
    return set(Peer.objects.filter(paused_at__isnull=False).values_list("pk", flat=True))


@dataclass
class Look:
    """One look of a worker for due rows, through one queue after the other.

    :ivar owner: marks what it claims with :func:`~.worker.claim`, each time anew.
    :ivar cut_off_after: how long, in seconds, a lease must have been over for its row to be
        claimed; ``None``: no such row is.
    :ivar paused: what :func:`paused_peers` said when it began.
    :ivar held_up: keys of the peers of which due rows were left, because they have their share.
    """

    owner: str = field(default_factory=lambda: secrets.token_hex(16))
    cut_off_after: float | None = 0.0
    paused: Set[Any] = field(default_factory=paused_peers)
    held_up: set[Any] = field(default_factory=set)


def claim(model: type[Item], limit: int, look: Look | None = None) -> Sequence[Item]:
    """Claim up to ``limit`` rows of ``model`` that wait and are due; the attempt is counted at the
    claim."""
    return _claim(model, limit, _waiting(), _ORDER, look or Look())


def claim_cut_off(model: type[Item], limit: int, look: Look | None = None) -> Sequence[Item]:
    """Claim up to ``limit`` rows of ``model`` whose last attempt was cut off. The one with the
    fewest attempts comes first: most likely it was only beside the one that kills its worker."""
    look = look or Look()
    if look.cut_off_after is None:
        return []
    cut_off = _cut_off(look.cut_off_after)
    items = _claim(model, limit, cut_off, ("attempts", *_ORDER), look)
    for item in items:
        item.was_cut_off = True
    return items


def claim_one(model: type[Item], pk: Any) -> Item | None:
    """Claim the row ``pk`` of ``model``, if it is due and its peer has not had its share."""
    return next(iter(_claim(model, 1, _is_due() & Q(pk=pk), _ORDER, Look())), None)


def disown(look: Look) -> None:
    """Give back what a look has claimed that failed before anybody worked on it.

    Never raises: what cannot be given back is free when its lease has run out.
    """
    try:
        connections[database()].close_if_unusable_or_obsolete()
        for model in (InboxItem, OutboxItem):
            mine: QuerySet[Any] = _rows(model).filter(state=State.CLAIMED, lease_owner=look.owner)
            mine.update(
                state=State.PENDING, attempts=F("attempts") - 1, lease_owner=None, lease_until=None
            )
    except Error:
        logger.warning("What was claimed could not be given back; its lease will run out")


def due(model: type[QueueItem], limit: int, **among: Any) -> list[Any]:
    """Keys of up to ``limit`` due rows of ``model``, the oldest first; of each peer no more than
    may be worked on at once.

    :param among: only rows with these column values.
    """
    found: list[Any] = []
    seen = set(paused_peers())
    while len(found) < limit:
        candidates = _candidates(model, _is_due() & Q(**among), _ORDER, seen, limit)
        if not candidates:
            break
        for peer, pks in candidates.items():
            found += pks[: settings.DELIVERIES_PER_PEER]
            seen.add(peer)
    return found[:limit]


def _claim(
    model: type[Item], limit: int, among: Q, order: Sequence[str], look: Look
) -> Sequence[Item]:
    claimed: list[Item] = []
    passed_over = set(look.paused)
    while wanted := limit - len(claimed):
        candidates = _candidates(model, among, order, passed_over, wanted + _SPARE)
        if not candidates:
            break
        for peer, pks in candidates.items():
            try:
                taken = _claim_of(model, peer, pks, order, limit - len(claimed), look.owner)
            except _HasItsShare:
                taken = []
                look.held_up.add(peer)
            except IntegrityError:
                taken = []  # The peer has just been deleted, and its rows with it.
            claimed += taken
            if len(claimed) == limit:
                break
            if not taken:
                # Where others were faster, they see to the rest.
                passed_over.add(peer)
    return sorted(claimed, key=attrgetter(*_ORDER))


def _candidates(
    model: type[QueueItem], among: Q, order: Sequence[str], passed_over: set[Any], limit: int
) -> dict[Any, list[Any]]:
    """The keys of rows by peer, in that order."""
    rows = _rows(model).filter(among).exclude(peer__in=passed_over).order_by(*order)
    found: dict[Any, list[Any]] = {}
    for pk, peer in rows.values_list("pk", "peer")[:limit]:
        found.setdefault(peer, []).append(pk)
    return found


def _claim_of(
    model: type[Item], peer: Any, pks: Sequence[Any], order: Sequence[str], limit: int, owner: str
) -> Sequence[Item]:
    """Claim up to ``limit`` of the rows ``pks``, all of ``peer``, as far as it has room.

    :raises _HasItsShare: it has none.
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
        return _claim_behind_the_gate(model, peer, pks, order, limit, values)
    except _NoGate:
        # Outside of that transaction: who meets another's new gate holds a share of it, and two of
        # them that then wanted it whole would be a deadlock on MariaDB.
        ClaimGate.objects.bulk_create([ClaimGate(peer_id=peer)], ignore_conflicts=True)
        if not ClaimGate.objects.using(database()).filter(pk=peer).exists():
            return []  # MariaDB also ignores that the peer has just been deleted.
        return _claim_of(model, peer, pks, order, limit, owner)


@tried_again
def _claim_behind_the_gate(
    model: type[Item],
    peer: Any,
    pks: Sequence[Any],
    order: Sequence[str],
    limit: int,
    values: dict[str, Any],
) -> Sequence[Item]:
    """:raises _NoGate, _HasItsShare: see there."""
    with atomic():
        if not ClaimGate.objects.select_for_update().filter(pk=peer):
            raise _NoGate
        # By their keys: MariaDB would lock on the way through the index of what is due, against
        # the order of those who give rows back.
        due = _rows(model).filter(_is_due(), pk__in=pks).order_by(*order)
        # Counted after the gate has opened: what was claimed meanwhile is among it.
        due = due.annotate(held=_held(peer))
        found = due.select_for_update(skip_locked=_can_skip_locked())[:limit]
        items = [item for n, item in enumerate(found) if item.held + n < _share()]
        if items:
            _rows(model).filter(pk__in=[item.pk for item in items]).update(**values)
        elif found:
            raise _HasItsShare
        for item in items:
            item.state, item.lease_owner = State.CLAIMED, values["lease_owner"]
            item.attempts += 1
        return items


class _NoGate(Exception):
    """Nobody has claimed a row of the peer yet."""


class _HasItsShare(Exception):
    """As many rows of the peer are being worked on as may be at once."""


def _can_skip_locked() -> bool:
    return connections[database()].features.has_select_for_update_skip_locked


def _compare_and_set(
    model: type[QueueItem], peer: Any, pks: Sequence[Any], limit: int, values: dict[str, Any]
) -> list[Any]:
    """SQLite runs one writing statement at a time, so each counts and takes in one step.

    :raises _HasItsShare: the peer has no room.
    """
    # First without writing, for which web requests wait: how many rows there is room for.
    counted = Peer.objects.filter(pk=peer).annotate(held=_held(peer))
    room = _share() - sum(counted.values_list("held", flat=True))
    if room <= 0:
        raise _HasItsShare
    taken: list[Any] = []
    row = _rows(model).alias(held=_held(peer)).filter(_is_due(), held__lt=_share())
    for pk in pks:
        if len(taken) == min(limit, room):
            break
        if tried_again(row.filter(pk=pk).update)(**values):
            taken.append(pk)
    return taken


def _share() -> int:
    return settings.DELIVERIES_PER_PEER


def _held(peer: Any) -> Combinable:
    """How many rows of both queues are being worked on for ``peer``."""
    return _held_in(InboxItem, peer) + _held_in(OutboxItem, peer)


def _held_in(model: type[QueueItem], peer: Any) -> Coalesce:
    held = _rows(model).filter(state=State.CLAIMED, peer=peer, lease_until__gte=Now())
    counted = held.order_by().values("peer").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), Value(0))


def next_due_at(model: type[QueueItem], *, without: Set[Any]) -> datetime | None:
    """When the next row of ``model`` comes due of a peer that is not among the keys ``without``;
    ``None``: none waits."""
    waiting = _rows(model).filter(state__in=QueueItem.WAITING_STATES, next_attempt_at__isnull=False)
    waiting = waiting.exclude(peer__in=without)
    return waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()


def finish(item: QueueItem, state: State, **values: Any) -> None:
    """End a claimed row.

    :raises LeaseLost: it is no longer ours.
    """
    now = timezone.now()
    _update(item, **type(item).finishing(state, now, **values))


def renew(item: QueueItem) -> None:
    """Hold a claimed row for the time of another lease.

    :raises LeaseLost: it is no longer ours.
    """
    _update(item, lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS))


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


def _rows(model: type[QueueItem]) -> QuerySet[Any]:
    return model._default_manager.all()


def _is_due() -> Q:
    """A claimed row keeps the time at which it came due, so that one index leads to those that wait
    and to those that were cut off, in their order."""
    return Q(next_attempt_at__lte=timezone.now()) & (_waiting() | _cut_off(0))


def _waiting() -> Q:
    # By what they are not: SQLite would go through all rows in these states, due or not.
    others = [state for state in State if state not in QueueItem.WAITING_STATES]
    return Q(next_attempt_at__lte=timezone.now()) & ~Q(state__in=others)


def _cut_off(after: float) -> Q:
    """:param after: for how many seconds at least the lease has been over."""
    return Q(state=State.CLAIMED, lease_until__lt=Now() - timedelta(seconds=after))


@tried_again
def _update(item: QueueItem, **values: Any) -> None:
    mine = _rows(type(item)).filter(pk=item.pk, state=State.CLAIMED, lease_owner=item.lease_owner)
    if not mine.update(**values):
        raise LeaseLost(f"{item} is no longer held by this worker.")
