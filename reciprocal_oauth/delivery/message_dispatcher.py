"""What the dispatchers have in common that send messages to workers of the site.

A message is a hint. It names a row and carries nothing of it; whoever gets it claims the row first.
One that is lost is made up for by the next sweep, and one that comes again finds nothing to claim.
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
        try:
            if link is None:
                self.send_sweep()
            elif rows := worker.due(link):
                self.send(rows)
        except Exception:
            # The user's request has been granted, and must not fail for this.
            logger.warning(
                "Workers could not be told of what is due: it waits for the next sweep",
                exc_info=True,
            )

    @abstractmethod
    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Let workers :func:`deliver` each of ``rows``: the name of its queue, and its key."""

    @abstractmethod
    def send_sweep(self) -> None:
        """Let a worker look for what is due."""


def deliver(queue: str, pk: Any) -> None:
    """Work on one row, then for a while on others: what waited because its peer had its share
    would else wait for the next sweep."""
    worker.work_on(queue, pk)
    worker.go_on(settings.DISPATCHER_SWEEP_SECONDS)


__all__ = ["MessageDispatcher", "deliver"]
