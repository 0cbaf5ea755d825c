"""The dispatcher ``tasks``: workers of Django's tasks deliver (``django.tasks``, since Django 6.0).

Tasks are sent to the backend ``default``. Django cannot start a task at a later time, so a site
also runs ``reciprocal_deliver``, which makes the retries.
"""

from collections.abc import Sequence
from typing import Any

try:
    from django.tasks import task
except ModuleNotFoundError as error:
    raise ImportError("The dispatcher needs Django 6.0 or later.") from error

from ..delivery import worker
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row


class TasksDispatcher(MessageDispatcher):
    """Enqueues tasks at the site's backend."""

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Enqueue a task for each row."""
        for queue, pk in rows:
            deliver.enqueue(queue, pk)

    def send_sweep(self) -> None:
        """Enqueue a sweep."""
        sweep.enqueue()


@task
def deliver(queue: str, pk: Any) -> None:
    """Deliver one row, then other rows that are due, for a limited time.

    :param queue: ``inbox`` or ``outbox``.
    """
    deliver_row(queue, pk)


@task
def sweep() -> None:
    """Enqueue tasks for rows that are due, up to the limit of each peer."""
    for queue, pk in worker.due():
        deliver.enqueue(queue, pk)


__all__ = ["TasksDispatcher", "deliver", "sweep"]
