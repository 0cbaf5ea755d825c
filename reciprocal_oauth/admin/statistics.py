"""Statistics about the links, the hand-overs and the workers of this site. A hand-over sends one
reciprocal code to a peer, and is done when the peer has redeemed this code.

A day begins at midnight in the current time zone. This module computes the beginning of each day
in Python: MariaDB could do this only if an administrator had loaded the time zones into it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, QuerySet, Value, When
from django.utils import timezone

from ..models import Heartbeat, Link, OutboxItem
from ..status.workers import absence
from .attempt_statistics import Attempts, attempts_of_site
from .peer_states import PeerState, peer_states

State = OutboxItem.State
#: The number of days in the statistics. The last day is today.
DAYS = 30
#: The page shows at most this number of workers.
MAX_WORKERS = 20
#: The durations that separate the ranges in the chart of durations. The first range is “less than
#: one second”, the second is “1 s to 10 s”, and the last range is “one day or longer”.
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

    :ivar begun: the number of links that were started on this day.
    :ivar ended: the number of links that ended on this day.
    :ivar active: the number of links that were active at the end of this day.
    :ivar done: the number of reciprocal codes of this site that peers redeemed on this day.
    :ivar failed: the number of hand-overs of this site that failed on this day.
    """

    date: date
    begun: int
    ended: int
    active: int
    done: int
    failed: int


@dataclass(frozen=True)
class Overview:
    """The numbers of the overview page.

    The duration of a hand-over is the time from the consent of the person until the peer redeems
    the reciprocal code.

    :ivar durations: the number of hand-overs for each range of durations; see :data:`DURATIONS`.
    :ivar median: the median of the durations; ``None`` if no reciprocal code was redeemed.
    :ivar p95: the 95th percentile of the durations; ``None`` if no reciprocal code was redeemed.
    :ivar workers: the workers that were seen last.
    :ivar is_worker_missing: whether nothing is delivered, because this site has no worker.
    """

    days: list[Day]
    durations: list[int]
    median: timedelta | None
    p95: timedelta | None
    attempts: Attempts
    peers: list[PeerState]
    workers: list[Heartbeat]
    is_worker_missing: bool

    @property
    def active(self) -> int:
        """Return the number of links that are active now."""
        return self.days[-1].active

    @property
    def done(self) -> int:
        """Return the number of hand-overs whose code was redeemed, for all days together."""
        return sum(day.done for day in self.days)

    @property
    def failed(self) -> int:
        """Return the number of hand-overs that failed, for all days together."""
        return sum(day.failed for day in self.days)

    @property
    def success(self) -> float | None:
        """Return how many percent of the finished hand-overs were successful. A hand-over counts as
        finished if its code was redeemed or if it failed. Return ``None`` if no hand-over is
        finished."""
        ended = self.done + self.failed
        return self.done / ended * 100 if ended else None

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to show: on all days, no link was active or started, no
        reciprocal code was redeemed, and no hand-over failed."""
        return not any((day.active or day.begun or day.done or day.failed) for day in self.days)


def overview_of_site() -> Overview:
    """Compute the numbers of the overview page with at most fourteen queries, for any number of
    rows."""
    dates, bounds = _days()
    handovers = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    ended = handovers.filter(
        state__in=(State.DONE, State.FAILED), finished_at__gte=bounds[0]
    ).order_by()
    duration = F("finished_at") - F("created_at")
    attempts = attempts_of_site()
    workers = list(Heartbeat.objects.order_by("-seen_at")[:MAX_WORKERS])
    took: QuerySet[Any] = ended.filter(state=State.DONE).annotate(took=duration)
    return Overview(
        days=_by_day(dates, bounds, ended),
        durations=_durations(took),
        **_percentiles(took),
        attempts=attempts,
        peers=peer_states(attempts),
        workers=workers,
        is_worker_missing=absence(workers[0].seen_at if workers else None) is not None,
    )


def _days() -> tuple[list[date], list[datetime]]:
    """Return two lists: the last :data:`DAYS` dates, and the time at which each day begins."""
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
    """Divide ``rows`` into groups, and count the rows of each group.

    The rows of a group have the same values in the fields ``others``, and their values of ``field``
    are in the same range. The ``bounds`` separate the ranges: range 0 contains the values below the
    first bound, range 1 contains the values from the first bound up to the second bound, and so on.

    :returns: a mapping from each group to its number of rows. The key is a tuple: the number of the
        range, followed by the values of the fields ``others``.
    """
    cases = [When(**{f"{field}__lt": bound}, then=Value(n)) for n, bound in enumerate(bounds)]
    place = Case(*cases, default=Value(len(bounds)), output_field=IntegerField())
    counted = rows.annotate(place=place).values_list("place", *others).annotate(n=Count("pk"))
    return Counter({tuple(key): count for *key, count in counted})


def _durations(took: QuerySet[Any]) -> list[int]:
    counted = _counted(took, "took", DURATIONS)
    return [counted[(number,)] for number in range(len(DURATIONS) + 1)]


def _percentiles(took: QuerySet[Any]) -> dict[str, timedelta | None]:
    """Return the median and the 95th percentile of the durations.

    To find a percentile, sort the rows by duration, and read the row at the right position. Do not
    use a database function for percentiles, because not all supported databases have one.
    """
    count, ordered = took.count(), took.order_by("took").values_list("took", flat=True)

    def at(percent: int) -> timedelta | None:
        place = max(-(-count * percent // 100) - 1, 0)
        return ordered[place : place + 1].first()

    return {"median": at(50), "p95": at(95)}
