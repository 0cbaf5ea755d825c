"""The figures of this site, for the command ``reciprocal_status``, the overview in the admin, and
metrics. They contain no secret and nothing about a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from ..conf import settings
from ..models import AuthorizationRequest, Link, Pairing, Peer
from ..models.heartbeats import workers_last_seen
from ..models.reasons import LOST_INCOMING
from ..peers.findings import State as Result
from .queues import QueueFigures, queue_figures
from .secrets import unreadable_secrets
from .workers import Worker, absence, listed_workers

#: The period in which failures are counted, if the caller names none.
PERIOD = timedelta(hours=24)
#: After this number of attempts without success, a pairing counts as one that stands still.
_STALLED_ATTEMPTS = 3


@dataclass(frozen=True)
class PausedPeer:
    """A peer to which nothing is delivered until an administrator resumes it.

    :ivar slug: the short name of the peer.
    :ivar since: when the delivery was paused.
    :ivar reason: a value of :class:`~reciprocal_oauth.models.Reason`.
    """

    slug: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class StalledPairing:
    """A pairing that needs an administrator of this site, or that several attempts did not move.

    :ivar slug: the short name that the peer has or gets at this site.
    :ivar state: a value of ``Pairing.State``.
    :ivar since: when the pairing was last changed.
    :ivar reason: ``confirm`` (an administrator must confirm it), ``failing`` (attempts fail),
        ``error`` (complete, but new credentials were refused) or ``test`` (complete, but its test
        has failed).
    """

    slug: str
    state: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class FailedConnections:
    """Attempts of people to connect with one peer that failed for the same reason.

    :ivar slug: the short name of the peer.
    :ivar problem: a value of ``AuthorizationRequest.Problem``.
    :ivar count: how many there were in the period.
    :ivar last_at: when the last one began.
    """

    slug: str
    problem: str
    count: int
    last_at: datetime


@dataclass(frozen=True)
class Figures:
    """The figures of this site at one moment.

    :ivar at: the moment.
    :ivar since: the beginning of the period in which failures were counted.
    :ivar dispatcher: the setting ``DISPATCHER``.
    :ivar worker_missing: whether no worker runs now, so that nothing is delivered. A site without
        peers and pairings needs no worker.
    :ivar worker_seen_at: when any worker was last seen; ``None`` if none has ever run.
    :ivar workers: the workers that were seen in the last seven days, the newest first.
    :ivar queues: the outbox and the inbox.
    :ivar paused_peers: the enabled peers to which nothing is delivered.
    :ivar broken_outgoing: the number of active links whose outgoing access is broken.
    :ivar broken_incoming: the number of active links whose incoming access is broken. Access that
        was revoked at this site or has expired is not counted.
    :ivar stalled_pairings: the pairings that do not go on by themselves.
    :ivar failed_connections: the attempts to connect that failed in the period.
    :ivar unreadable: what cannot be decrypted with the keys of this site: ``peer SLUG`` for the
        client secret of a peer, ``key KID`` for a key of this site.
    """

    at: datetime
    since: datetime
    dispatcher: str
    worker_missing: bool
    worker_seen_at: datetime | None
    workers: tuple[Worker, ...]
    queues: tuple[QueueFigures, ...]
    paused_peers: tuple[PausedPeer, ...]
    broken_outgoing: int
    broken_incoming: int
    stalled_pairings: tuple[StalledPairing, ...]
    failed_connections: tuple[FailedConnections, ...]
    unreadable: tuple[str, ...]

    def queue(self, name: str) -> QueueFigures:
        """Return the figures of one queue.

        :param name: ``outbox`` or ``inbox``.
        """
        return next(each for each in self.queues if each.name == name)


def collect(period: timedelta = PERIOD) -> Figures:
    """Read the figures of this site from the database, with about 15 queries.

    :param period: count the failures of this time.
    :raises DatabaseError, InterfaceError: the database does not answer, or lacks a table.
    :raises ImproperlyConfigured: a setting is wrong.
    """
    now = timezone.now()
    since, seen_at = now - period, workers_last_seen()
    return Figures(
        at=now,
        since=since,
        dispatcher=settings.DISPATCHER,
        worker_missing=absence(seen_at) is not None,
        worker_seen_at=seen_at,
        workers=listed_workers(now),
        queues=queue_figures(since),
        paused_peers=_paused_peers(),
        **_broken_links(),
        stalled_pairings=_stalled_pairings(),
        failed_connections=_failed_connections(since),
        unreadable=tuple(unreadable_secrets()),
    )


def _paused_peers() -> tuple[PausedPeer, ...]:
    paused = Peer.objects.filter(enabled=True, paused_at__isnull=False).order_by("paused_at")
    rows: Any = paused.values_list("slug", "paused_at", "paused_reason")
    return tuple(PausedPeer(*row) for row in rows)


def _broken_links() -> dict[str, int]:
    lost = Q(incoming_reason__in=LOST_INCOMING)
    active = Link.objects.filter(status=Link.Status.ACTIVE, peer__enabled=True).order_by()
    counts: dict[str, int] = active.aggregate(
        broken_outgoing=Count("pk", filter=Q(outgoing_state=Link.Outgoing.BROKEN)),
        broken_incoming=Count("pk", filter=Q(incoming_state=Link.Incoming.BROKEN) & ~lost),
    )
    return counts


def _stalled_pairings() -> tuple[StalledPairing, ...]:
    of_interest = Pairing.objects.filter(state__in=(*Pairing.UNDER_WAY, Pairing.State.COMPLETE))
    rows = of_interest.order_by("updated_at").only(
        "slug", "state", "updated_at", "task", "attempts", "last_error", "findings"
    )
    found = ((row, _why_stalled(row)) for row in rows)
    return tuple(
        StalledPairing(row.slug, row.state, row.updated_at, reason)
        for row, reason in found
        if reason
    )


def _why_stalled(pairing: Pairing) -> str:
    if pairing.state == Pairing.State.ACCEPTED:
        return "confirm"
    if pairing.last_error and pairing.attempts >= _STALLED_ATTEMPTS:
        return "failing"
    if pairing.state != Pairing.State.COMPLETE or pairing.task:
        return ""
    if pairing.last_error:
        return "error"
    if pairing.peer is None or not pairing.peer.enabled:
        return ""
    is_failed = any(each.get("state") == Result.FAILED for each in pairing.findings)
    return "test" if is_failed else ""


def _failed_connections(since: datetime) -> tuple[FailedConnections, ...]:
    failed: Any = AuthorizationRequest.objects.filter(created_at__gte=since, peer__enabled=True)
    failed = failed.exclude(problem="")
    grouped = failed.order_by().values_list("peer__slug", "problem")
    counted = grouped.annotate(count=Count("pk"), last=Max("created_at")).order_by("-last")
    return tuple(FailedConnections(*row) for row in counted)


__all__ = [
    "FailedConnections",
    "Figures",
    "PausedPeer",
    "StalledPairing",
    "Worker",
    "collect",
]
