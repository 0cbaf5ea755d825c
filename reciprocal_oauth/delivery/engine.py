"""Threads that claim due rows and work on them, in the process that started them."""

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
from .queue import ClaimPass

logger = logging.getLogger("reciprocal_oauth.delivery")

#: How many seconds a stopping engine waits for running attempts. Then it releases their rows, so
#: that a peer that hangs does not keep the process from ending.
STOP_SECONDS = 10.0
#: After how many seconds the engine looks again when a peer has ``DELIVERIES_PER_PEER`` claimed
#: rows.
_PEER_AT_LIMIT_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
#: For how many seconds no other row is started beside an interrupted row. The interrupted row may
#: have crashed its process, and a second crash would interrupt the other rows too. The time is
#: limited, because the interrupted row may only be slow.
_ALONE_SECONDS = 5.0
#: How many seconds an idle thread keeps its database connection when there is no pool: a new
#: connection costs about as much as the work on one row.
_IDLE_SECONDS = 0.1


class Engine:
    """One thread claims rows; up to ``DISPATCHER_THREADS`` other threads work on them.

    All are daemon threads, which end with the process. Attempts that run at that moment are
    interrupted, and made again by the next worker that claims the row.

    :param sweep_seconds: how often the engine looks for due rows without :meth:`wake`; default:
        ``DISPATCHER_SWEEP_SECONDS``.
    """

    def __init__(self, sweep_seconds: float | None = None) -> None:
        self._pid = os.getpid()
        self.is_stopping = False
        self._sweep_seconds = sweep_seconds
        self._slots = settings.DISPATCHER_THREADS
        self._wake_event = threading.Event()
        self._stopped = False
        self._to_do: SimpleQueue[QueueItem | None] = SimpleQueue()
        #: The items that this engine has claimed, by ``id()``: a row whose lease has expired may be
        #: claimed a second time while the first attempt still runs.
        self._items: dict[int, QueueItem] = {}
        #: The interrupted item that was started last, and until when no other item is started.
        self._suspect: QueueItem | None = None
        self._alone_until = 0.0
        self._workers: list[threading.Thread] = []
        self._claimer = threading.Thread(
            target=self._run, name="reciprocal-dispatcher", daemon=True
        )
        self._claimer.start()
        atexit.register(self.stop)

    def is_alive(self) -> bool:
        """Whether the engine runs in this process. False in a child process after a fork: threads
        are not copied."""
        return self._pid == os.getpid() and self._claimer.is_alive()

    def wake(self) -> None:
        """Look for due rows now."""
        self._wake_event.set()

    def stop(self) -> None:
        """Claim no more rows, wait up to ``STOP_SECONDS`` for running attempts, and release the
        remaining rows for other workers."""
        atexit.unregister(self.stop)
        if self._pid != os.getpid():
            return
        end = time.monotonic() + STOP_SECONDS
        self._stopped = self.is_stopping = True
        self._wake_event.set()
        # The claimer first: it starts worker threads until it has ended.
        self._claimer.join(max(end - time.monotonic(), 0))
        for _worker in self._workers:
            self._to_do.put(None)
        for thread in self._workers:
            thread.join(max(end - time.monotonic(), 0))
        self._release_items()
        self.is_stopping = False

    def _run(self) -> None:
        """Claim rows until the engine stops."""
        while not self._stopped:
            self._wake_event.clear()
            pause = self._sweep_pause
            try:
                pause = self._pause(self._claim_and_start())
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
        """Wait for ``seconds`` or until :meth:`wake` is called."""
        idle = min(seconds, _idle_seconds())
        if self._stopped or self._wake_event.wait(idle):
            return
        if seconds > idle:
            connections.close_all()
            self._wake_event.wait(seconds - idle)

    def _claim_and_start(self) -> ClaimPass | None:
        """Claim rows and start work on them, as long as threads are free.

        :returns: ``None``: all threads are busy, or one item is worked on alone.
        """
        if self._is_alone() or len(self._items) >= self._slots:
            return None
        claim_pass = ClaimPass()
        # Claim one row, start it, claim the next one: a claim counts as an attempt. If the process
        # is killed, no row has lost an attempt without work on it.
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
        """Return how many seconds ago the lease of an interrupted row must have expired to claim
        the row now; ``None``: claim no interrupted row.

        Interrupted rows are claimed when this engine has no other item. In a process that is always
        busy, they are claimed later, after another ``LEASE_SECONDS``. Never two at once: one could
        interrupt the other.
        """
        if self._has_suspect():
            return None
        return settings.LEASE_SECONDS if self._items else 0.0

    def _is_alone(self) -> bool:
        """Whether an interrupted item is worked on alone now."""
        return self._has_suspect() and time.monotonic() < self._alone_until

    def _has_suspect(self) -> bool:
        return self._suspect is not None and id(self._suspect) in self._items

    def _start_worker(self) -> None:
        """:raises _NoThreads: no thread could be started, and there is no other."""
        name = f"reciprocal-delivery-{len(self._workers) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or the system allows no more threads.
            if not self._workers:
                raise _NoThreads from None
        else:
            self._workers.append(thread)

    def _work(self) -> None:
        """Work on claimed items until ``None`` comes."""
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
        """Return how many seconds to wait until the next row is due, at most the sweep interval.

        If all threads are busy, the first one that finishes ends the pause. Rows of a peer at its
        limit do not delay the rows of other peers.
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
    """No worker thread can be started."""
