"""Who starts the worker. The rows hold the work; a dispatcher only makes it prompt.

A site may name its own class in ``RECIPROCAL_OAUTH["DISPATCHER"]``, by dotted path.
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
        """Something is due: see to it that it is worked on soon. Called after commit; must not
        raise, and must not wait for the work.

        :param link: the link whose rows are due; ``None``: some row.
        """
        raise NotImplementedError(
            f"{type(self).__module__}.{type(self).__qualname__} must implement wake()"
        )

    def request_started(self) -> None:
        """A web process has begun to serve requests: what waits from before may be started."""


class NoDispatcher(Dispatcher):
    """Starts nothing: only ``manage.py reciprocal_deliver`` works on the rows."""

    def wake(self, link: Link | None = None) -> None:
        pass


class EagerDispatcher(Dispatcher):
    """Works at once, in the caller. For tests: a person would wait for the peer."""

    def __init__(self) -> None:
        self._running = threading.local()

    def wake(self, link: Link | None = None) -> None:
        if getattr(self._running, "now", False):
            return  # The loop in drain() sees what has just been added.
        self._running.now = True
        try:
            worker.drain()
        finally:
            self._running.now = False


class ThreadDispatcher(Dispatcher):
    """Works in a few threads of the web process.

    The threads begin with the first request or the first row, so that they live in each process
    that serves, after any fork, and in no management command that saves nothing.
    """

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):  # Not on Windows, which does not fork.
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a child after a fork, too: a thread that has stayed behind may have held the lock."""
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def wake(self, link: Link | None = None) -> None:
        self.start().wake()

    def request_started(self) -> None:
        self.start()

    def start(self, sweep_seconds: float | None = None) -> Engine:
        """The engine of this process; it is started if needed."""
        if engine := self._running():
            return engine
        with self._lock:
            engine = self._running()
            if engine is None:
                engine = self._engine = Engine(sweep_seconds)
            return engine

    def _running(self) -> Engine | None:
        engine = self._engine
        # What is still worked on while it stops may wake it: another one would begin what this one
        # gives back.
        if engine is not None and (engine.is_alive() or engine.is_stopping):
            return engine
        return None

    def stop(self) -> None:
        """Finish what has been begun, begin nothing more. ``wake()`` begins again."""
        # Without the lock, for which a worker would wait that wakes while it is waited for.
        if (engine := self._engine) is not None:
            engine.stop()


def get_dispatcher() -> Dispatcher:
    """The dispatcher that the settings name.

    :raises ImproperlyConfigured: there is none of that name.
    """
    return _instance(settings.DISPATCHER)


def wake(link: Link | None = None) -> None:
    """Tell the dispatcher in force that something is due. Never raises: the rows wait."""
    _tell(lambda dispatcher: dispatcher.wake(link))


def request_started() -> None:
    """Tell it that this process serves requests. Never raises."""
    _tell(lambda dispatcher: dispatcher.request_started())


def _tell(message: Callable[[Dispatcher], None]) -> None:
    try:
        message(get_dispatcher())
    except Exception:
        # No dispatcher of that name, as a system check says; or no threads to be had.
        logger.exception("Nothing is delivered for now")


#: First requests come at the same moment, and each would make a dispatcher of its own.
_making = threading.Lock()


def _renew_lock() -> None:
    """In a child after a fork: a thread that has stayed behind may have held it."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):  # Not on Windows, which does not fork.
    os.register_at_fork(after_in_child=_renew_lock)


def _instance(name: str) -> Dispatcher:
    with _making:
        return _instances(name)


@lru_cache(maxsize=8)
def _instances(name: str) -> Dispatcher:
    dispatcher: Any = dispatcher_class(name)()
    return dispatcher


#: How often the command sees whether its engine still runs.
_LOOK_AFTER_SECONDS = 10.0


def deliver_forever(seconds: float, stop: threading.Event) -> None:
    """Work on what comes due until ``stop`` is set, looking every ``seconds``. For the management
    command. Afterwards, what has been begun is finished or given back, within ``STOP_SECONDS``."""
    configured = get_dispatcher()
    threads = configured if isinstance(configured, ThreadDispatcher) else ThreadDispatcher()
    while not stop.is_set():
        threads.start(seconds)  # Once, unless the engine had to give up.
        stop.wait(_LOOK_AFTER_SECONDS)
    threads.stop()


__all__ = [
    "Dispatcher",
    "EagerDispatcher",
    "NoDispatcher",
    "ThreadDispatcher",
    "deliver_forever",
    "get_dispatcher",
]
