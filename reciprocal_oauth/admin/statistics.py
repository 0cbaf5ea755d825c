"""How the links and the hand-overs of a site are doing: the numbers, in a fixed number of queries.

The days are those of the current time zone. They are counted between bounds that are computed here,
not with functions of the database: MariaDB knows no time zones until they are loaded into it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from ..models import InboxItem, Link, OutboxItem, Peer

State = OutboxItem.State
#: So many days, of which today is the last.
DAYS = 30
#: The upper bounds of the classes of duration; the last class has none.
DURATIONS = (
    timedelta(seconds=1),
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(days=1),
)


@dataclass(frozen=True)
class Day:
    """:ivar active: links at the end of the day, or by now.
    :ivar done: hand-overs of this site that were redeemed on the day; ``failed``: failed on it.
    """

    date: date
    begun: int
    ended: int
    active: int
    done: int
    failed: int


@dataclass(frozen=True)
class OfPeer:
    """One peer: its active links, and its hand-overs in either direction that wait, or were given
    up."""

    peer: Peer
    links: int
    sent_waiting: int
    sent_failed: int
    received_waiting: int
    received_failed: int


@dataclass(frozen=True)
class Overview:
    """:ivar durations: how many hand-overs took less than each of :data:`DURATIONS`, and not less
        than the one before; the last number: longer than all.
    :ivar median: from the person's consent until the peer has redeemed the code; ``p95``: within
        which 95 of 100 did. ``None`` without any.
    """

    days: list[Day]
    durations: list[int]
    median: timedelta | None
    p95: timedelta | None
    peers: list[OfPeer]

    @property
    def active(self) -> int:
        return self.days[-1].active

    @property
    def done(self) -> int:
        return sum(day.done for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)

    @property
    def success(self) -> float | None:
        """Of 100 hand-overs that have ended, so many were redeemed; ``None`` without any."""
        ended = self.done + self.failed
        return self.done / ended * 100 if ended else None

    @property
    def is_empty(self) -> bool:
        """Whether nobody has connected anything, ever."""
        return not any((day.active or day.begun or day.done or day.failed) for day in self.days)


def of_site() -> Overview:
    """The overview of the whole site, in eleven queries."""
    dates, bounds = _days()
    handovers = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    ended = handovers.filter(
        state__in=(State.DONE, State.FAILED), finished_at__gte=bounds[0]
    ).order_by()
    duration = F("finished_at") - F("created_at")
    took: QuerySet[Any] = ended.filter(state=State.DONE).annotate(took=duration)
    return Overview(
        days=_by_day(dates, bounds, ended),
        durations=_durations(took),
        **_percentiles(took),
        peers=_by_peer(handovers),
    )


def _days() -> tuple[list[date], list[datetime]]:
    """The days, and the time at which each of them begins."""
    now = timezone.now()
    is_aware = timezone.is_aware(now)
    today = (timezone.localtime(now) if is_aware else now).date()
    dates = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    starts = [datetime.combine(each, time.min) for each in dates]
    return dates, [timezone.make_aware(each) if is_aware else each for each in starts]


def _by_day(dates: list[date], bounds: list[datetime], finished: QuerySet[OutboxItem]) -> list[Day]:
    links = Link.objects.order_by()
    begun = _counted(links, "created_at", bounds)
    ended = _counted(links.filter(ended_at__isnull=False), "ended_at", bounds)
    by_state = _counted(finished, "finished_at", bounds, "state")
    days, active = [], begun[(0,)] - ended[(0,)]
    for number, each in enumerate(dates, 1):
        active += begun[(number,)] - ended[(number,)]
        days.append(
            Day(
                date=each,
                begun=begun[(number,)],
                ended=ended[(number,)],
                active=active,
                done=by_state[(number, State.DONE)],
                failed=by_state[(number, State.FAILED)],
            )
        )
    return days


def _counted(
    rows: QuerySet[Any], field: str, bounds: Sequence[Any], *others: str
) -> Counter[tuple[Any, ...]]:
    """How many ``rows`` have ``field`` below the first of ``bounds`` (0), below the second (1), and
    so on; and each of ``others``."""
    cases = [When(**{f"{field}__lt": bound}, then=Value(n)) for n, bound in enumerate(bounds)]
    place = Case(*cases, default=Value(len(bounds)), output_field=IntegerField())
    counted = rows.annotate(place=place).values_list("place", *others).annotate(n=Count("pk"))
    return Counter({tuple(key): count for *key, count in counted})


def _durations(took: QuerySet[Any]) -> list[int]:
    counted = _counted(took, "took", DURATIONS)
    return [counted[(number,)] for number in range(len(DURATIONS) + 1)]


def _percentiles(took: QuerySet[Any]) -> dict[str, timedelta | None]:
    """By their place in the order: only PostgreSQL has an aggregate that all could use."""
    count, ordered = took.count(), took.order_by("took").values_list("took", flat=True)

    def at(percent: int) -> timedelta | None:
        place = max(-(-count * percent // 100) - 1, 0)
        return ordered[place : place + 1].first()

    return {"median": at(50), "p95": at(95)}


def _by_peer(handovers: QuerySet[OutboxItem]) -> list[OfPeer]:
    active = Link.objects.filter(status=Link.Status.ACTIVE).order_by()
    links = dict(active.values_list("peer").annotate(n=Count("pk")))
    sent, received = _unfinished(handovers), _unfinished(InboxItem.objects.all())
    return [
        OfPeer(
            peer, links.get(peer.pk, 0), *sent.get(peer.pk, (0, 0)), *received.get(peer.pk, (0, 0))
        )
        for peer in Peer.objects.order_by("name")
    ]


def _unfinished(rows: QuerySet[Any]) -> dict[Any, tuple[int, int]]:
    """How many ``rows`` of each peer wait, and were given up."""
    of_interest = rows.filter(state__in=(*OutboxItem.LIVE_STATES, State.FAILED)).order_by()
    counted = of_interest.values_list("peer").annotate(
        waiting=Count("pk", filter=Q(state__in=OutboxItem.LIVE_STATES)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
    )
    return {peer: (waiting, failed) for peer, waiting, failed in counted}
