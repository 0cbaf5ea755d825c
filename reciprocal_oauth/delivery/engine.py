"""Threads that claim what is due and work on it, in the process that made them."""

import atexit
import logging
import os
import threading
import time
from queue import Empty, SimpleQueue

from django.db import connections
from django.utils import timezone

from ..conf import settings
from ..core.database import is_pooled, log_exception
from ..models import QueueItem
from . import worker
from .queue import Look

logger = logging.getLogger("reciprocal_oauth.delivery")

#: How long, in seconds, an engine that stops waits for what has been begun. Then the leases are
#: given back: a peer that hangs must not keep a process from ending.
STOP_SECONDS = 10.0
#: How soon, in seconds, a row is looked at again that is due, but whose peer has its share.
_HELD_UP_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
#: How long, in seconds, a row that was cut off is worked on alone: it may be what killed the
#: process before, and would take what is worked on beside it along. Not for longer: it may only be
#: slow.
_ALONE_SECONDS = 5.0
#: How long, in seconds, a thread with nothing to do keeps its database connection where there is no
#: pool: to connect for each row would cost as much as to work on it.
_IDLE_SECONDS = 0.1


class Engine:
    """One thread claims; up to ``DISPATCHER_THREADS`` others work.

    All are daemons, which end with the process: what is in the air then is cut off, and begun anew
    by whoever claims the row next.

    :param sweep_seconds: how often it looks for due rows if nobody wakes it; default:
        ``DISPATCHER_SWEEP_SECONDS``.
    """

    def __init__(self, sweep_seconds: float | None = None) -> None:
        self._pid = os.getpid()
        self.is_stopping = False
        self._sweep_seconds = sweep_seconds
        self._slots = settings.DISPATCHER_THREADS
        self._wanted = threading.Event()
        self._stopped = False
        self._claimed: SimpleQueue[QueueItem | None] = SimpleQueue()
        #: By identity: a row whose lease ran out may be claimed again while it is worked on.
        self._held: dict[int, QueueItem] = {}
        #: The row that was cut off and is worked on, and until when alone.
        self._suspect: QueueItem | None = None
        self._alone_until = 0.0
        self._workers: list[threading.Thread] = []
        self._claimer = threading.Thread(
            target=self._run, name="reciprocal-dispatcher", daemon=True
        )
        self._claimer.start()
        atexit.register(self.stop)

    def is_alive(self) -> bool:
        """False in a child after a fork: threads do not survive one."""
        return self._pid == os.getpid() and self._claimer.is_alive()

    def wake(self) -> None:
        """Look for due rows now."""
        self._wanted.set()

    def stop(self) -> None:
        """Claim nothing more, wait up to ``STOP_SECONDS`` for what has been begun, and give the
        rest back to be claimed by others."""
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return
        end = time.monotonic() + STOP_SECONDS
        self._stopped = self.is_stopping = True
        self._wanted.set()
        # The claimer first: until it has ended, it begins workers.
        self._claimer.join(max(end - time.monotonic(), 0))
        for _worker in self._workers:
            self._claimed.put(None)
        for thread in self._workers:
            thread.join(max(end - time.monotonic(), 0))
        self._give_back()
        self.is_stopping = False

    def _run(self) -> None:
        while not self._stopped:
            self._wanted.clear()
            pause = self._sweep_pause
            try:
                pause = self._pause(self._hand_out())
            except _CannotWork:
                logger.exception("There are no threads to deliver with")
                self._give_back()
                break
            except Exception:
                log_exception(logger, "The dispatcher could not look for due rows; it tries again")
                connections.close_all()
            self._rest(pause)
        connections.close_all()

    def _rest(self, seconds: float) -> None:
        idle = min(seconds, _idle_seconds())
        if self._stopped or self._wanted.wait(idle):
            return
        if seconds > idle:
            connections.close_all()
            self._wanted.wait(seconds - idle)

    def _hand_out(self) -> Look | None:
        """Give the threads what can be claimed.

        :returns: the look for it; ``None``: all threads are busy, or one has to be alone.
        """
        if self._is_alone() or len(self._held) >= self._slots:
            return None
        look = Look()
        # One by one: what is claimed is begun at once, so a process that is killed has claimed
        # nothing, and counted no attempt at anything, that it did not work on.
        while len(self._held) < self._slots and not self._is_alone():
            look.cut_off_after = self._cut_off_after()
            items = worker.claim(1, look)
            if not items:
                break
            self._hand_over(items[0])
        return look

    def _hand_over(self, item: QueueItem) -> None:
        self._held[id(item)] = item
        if item.was_cut_off:
            self._suspect, self._alone_until = item, time.monotonic() + _ALONE_SECONDS
        self._claimed.put(item)
        if len(self._workers) < min(len(self._held), self._slots):
            self._begin_worker()

    def _cut_off_after(self) -> float | None:
        """How long a lease must have been over for its row to be begun; ``None``: none is. Best
        when nothing else is worked on; in a process that is never idle, after a while all the
        same. Never two at once: one may kill the other."""
        if self._suspect_is_held():
            return None
        return settings.LEASE_SECONDS if self._held else 0.0

    def _is_alone(self) -> bool:
        return self._suspect_is_held() and time.monotonic() < self._alone_until

    def _suspect_is_held(self) -> bool:
        return self._suspect is not None and id(self._suspect) in self._held

    def _begin_worker(self) -> None:
        name = f"reciprocal-delivery-{len(self._workers) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or there are no more threads to be had.
            if not self._workers:
                raise _CannotWork from None
        else:
            self._workers.append(thread)

    def _work(self) -> None:
        while (item := self._next()) is not None:
            try:
                worker.work(item)
            except Exception:
                log_exception(
                    logger, "The outcome of %s could not be recorded; its lease will run out", item
                )
                connections.close_all()
            finally:
                self._held.pop(id(item), None)
                self._wanted.set()
        connections.close_all()

    def _next(self) -> QueueItem | None:
        idle = _idle_seconds()
        try:
            return self._claimed.get(timeout=idle) if idle else self._claimed.get_nowait()
        except Empty:
            connections.close_all()
            return self._claimed.get()

    def _give_back(self) -> None:
        for item in list(self._held.values()):
            try:
                worker.give_back(item)
            except Exception:
                log_exception(
                    logger, "The lease of %s could not be given back; it will run out", item
                )

    @property
    def _sweep_pause(self) -> float:
        return self._sweep_seconds or settings.DISPATCHER_SWEEP_SECONDS

    def _pause(self, look: Look | None) -> float:
        """Seconds until the next row comes due, at most the sweep interval. Where all threads are
        busy, the first that is done ends the pause. Rows of a peer that has its share do not keep
        those of the others waiting."""
        if self._is_alone():
            return max(self._alone_until - time.monotonic(), _SHORTEST_PAUSE_SECONDS)
        if look is None or len(self._held) >= self._slots:
            return self._sweep_pause
        longest, due = self._sweep_pause, worker.next_due_at(look)
        if look.held_up:
            longest = min(longest, _HELD_UP_SECONDS)
        if due is None:
            return longest
        seconds = (due - timezone.now()).total_seconds()
        return min(max(seconds, _SHORTEST_PAUSE_SECONDS), longest)


def _idle_seconds() -> float:
    return 0.0 if is_pooled() else _IDLE_SECONDS


class _CannotWork(Exception):
    """There is no thread to work with."""
