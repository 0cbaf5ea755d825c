"""Dispatchers decide who runs the worker, and when. All work is stored in rows; a dispatcher only
makes sure that a worker looks at them soon.

A site can use its own class: ``RECIPROCAL_OAUTH["DISPATCHER"]`` takes a dotted path.
"""

import logging
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..conf import settings
from ..core.plugins import dispatcher_class
from ..models import Link
from . import worker
from .engine import Engine

logger = logging.getLogger("reciprocal_oauth.delivery")


class Dispatcher:
    """Interface of a dispatcher."""

    def wake(self, link: Link | None = None) -> None:
        """Make a worker look for due rows soon. Called after commit. Must not raise, and must not
        wait for the work.

        :param link: the link whose rows are due; ``None``: any rows may be due.
        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError(
            f"{type(self).__module__}.{type(self).__qualname__} must implement wake()"
        )

    def request_started(self) -> None:
        """Called when this process serves a request. It may start work on rows that were left from
        before."""


class NoDispatcher(Dispatcher):
    """Starts no worker. Only ``manage.py reciprocal_deliver`` works on the rows."""

    def wake(self, link: Link | None = None) -> None:
        """Do nothing: the rows wait for the command."""


class EagerDispatcher(Dispatcher):
    """Works on due rows at once, in the thread of the caller. For tests: in production, the user
    would wait for the peer."""

    def __init__(self) -> None:
        self._running = threading.local()

    def wake(self, link: Link | None = None) -> None:
        """Work on all due rows before returning, unless this thread already works on them."""
        if getattr(self._running, "now", False):
            return  # The loop in drain() finds the new row.
        self._running.now = True
        try:
            worker.drain()
        finally:
            self._running.now = False


class ThreadDispatcher(Dispatcher):
    """Works on due rows in a few threads of the web process.

    The threads start with the first request or the first row. So they run in each process that
    serves requests, after any fork, and not in management commands that save no row.
    """

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):  # Windows has no fork.
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Forget the engine. Also called in a child process after a fork, with a new lock: a thread
        of the parent may have held the old one."""
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def wake(self, link: Link | None = None) -> None:
        """Wake the engine, and start it if needed."""
        self.start().wake()

    def request_started(self) -> None:
        """Start the engine with the first request."""
        self.start()

    def start(self, sweep_seconds: float | None = None) -> Engine:
        """Return the engine of this process, and start it if needed.

        :param sweep_seconds: see :class:`~.engine.Engine`.
        """
        if engine := self._running():
            return engine
        with self._lock:
            engine = self._running()
            if engine is None:
                engine = self._engine = Engine(sweep_seconds)
            return engine

    def _running(self) -> Engine | None:
        engine = self._engine
        # An attempt that still runs while the engine stops may call wake(). A second engine would
        # then claim the rows that the first one releases.
        if engine is not None and (engine.is_alive() or engine.is_stopping):
            return engine
        return None

    def stop(self) -> None:
        """Stop the engine: finish running attempts and claim no more rows. ``wake()`` starts a new
        engine."""
        # Without the lock: a worker thread that calls wake() needs the lock, and stop() waits for
        # that thread.
        if (engine := self._engine) is not None:
            engine.stop()


def get_dispatcher() -> Dispatcher:
    """Return the dispatcher that the setting ``DISPATCHER`` names.

    :raises ImproperlyConfigured: there is no such dispatcher.
    """
    return _instance(settings.DISPATCHER)


def wake(link: Link | None = None) -> None:
    """Tell the dispatcher that rows are due. Never raises: the rows stay in the database.

    :param link: the link whose rows are due; ``None``: any rows may be due.
    """
    _notify(lambda dispatcher: dispatcher.wake(link))


def request_started() -> None:
    """Tell the dispatcher that this process serves requests. Never raises."""
    _notify(lambda dispatcher: dispatcher.request_started())


def _notify(call: Callable[[Dispatcher], None]) -> None:
    try:
        call(get_dispatcher())
    except Exception:
        # There is no such dispatcher (a system check reports it), or no thread can be started.
        logger.exception("Nothing is delivered for now: the dispatcher does not work")


#: Several first requests may come at the same time. Only one of them may create the dispatcher.
_creation_lock = threading.Lock()


def _renew_lock() -> None:
    """Called in a child process after a fork: a thread of the parent may have held the lock."""
    global _creation_lock
    _creation_lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_renew_lock)


def _instance(name: str) -> Dispatcher:
    with _creation_lock:
        return _cached_instance(name)


@lru_cache(maxsize=8)
def _cached_instance(name: str) -> Dispatcher:
    dispatcher: Any = dispatcher_class(name)()
    return dispatcher


#: How often, in seconds, :func:`deliver_forever` checks that its engine still runs.
_ENGINE_CHECK_SECONDS = 10.0


def deliver_forever(seconds: float, stop: threading.Event) -> None:
    """Work on due rows until ``stop`` is set. For the management command.

    At the end, running attempts are finished or their rows are released, within ``STOP_SECONDS``.

    :param seconds: how often to look for due rows.
    :raises ImproperlyConfigured: there is no dispatcher with the configured name.
    """
    configured = get_dispatcher()
    threads = configured if isinstance(configured, ThreadDispatcher) else ThreadDispatcher()
    while not stop.is_set():
        threads.start(seconds)  # Starts a new engine only if the old one has ended.
        stop.wait(_ENGINE_CHECK_SECONDS)
    threads.stop()


__all__ = [
    "Dispatcher",
    "EagerDispatcher",
    "NoDispatcher",
    "ThreadDispatcher",
    "deliver_forever",
    "get_dispatcher",
]
