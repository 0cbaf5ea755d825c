"""The signs of life of the workers. Without them, nobody could tell a site that has no worker from
a site that has nothing to deliver."""

import logging
import os
import platform
import time

from django.db import connections
from django.utils import timezone

from ..core.database import database, log_exception, tried_again
from ..models import Heartbeat

logger = logging.getLogger("reciprocal_oauth.delivery")

Kind = Heartbeat.Kind
#: How many seconds a process waits between two signs of life of one kind.
BEAT_SECONDS = 30.0
_HOST_LENGTH = 255
#: When this process last gave a sign of life of each kind, by ``time.monotonic()``.
_last: dict[str, float] = {}

if hasattr(os, "register_at_fork"):  # Windows does not have this function.
    # The sign of life of the parent process says nothing about its child.
    os.register_at_fork(after_in_child=_last.clear)


def beat(kind: Kind | None) -> None:
    """Store that a worker of this kind runs on this host, unless this process has done so in the
    last :data:`BEAT_SECONDS`. An error is logged and not raised, because a worker must deliver even
    if nobody can see that it runs.

    Within a transaction, nothing is stored: the row would stay locked until the commit, and all
    workers of the host would wait for it.

    :param kind: what the worker is. ``None`` if it is no worker, but for example a test.
    """
    now = time.monotonic()
    if kind is None or now - _last.get(kind, -BEAT_SECONDS) < BEAT_SECONDS:
        return
    try:
        if connections[database()].in_atomic_block:
            return
        # Before the statement and not after it: if it fails, the next attempt can wait too.
        _last[kind] = now
        _store(kind, (platform.node() or "unknown")[:_HOST_LENGTH])
    except Exception:
        log_exception(logger, "The sign of life of this worker could not be stored")


@tried_again
def _store(kind: Kind, host: str) -> None:
    now = timezone.now()
    if not Heartbeat.objects.filter(kind=kind, host=host).update(seen_at=now):
        # Another process of this host may insert the row at the same moment.
        row = Heartbeat(kind=kind, host=host, seen_at=now)
        Heartbeat.objects.bulk_create([row], ignore_conflicts=True)
