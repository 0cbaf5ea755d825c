"""Dispatchers decide where and when the delivery worker runs.

The rows of the outbox and the inbox store everything that must be delivered. A dispatcher only
makes a worker look for due rows soon. A site can use its own dispatcher: the setting
``RECIPROCAL_OAUTH["DISPATCHER"]`` accepts the dotted path of a class.
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
from .heartbeat import Kind

logger = logging.getLogger("reciprocal_oauth.delivery")


class Dispatcher:
    """The base class of all dispatchers."""

    def wake(self, link: Link | None = None) -> None:
        """Make a worker look for due rows soon. The caller has already committed the rows.

        A subclass must implement this method. The method must not raise an exception and must not
        wait until the rows are delivered.

        :param link: the link whose rows are due, or ``None`` if rows of any link may be due.
        :raises NotImplementedError: the subclass does not implement this method.
        """
        raise NotImplementedError(
            f"{type(self).__module__}.{type(self).__qualname__} must implement wake()"
        )

    def request_started(self) -> None:
        """Do nothing. This app calls the method at the start of each web request; a subclass can
        start its worker here, so that rows saved before a restart are delivered."""


class NoDispatcher(Dispatcher):
    """A dispatcher that starts no worker. Only the command ``manage.py reciprocal_deliver``
    delivers the rows."""

    def wake(self, link: Link | None = None) -> None:
        """Do nothing. The rows wait until ``manage.py reciprocal_deliver`` finds them."""


class EagerDispatcher(Dispatcher):
    """A dispatcher for tests. It delivers due rows immediately, in the thread of the caller. Do not
    use it in production, because the user would have to wait until the peer responds."""

    def __init__(self) -> None:
        self._running = threading.local()

    def wake(self, link: Link | None = None) -> None:
        """Deliver all due rows before returning. Do nothing if this method is already running in
        this thread."""
        if getattr(self._running, "now", False):
            return  # The loop in worker.drain(), which is already running, finds the new row.
        self._running.now = True
        try:
            worker.drain(kind=None)
        finally:
            self._running.now = False


class ThreadDispatcher(Dispatcher):
    """A dispatcher that delivers due rows in a few threads of the web process.

    The threads do not start together with Django, but at the first web request or when the first
    row is saved. So they run in each process that serves requests, even if the web server creates
    these processes with a fork. They do not run in a management command that saves no row.
    """

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):  # Windows does not have this function.
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Forget the engine, if there is one, and create a new lock. A child process calls this
        after a fork, which does not copy the threads of the engine. If a thread of the parent
        process held the old lock during the fork, this lock would stay locked for ever."""
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def wake(self, link: Link | None = None) -> None:
        """Make the engine look for due rows now. Start the engine if it does not run."""
        self.start().wake()

    def request_started(self) -> None:
        """Start the engine if it does not run in this process yet."""
        self.start()

    def start(self, sweep_seconds: float | None = None, kind: Kind = Kind.THREAD) -> Engine:
        """Return the engine of this process. Start the engine if it does not run.

        :param sweep_seconds: the seconds between two searches for due rows; see
            :class:`~.engine.Engine`.
        :param kind: what this process is.
        """
        if engine := self._running():
            return engine
        with self._lock:
            engine = self._running()
            if engine is None:
                engine = self._engine = Engine(sweep_seconds, kind)
            return engine

    def _running(self) -> Engine | None:
        engine = self._engine
        # Treat an engine that is stopping as running. Otherwise a new engine would start and claim
        # the rows that the old engine releases for other processes.
        if engine is not None and (engine.is_alive() or engine.is_stopping):
            return engine
        return None

    def stop(self) -> None:
        """Stop the engine: claim no more rows, and wait up to ``STOP_SECONDS`` for the deliveries
        that are running. A later call of ``wake()`` starts a new engine."""
        # Do not take the lock here: stop() waits for the worker threads, and a worker thread that
        # calls wake() may wait for the lock.
        if (engine := self._engine) is not None:
            engine.stop()


def get_dispatcher() -> Dispatcher:
    """Return the dispatcher that the setting ``DISPATCHER`` names.

    :raises ImproperlyConfigured: the setting names no usable dispatcher.
    """
    return _instance(settings.DISPATCHER)


def wake(link: Link | None = None) -> None:
    """Tell the dispatcher that rows are due. An error is logged and not raised, because the rows
    stay in the database and can be delivered later.

    :param link: the link whose rows are due, or ``None`` if rows of any link may be due.
    """
    _notify(lambda dispatcher: dispatcher.wake(link))


def request_started() -> None:
    """Tell the dispatcher that a web request has started in this process. An error is logged and
    not raised."""
    _notify(lambda dispatcher: dispatcher.request_started())


def _notify(call: Callable[[Dispatcher], None]) -> None:
    try:
        call(get_dispatcher())
    except Exception:
        # Either the setting DISPATCHER is wrong, which a system check reports, or the operating
        # system cannot start another thread.
        logger.exception("Nothing is delivered for now: the dispatcher does not work")


#: A lock for creating the dispatcher. Several threads may need the dispatcher for the first time at
#: the same moment, and only one thread may create it.
_creation_lock = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock for creating the dispatcher. A child process calls this after a fork. A
    thread of the parent process may have held the old lock during the fork, and nothing in the
    child process would release this lock."""
    global _creation_lock
    _creation_lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows does not have this function.
    os.register_at_fork(after_in_child=_renew_lock)


def _instance(name: str) -> Dispatcher:
    with _creation_lock:
        return _cached_instance(name)


@lru_cache(maxsize=8)
def _cached_instance(name: str) -> Dispatcher:
    dispatcher: Any = dispatcher_class(name)()
    return dispatcher


#: How often, in seconds, :func:`deliver_forever` checks whether its engine still runs.
_ENGINE_CHECK_SECONDS = 10.0


def deliver_forever(seconds: float, stop: threading.Event) -> None:
    """Deliver due rows until ``stop`` is set. The command ``manage.py reciprocal_deliver`` calls
    this.

    After ``stop`` is set, wait up to ``STOP_SECONDS`` for the deliveries that are running. Then
    release their rows, so that other workers can claim them.

    :param seconds: the seconds between two searches for due rows.
    :raises ImproperlyConfigured: the setting ``DISPATCHER`` names no usable dispatcher.
    """
    configured = get_dispatcher()
    threads = configured if isinstance(configured, ThreadDispatcher) else ThreadDispatcher()
    while not stop.is_set():
        # This starts a new engine only if the previous engine has ended.
        threads.start(seconds, Kind.COMMAND)
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
