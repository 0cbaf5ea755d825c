"""Work that is due from time to time and is no row of a queue, such as a pairing that goes on.

The dispatchers and the command ``reciprocal_deliver`` do it beside the deliveries.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connections
from django.utils import timezone

from ..core.database import delivering, log_exception

logger = logging.getLogger("reciprocal_oauth.delivery")

#: The shortest time, in seconds, between two looks for due work.
_SHORTEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Chore:
    """One kind of work.

    :ivar run: does what is due, and returns how much there was.
    :ivar next_due_at: returns when something is due; ``None`` if nothing is.
    """

    run: Callable[[], int]
    next_due_at: Callable[[], datetime | None]


_chores: dict[str, Chore] = {}


def register(name: str, chore: Chore) -> None:
    """Add ``chore`` under the name ``name``, or replace it."""
    _chores[name] = chore


def run() -> int:
    """Do all work that is due, in this thread, and return how much there was. An error is logged,
    and the other work is done all the same."""
    done = 0
    for name, chore in _chores.items():
        try:
            with delivering():
                done += chore.run()
        except Exception:
            log_exception(logger, "The work “%s” could not be done; it is tried again", name)
    return done


def next_due_at() -> datetime | None:
    """Return when some work is due; ``None`` if none is."""
    times = [chore.next_due_at() for chore in _chores.values()]
    return min((at for at in times if at is not None), default=None)


class ChoreThread:
    """Runs due work in a thread of its own, at most one at a time, so that the deliveries need not
    wait for it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        #: The time, by ``time.monotonic()``, before which :meth:`look` does nothing.
        self._not_before = 0.0

    def look(self) -> float:
        """Start the thread if work is due and it does not run yet. Return after how many seconds to
        look again. A second look within a second does nothing, because every look is a query."""
        now = time.monotonic()
        if now < self._not_before:
            return self._not_before - now
        self._not_before = now + _SHORTEST_PAUSE_SECONDS
        if self._thread is not None and self._thread.is_alive():
            return _SHORTEST_PAUSE_SECONDS
        at = next_due_at()
        if at is None:
            return math.inf
        seconds = (at - timezone.now()).total_seconds()
        if seconds > 0:
            return max(seconds, _SHORTEST_PAUSE_SECONDS)
        self._thread = threading.Thread(target=self._run, name="reciprocal-chores", daemon=True)
        self._thread.start()
        return _SHORTEST_PAUSE_SECONDS

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, but not longer than ``seconds``."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            run()
        finally:
            connections.close_all()
