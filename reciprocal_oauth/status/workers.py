"""The workers: whether this site needs one, when one was last seen, and what an operator has to do
if none runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from ..conf import settings
from ..models import Heartbeat, Pairing, Peer
from ..models.heartbeats import is_worker_missing, workers_last_seen

#: Workers that were last seen longer ago than this are not listed.
LISTED = timedelta(days=7)

_COMMAND = "“manage.py reciprocal_deliver --loop 5”"
_REMEDIES = {
    "thread": "The threads start with the first request that a web process serves, and they run as "
    "long as the process does. Check that the web processes of this site run, and restart those "
    f"that still run an older version. If the site may get no requests for a while, also run "
    f"{_COMMAND} as a service.",
    "none": f"The setting DISPATCHER is “none”, so run {_COMMAND} as a service, or "
    "“manage.py reciprocal_deliver” by a timer.",
    "celery": "Start a Celery worker, and Celery beat with the task reciprocal_oauth.sweep.",
    "tasks": f"Start a worker of django.tasks, and {_COMMAND} as a service.",
}


@dataclass(frozen=True)
class Worker:
    """The workers of one kind on one host.

    :ivar kind: a value of ``Heartbeat.Kind``.
    :ivar host: the name of the host.
    :ivar seen_at: the last sign of life.
    :ivar is_missing: whether this sign is older than ``WORKER_MISSING_SECONDS``.
    """

    kind: str
    host: str
    seen_at: datetime
    is_missing: bool


@dataclass(frozen=True)
class Absence:
    """This site needs a worker and has none.

    :ivar last_seen: when any worker was last seen; ``None`` if none has ever run.
    """

    last_seen: datetime | None

    @property
    def text(self) -> str:
        """Return what is wrong, in English."""
        if self.last_seen is None:
            return "No worker has ever run at this site, so nothing is delivered."
        return f"No worker has run since {at_in_words(self.last_seen)}, so nothing is delivered."

    @property
    def remedy(self) -> str:
        """Return what an operator has to do, in English. It depends on the dispatcher."""
        other = (
            f"Start what the dispatcher {settings.DISPATCHER} of this site needs, and {_COMMAND} "
            "as a service."
        )
        return _REMEDIES.get(settings.DISPATCHER, other)


def absence(last_seen: datetime | None) -> Absence | None:
    """Return what is wrong if this site needs a worker and has none, otherwise ``None``. A site
    without peers and pairings has nothing to deliver.

    :param last_seen: the result of ``workers_last_seen()``.
    """
    if not is_worker_missing(last_seen):
        return None
    is_needed = Peer.objects.exists() or Pairing.objects.exists()
    return Absence(last_seen) if is_needed else None


def present_absence() -> Absence | None:
    """Return what is wrong if this site now needs a worker and has none, otherwise ``None``."""
    return absence(workers_last_seen())


def listed_workers(now: datetime) -> tuple[Worker, ...]:
    """Return the workers that were seen in the last seven days, the newest first."""
    rows = Heartbeat.objects.filter(seen_at__gte=now - LISTED).order_by("-seen_at")
    missing_before = now - timedelta(seconds=settings.WORKER_MISSING_SECONDS)
    return tuple(
        Worker(row.kind, row.host, row.seen_at, is_missing=row.seen_at < missing_before)
        for row in rows
    )


def at_in_words(time: datetime) -> str:
    """Return ``time`` as text, to the second. It names the time zone if there is one."""
    if timezone.is_aware(time):
        return f"{time.astimezone(timezone.get_current_timezone()):%Y-%m-%d %H:%M:%S %Z}"
    return f"{time:%Y-%m-%d %H:%M:%S}"
