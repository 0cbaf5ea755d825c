"""Statistics of the links and hand-overs of a site, in a fixed number of queries.

Days are days in the current time zone. This module computes the start of each day, because MariaDB
cannot: it has no time zones unless an administrator loads them.
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
#: The number of days. The last day is today.
DAYS = 30
#: The upper bounds of the ranges of durations. One more range has no upper bound.
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
    """The numbers of one day.

    :ivar begun: links that were started on the day; ``ended``: links that ended.
    :ivar active: active links at the end of the day.
    :ivar done: hand-overs of this site that were redeemed on the day; ``failed``: that failed.
    """

    date: date
    begun: int
    ended: int
    active: int
    done: int
    failed: int


@dataclass(frozen=True)
class PeerCounts:
    """The active links of one peer, and its pending and failed hand-overs in both directions."""

    peer: Peer
    links: int
    sent_waiting: int
    sent_failed: int
    received_waiting: int
    received_failed: int


@dataclass(frozen=True)
class Overview:
    """The numbers of the overview page.

    :ivar durations: the number of hand-overs in each range of :data:`DURATIONS`.
    :ivar median: the median time from the person's consent until the peer redeems the code;
        ``p95``: the 95th percentile. ``None`` without hand-overs.
    """

    days: list[Day]
    durations: list[int]
    median: timedelta | None
    p95: timedelta | None
    peers: list[PeerCounts]

    @property
    def active(self) -> int:
        """Active links now."""
        return self.days[-1].active

    @property
    def done(self) -> int:
        """Hand-overs that were redeemed, over all days."""
        return sum(day.done for day in self.days)

    @property
    def failed(self) -> int:
        """Hand-overs that failed, over all days."""
        return sum(day.failed for day in self.days)

    @property
    def success(self) -> float | None:
        """The percentage of finished hand-overs that were redeemed; ``None`` without any."""
        ended = self.done + self.failed
        return self.done / ended * 100 if ended else None

    @property
    def is_empty(self) -> bool:
        """Whether there are no links and no hand-overs in all days."""
        return not any((day.active or day.begun or day.done or day.failed) for day in self.days)


def overview_of_site() -> Overview:
    """The overview of the site, in eleven queries."""
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
    """The days, and the time at which each day begins."""
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
    """Count ``rows`` by range and by the fields in ``others``. Range 0 has the rows whose ``field``
    is below the first of ``bounds``, range 1 those below the second, and so on."""
    cases = [When(**{f"{field}__lt": bound}, then=Value(n)) for n, bound in enumerate(bounds)]
    place = Case(*cases, default=Value(len(bounds)), output_field=IntegerField())
    counted = rows.annotate(place=place).values_list("place", *others).annotate(n=Count("pk"))
    return Counter({tuple(key): count for *key, count in counted})


def _durations(took: QuerySet[Any]) -> list[int]:
    counted = _counted(took, "took", DURATIONS)
    return [counted[(number,)] for number in range(len(DURATIONS) + 1)]


def _percentiles(took: QuerySet[Any]) -> dict[str, timedelta | None]:
    """The median and the 95th percentile, by position in the sorted rows: of the databases, only
    PostgreSQL has an aggregate for percentiles."""
    count, ordered = took.count(), took.order_by("took").values_list("took", flat=True)

    def at(percent: int) -> timedelta | None:
        place = max(-(-count * percent // 100) - 1, 0)
        return ordered[place : place + 1].first()

    return {"median": at(50), "p95": at(95)}


def _by_peer(handovers: QuerySet[OutboxItem]) -> list[PeerCounts]:
    active = Link.objects.filter(status=Link.Status.ACTIVE).order_by()
    links = dict(active.values_list("peer").annotate(n=Count("pk")))
    sent, received = _unfinished(handovers), _unfinished(InboxItem.objects.all())
    return [
        PeerCounts(
            peer, links.get(peer.pk, 0), *sent.get(peer.pk, (0, 0)), *received.get(peer.pk, (0, 0))
        )
        for peer in Peer.objects.order_by("name")
    ]


def _unfinished(rows: QuerySet[Any]) -> dict[Any, tuple[int, int]]:
    """The number of pending and of failed ``rows`` for each peer."""
    of_interest = rows.filter(state__in=(*OutboxItem.LIVE_STATES, State.FAILED)).order_by()
    counted = of_interest.values_list("peer").annotate(
        waiting=Count("pk", filter=Q(state__in=OutboxItem.LIVE_STATES)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
    )
    return {peer: (waiting, failed) for peer, waiting, failed in counted}
