"""Base of the dispatchers that send messages to worker processes (Celery, Django tasks).

A message only names a row and contains no data of it. The worker that receives the message claims
the row first. If a message is lost, the next sweep (a search for all due rows) finds the row. If a
message arrives twice, the second one finds no row to claim.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..conf import settings
from ..models import Link
from . import worker
from .dispatchers import Dispatcher

logger = logging.getLogger("reciprocal_oauth.delivery")


class MessageDispatcher(Dispatcher, ABC):
    """Sends a message for each row that is due."""

    def wake(self, link: Link | None = None) -> None:
        """Send a message for each due row of the link; without a link, send a message for a sweep.
        Errors of the broker are logged, not raised."""
        try:
            if link is None:
                self.send_sweep()
            elif rows := worker.due(link):
                self.send(rows)
        except Exception:
            # The request of the user has succeeded and must not fail because of the broker.
            logger.warning(
                "No message could be sent to the workers: due rows wait for the next sweep",
                exc_info=True,
            )

    @abstractmethod
    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Send a message for each of ``rows``, which makes a worker call :func:`deliver`.

        :param rows: pairs of queue name and key.
        """

    @abstractmethod
    def send_sweep(self) -> None:
        """Send a message that makes a worker look for all due rows."""


def deliver(queue: str, pk: Any) -> None:
    """Work on one row, then on other due rows for ``DISPATCHER_SWEEP_SECONDS``.

    Otherwise, rows that were skipped because of ``DELIVERIES_PER_PEER`` would wait for the next
    sweep.
    """
    worker.work_on(queue, pk)
    worker.work_for(settings.DISPATCHER_SWEEP_SECONDS)


__all__ = ["MessageDispatcher", "deliver"]
