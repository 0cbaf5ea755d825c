"""The delivery engine: threads of this process that claim due rows of the outbox and the inbox, and
deliver them."""

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
from . import heartbeat, worker
from .chores import ChoreThread
from .heartbeat import Kind
from .queue import ClaimPass

logger = logging.getLogger("reciprocal_oauth.delivery")

#: How many seconds an engine that stops waits for running attempts. After that time, the engine
#: releases their rows, so that the process can end even if a peer does not respond.
STOP_SECONDS = 10.0
#: The longest pause, in seconds, before the next search for due rows, if the last search skipped a
#: peer because ``DELIVERIES_PER_PEER`` rows of that peer are claimed.
_PEER_AT_LIMIT_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
#: An interrupted row is a row whose last attempt did not end, perhaps because the row crashed the
#: process. After the engine starts such a row, it starts no other row for this many seconds,
#: because a second crash would interrupt the other row too. The time is limited, because the
#: interrupted row may only be slow.
_ALONE_SECONDS = 5.0
#: How many seconds an idle thread keeps its database connection if the database has no connection
#: pool. The thread does not close the connection immediately after a row, because opening a new
#: connection takes about as long as the work on one row.
_IDLE_SECONDS = 0.1


class Engine:
    """One thread that claims rows, and up to ``DISPATCHER_THREADS`` threads that deliver them.

    All of them are daemon threads, so they do not keep the process alive. If the process is killed
    during a delivery, another worker claims the row after the lease of the row has expired.

    :param sweep_seconds: the longest time between two searches for due rows if nobody calls
        :meth:`wake`. The default is ``DISPATCHER_SWEEP_SECONDS``.
    :param kind: what this process is. The engine gives signs of life for it.
    """

    def __init__(self, sweep_seconds: float | None = None, kind: Kind = Kind.THREAD) -> None:
        self._pid = os.getpid()
        self.is_stopping = False
        self._sweep_seconds = sweep_seconds
        self._kind = kind
        self._slots = settings.DISPATCHER_THREADS
        self._wake_event = threading.Event()
        self._stopped = False
        self._to_do: SimpleQueue[QueueItem | None] = SimpleQueue()
        #: The items (rows of a queue) that this engine has claimed. The key is ``id(item)`` and not
        #: the primary key: if a lease expires, the engine may claim the same row a second time
        #: while the first attempt still runs.
        self._items: dict[int, QueueItem] = {}
        #: The interrupted item (its last attempt did not end) that was started last.
        #: ``_alone_until`` is the time before which the engine starts no other item.
        self._suspect: QueueItem | None = None
        self._alone_until = 0.0
        self._workers: list[threading.Thread] = []
        self._chores = ChoreThread()
        self._claimer = threading.Thread(
            target=self._run, name="reciprocal-dispatcher", daemon=True
        )
        self._claimer.start()
        atexit.register(self.stop)

    def is_alive(self) -> bool:
        """Return whether the engine runs in this process. In a child process after a fork, this is
        false, because a fork does not copy the threads."""
        return self._pid == os.getpid() and self._claimer.is_alive()

    def wake(self) -> None:
        """Make the engine look for due rows now."""
        self._wake_event.set()

    def stop(self) -> None:
        """Stop the engine: claim no more rows and wait up to ``STOP_SECONDS`` for running attempts.
        Then release the rows that are not finished, so that other workers can claim them."""
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return
        end = time.monotonic() + STOP_SECONDS
        self._stopped = self.is_stopping = True
        self._wake_event.set()
        # Wait for the thread that claims rows first, because it can still start worker threads.
        self._claimer.join(max(end - time.monotonic(), 0))
        for _worker in self._workers:
            self._to_do.put(None)
        for thread in self._workers:
            thread.join(max(end - time.monotonic(), 0))
        self._chores.join(max(end - time.monotonic(), 0))
        self._release_items()
        self.is_stopping = False

    def _run(self) -> None:
        """Search for due rows, claim them and start their delivery, again and again until the
        engine stops. This method runs in the thread that claims rows."""
        while not self._stopped:
            self._wake_event.clear()
            heartbeat.beat(self._kind)
            pause = self._sweep_pause
            try:
                pause = min(self._pause(self._claim_and_start()), self._chores.look())
            except _NoThreads:
                logger.exception("No thread can be started for deliveries")
                self._release_items()
                break
            except Exception:
                log_exception(logger, "The dispatcher could not look for due rows; it tries again")
                connections.close_all()
            self._wait(pause)
        connections.close_all()

    def _wait(self, seconds: float) -> None:
        """Wait for ``seconds``, or less if :meth:`wake` is called. During a long wait, close the
        database connections of this thread, and go on giving signs of life."""
        idle = min(seconds, _idle_seconds())
        if self._stopped or self._wake_event.wait(idle):
            return
        left = seconds - idle
        while left > 0:
            connections.close_all()
            if self._wake_event.wait(min(left, heartbeat.BEAT_SECONDS)):
                return
            left -= heartbeat.BEAT_SECONDS
            heartbeat.beat(self._kind)

    def _claim_and_start(self) -> ClaimPass | None:
        """Claim due rows and start their delivery, until no row is due or no thread is free.

        :returns: the search, whose attributes list the peers that were skipped. ``None`` if there
            was no search, because all threads are busy, or because the engine is delivering an
            interrupted row (its last attempt did not end) and must start no other row.
        """
        if self._is_alone() or len(self._items) >= self._slots:
            return None
        claim_pass = ClaimPass()
        # Claim only one row at a time, and start its delivery before the next claim. Each claim
        # counts as an attempt, so a row that is claimed but not started would lose an attempt if
        # the process is killed.
        while len(self._items) < self._slots and not self._is_alone():
            claim_pass.expired_for = self._expired_for()
            items = worker.claim(1, claim_pass)
            if not items:
                break
            self._start(items[0])
        return claim_pass

    def _start(self, item: QueueItem) -> None:
        self._items[id(item)] = item
        if item.was_interrupted:
            self._suspect, self._alone_until = item, time.monotonic() + _ALONE_SECONDS
        self._to_do.put(item)
        if len(self._workers) < min(len(self._items), self._slots):
            self._start_worker()

    def _expired_for(self) -> float | None:
        """Return how many seconds an interrupted row must wait after the end of its lease, before
        the engine may claim the row. ``None`` means that it may claim no interrupted row.

        An interrupted row is a row whose last attempt did not end. Perhaps the row makes its
        process crash.

        - If the engine is delivering no row, return 0, because a crash would interrupt no other
          row.
        - If the engine is delivering only ordinary rows, return ``LEASE_SECONDS``. The interrupted
          row waits for that time, so that a process without other rows can claim it first.
        - If the engine is delivering an interrupted row, return ``None``. If that row crashes the
          process, no second interrupted row loses an attempt.
        """
        if self._has_suspect():
            return None
        return settings.LEASE_SECONDS if self._items else 0.0

    def _is_alone(self) -> bool:
        """Return whether the engine must start no other row now, because it is delivering an
        interrupted row (its last attempt did not end)."""
        return self._has_suspect() and time.monotonic() < self._alone_until

    def _has_suspect(self) -> bool:
        return self._suspect is not None and id(self._suspect) in self._items

    def _start_worker(self) -> None:
        """Start one more worker thread. If this fails, go on with the worker threads that exist.

        :raises _NoThreads: the thread cannot be started, and there is no other worker thread.
        """
        name = f"reciprocal-delivery-{len(self._workers) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The Python interpreter is shutting down, or the system allows no more threads.
            if not self._workers:
                raise _NoThreads from None
        else:
            self._workers.append(thread)

    def _work(self) -> None:
        """Deliver the claimed items from ``self._to_do`` until the item is ``None``. This method
        runs in a worker thread."""
        while (item := self._next()) is not None:
            try:
                worker.work(item)
            except Exception:
                log_exception(
                    logger, "The result of %s could not be stored; its lease will expire", item
                )
                connections.close_all()
            finally:
                self._items.pop(id(item), None)
                self._wake_event.set()
        connections.close_all()

    def _next(self) -> QueueItem | None:
        idle = _idle_seconds()
        try:
            return self._to_do.get(timeout=idle) if idle else self._to_do.get_nowait()
        except Empty:
            connections.close_all()
            return self._to_do.get()

    def _release_items(self) -> None:
        for item in list(self._items.values()):
            try:
                worker.release(item)
            except Exception:
                log_exception(logger, "%s could not be released; its lease will expire", item)

    @property
    def _sweep_pause(self) -> float:
        return self._sweep_seconds or settings.DISPATCHER_SWEEP_SECONDS

    def _pause(self, claim_pass: ClaimPass | None) -> float:
        """Return how many seconds to wait before the next search for due rows.

        - If the engine must start no other row, because it is delivering an interrupted row (its
          last attempt did not end), wait until it may start other rows again.
        - If all threads are busy, wait for the sweep interval (the time between two regular
          searches). The first thread that finishes its row ends the pause early.
        - Otherwise, wait until the next row is due, but not longer than the sweep interval. If the
          search has skipped a peer because ``DELIVERIES_PER_PEER`` of its rows are claimed, wait
          not longer than ``_PEER_AT_LIMIT_SECONDS``.
        """
        if self._is_alone():
            return max(self._alone_until - time.monotonic(), _SHORTEST_PAUSE_SECONDS)
        if claim_pass is None or len(self._items) >= self._slots:
            return self._sweep_pause
        longest, due = self._sweep_pause, worker.next_due_at(claim_pass)
        if claim_pass.at_limit:
            longest = min(longest, _PEER_AT_LIMIT_SECONDS)
        if due is None:
            return longest
        seconds = (due - timezone.now()).total_seconds()
        return min(max(seconds, _SHORTEST_PAUSE_SECONDS), longest)


def _idle_seconds() -> float:
    return 0.0 if is_pooled() else _IDLE_SECONDS


class _NoThreads(Exception):
    """No worker thread runs, and none can be started."""
