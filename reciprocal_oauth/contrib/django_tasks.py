"""The dispatcher ``tasks``: whatever runs the tasks of the site delivers (``django.tasks``, since
Django 6.0). Tasks go to the backend ``default``.

Django has no clock for its tasks: ``reciprocal_deliver``, run beside, sees to what is to be tried
again later.
"""

from collections.abc import Sequence
from typing import Any

try:
    from django.tasks import task
except ModuleNotFoundError as error:
    raise ImportError("It needs Django 6.0 or later.") from error

from ..delivery import worker
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row


class TasksDispatcher(MessageDispatcher):
    """Enqueues tasks at the site's backend."""

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        for queue, pk in rows:
            deliver.enqueue(queue, pk)

    def send_sweep(self) -> None:
        sweep.enqueue()


@task
def deliver(queue: str, pk: Any) -> None:
    """Work on one row, then for a while on others that are due.

    :param queue: ``inbox`` or ``outbox``.
    """
    deliver_row(queue, pk)


@task
def sweep() -> None:
    """Enqueue a task for each row that is due, as far as its peer has room."""
    for queue, pk in worker.due():
        deliver.enqueue(queue, pk)


__all__ = ["TasksDispatcher", "deliver", "sweep"]
