"""The base class of dispatchers that send messages to worker processes (Celery, Django tasks).

A message contains only the queue and the primary key of a row. The worker that receives the message
claims the row first. If a message is lost, the next sweep (a search for all due rows) finds the
row. If a message arrives twice, the worker does not deliver the row a second time, because the row
is already claimed or no longer due.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..conf import settings
from ..models import Link
from . import worker
from .dispatchers import Dispatcher
from .heartbeat import Kind

logger = logging.getLogger("reciprocal_oauth.delivery")


class MessageDispatcher(Dispatcher, ABC):
    """A dispatcher that sends messages to worker processes: one message for each due row of a link,
    or one message that starts a sweep (a search for all due rows)."""

    def wake(self, link: Link | None = None) -> None:
        """Send one message for each due row of ``link``. If ``link`` is ``None``, send one message
        for a sweep (a search for all due rows). Errors of the message broker are logged and not
        raised."""
        try:
            if link is None:
                self.send_sweep()
            elif rows := worker.due(link):
                self.send(rows)
        except Exception:
            # Do not raise: what the user asked for is already saved, so the web request must not
            # fail because the message broker does not work.
            logger.warning(
                "No message could be sent to the workers: due rows wait for the next sweep",
                exc_info=True,
            )

    @abstractmethod
    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Send one message for each row. The message makes a worker process call :func:`deliver`.

        :param rows: the rows, as pairs of the queue name and the primary key.
        """

    @abstractmethod
    def send_sweep(self) -> None:
        """Send one message that makes a worker process search for all due rows."""


def deliver(queue: str, pk: Any, kind: Kind = Kind.OTHER) -> None:
    """Deliver one row. Then deliver other due rows for up to ``DISPATCHER_SWEEP_SECONDS``.

    A message for one of these other rows may have arrived when ``DELIVERIES_PER_PEER`` rows of its
    peer were claimed, so that no worker could claim the row. Without the second step, the row would
    wait for the next sweep (a regular search for all due rows).

    :param queue: ``inbox`` or ``outbox``.
    :param pk: the primary key of the row.
    :param kind: what the worker process is; it gives a sign of life (:mod:`.heartbeat`).
    """
    worker.work_on(queue, pk, kind)
    worker.work_for(settings.DISPATCHER_SWEEP_SECONDS)


__all__ = ["MessageDispatcher", "deliver"]
