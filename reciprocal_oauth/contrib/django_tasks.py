"""The dispatcher ``tasks``: workers of ``django.tasks`` deliver the rows of the inbox and outbox.

The dispatcher needs Django 6.0 or later and uses the task backend ``default``. If the first attempt
to deliver a row fails, no task is enqueued for a later attempt. So the site must also run the
command ``reciprocal_deliver``, which makes the later attempts.
"""

from collections.abc import Sequence
from typing import Any

try:
    from django.tasks import task
except ModuleNotFoundError as error:
    raise ImportError("The dispatcher needs Django 6.0 or later.") from error

from ..delivery import chores, heartbeat, worker
from ..delivery.heartbeat import Kind
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row


class TasksDispatcher(MessageDispatcher):
    """Enqueues tasks at the site's task backend ``default``. The tasks make worker processes
    deliver rows of the inbox and outbox tables."""

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """For each of ``rows``, enqueue a task that delivers the row.

        :param rows: pairs of queue name and primary key.
        """
        for queue, pk in rows:
            deliver.enqueue(queue, pk)

    def send_sweep(self) -> None:
        """Enqueue a task that runs :func:`sweep`."""
        sweep.enqueue()


@task
def deliver(queue: str, pk: Any) -> None:
    """Make one attempt to deliver one row. Then deliver other due rows for up to
    ``DISPATCHER_SWEEP_SECONDS``.

    :param queue: the queue of the row: ``inbox`` (reciprocal codes that this site redeems at the
        peer) or ``outbox`` (reciprocal codes and revocations that this site sends to the peer).
    """
    deliver_row(queue, pk, Kind.TASKS)


@task
def sweep() -> None:
    """Search for rows that are due, and enqueue a task for each row that was found. If a peer has
    many due rows, only the first of them are found. The remaining rows need no task, because a
    worker that has delivered one row continues with other due rows. Then do the other work that is
    due, such as a pairing that goes on."""
    heartbeat.beat(Kind.TASKS)
    for queue, pk in worker.due():
        deliver.enqueue(queue, pk)
    chores.run()


__all__ = ["TasksDispatcher", "deliver", "sweep"]
