"""Who starts the worker. The rows hold the work; a dispatcher only makes it prompt.

A site may name its own class in ``RECIPROCAL_OAUTH["DISPATCHER"]``, by dotted path.
"""

import logging
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from django.db import close_old_connections, connections
from django.utils import timezone

from ..conf import settings
from ..models import QueueItem
from ..plugins import dispatcher_class
from . import worker

logger = logging.getLogger("reciprocal_oauth.delivery")


#: How soon a row is looked at again that is due, but whose peer has its share of the workers.
_HELD_UP_SECONDS = 1.0


class Dispatcher:
    """Interface of a dispatcher."""

    def wake(self) -> None:
        """Something is due: see to it that it is worked on soon. Called after commit; must not
        raise, and must not wait for the work."""
        raise NotImplementedError(
            f"{type(self).__module__}.{type(self).__qualname__} must implement wake()"
        )

    def request_started(self) -> None:
        """A web process has begun to serve requests: what waits from before may be started."""


class NoDispatcher(Dispatcher):
    """Starts nothing: only ``manage.py reciprocal_deliver`` works on the rows."""

    def wake(self) -> None:
        pass


class EagerDispatcher(Dispatcher):
    """Works at once, in the caller. For tests: a person would wait for the peer."""

    def __init__(self) -> None:
        self._running = threading.local()

    def wake(self) -> None:
        if getattr(self._running, "now", False):
            return  # The loop in drain() sees what has just been added.
        self._running.now = True
        try:
            worker.drain()
        finally:
            self._running.now = False


class ThreadDispatcher(Dispatcher):
    """Works in a small pool of threads of the web process.

    The threads begin with the first request or the first row, so that they live in each process
    that serves, after any fork, and in no management command that saves nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    def wake(self) -> None:
        self._ensure_engine().wake()

    def request_started(self) -> None:
        self._ensure_engine()

    def stop(self) -> None:
        """Finish what has been begun, begin nothing more. ``wake()`` begins again."""
        with self._lock:
            if self._engine is not None:
                self._engine.stop()

    def _ensure_engine(self) -> "_Engine":
        engine = self._engine
        if engine is not None and engine.is_alive():
            return engine
        with self._lock:
            if self._engine is None or not self._engine.is_alive():
                self._engine = _Engine()
            return self._engine


class _Engine:
    """A thread that claims what is due and hands it to a pool, in the process that made it."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._wanted = threading.Event()
        self._stopped = False
        self._slots = settings.DISPATCHER_THREADS
        self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="reciprocal-delivery")
        self._running: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._run, name="reciprocal-dispatcher", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """False in a child after a fork: threads do not survive one."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def wake(self) -> None:
        self._wanted.set()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()
        if self.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def _run(self) -> None:
        while True:
            self._wanted.clear()
            if self._stopped:
                return
            pause = settings.DISPATCHER_SWEEP_SECONDS
            try:
                close_old_connections()
                pause = min(pause, _HELD_UP_SECONDS) if self._hand_out() else self._pause()
            except _PoolClosed:
                return  # The leases of what was claimed run out.
            except Exception:
                logger.exception("The dispatcher could not look for due rows; it tries again")
            finally:
                connections.close_all()
            self._wanted.wait(pause)

    def _hand_out(self) -> bool:
        """Give the pool what can be claimed.

        :returns: whether a row is due that cannot be claimed: others work for its peer as much as
            is allowed, and there is nothing to do but wait.
        """
        while free := self._slots - len(self._running):
            items = worker.claim(free)
            if not items:
                due = worker.next_due_at()
                return due is not None and due <= timezone.now()
            for item in items:
                try:
                    future = self._pool.submit(_work, item)
                except RuntimeError:
                    # The interpreter is shutting down, or there are no more threads to be had.
                    raise _PoolClosed from None
                self._running.add(future)
                future.add_done_callback(self._finished)
        return False

    def _finished(self, future: Future[None]) -> None:
        self._running.discard(future)
        self._wanted.set()

    def _pause(self) -> float:
        """Seconds until the next row comes due, at most the sweep interval. A full pool waits for
        one of its own to finish."""
        longest = settings.DISPATCHER_SWEEP_SECONDS
        due = worker.next_due_at()
        if due is None or len(self._running) >= self._slots:
            return longest
        return min(max((due - timezone.now()).total_seconds(), 0.05), longest)


class _PoolClosed(Exception):
    """The pool takes nothing more."""


def _work(item: QueueItem) -> None:
    try:
        worker.work(item)
    except Exception:
        logger.exception("The outcome of %s could not be recorded; its lease will run out", item)
    finally:
        connections.close_all()


def get_dispatcher() -> Dispatcher:
    """The dispatcher that the settings name.

    :raises ImproperlyConfigured: there is none of that name.
    """
    return _instance(settings.DISPATCHER)


@lru_cache(maxsize=8)
def _instance(name: str) -> Dispatcher:
    dispatcher: Any = dispatcher_class(name)()
    return dispatcher


def deliver_forever(seconds: float, stop: threading.Event) -> None:
    """Drain due rows every ``seconds`` until ``stop`` is set. For the management command."""
    while not stop.is_set():
        try:
            close_old_connections()
            worker.drain()
        except Exception:
            logger.exception("Due rows could not be worked on; trying again")
        stop.wait(seconds)


__all__ = [
    "Dispatcher",
    "EagerDispatcher",
    "NoDispatcher",
    "ThreadDispatcher",
    "deliver_forever",
    "get_dispatcher",
]
