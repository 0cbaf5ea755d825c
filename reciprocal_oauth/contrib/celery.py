"""The dispatcher ``celery``: Celery workers deliver the rows of the inbox and the outbox.

Each row is one delivery. A row is due when its next attempt can be made. This module defines two
Celery tasks. After a commit, the web process sends a message for the task
``reciprocal_oauth.deliver`` for each due row of a link. Celery beat must regularly send a message
for the task ``reciprocal_oauth.sweep``, which looks for all rows that are due.

No message is sent with a delay (Celery's ``countdown`` or ``eta``), because each row in the
database stores when its next attempt is due.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

try:
    from celery import current_app, shared_task
except ModuleNotFoundError as error:
    if error.name != "celery":
        raise
    raise ImportError("Celery is not installed; install reciprocal-oauth[celery].") from error

from ..conf import settings
from ..delivery import chores, heartbeat, worker
from ..delivery.heartbeat import Kind
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row

_CONNECT_SECONDS = 2.0
#: Options for the connection to the broker. Each kind of broker uses the options that it knows.
#: Without these options, a broker that is down would block the request of a user; with some kinds
#: of broker, it would block the request for ever.
_SHORT_TIMEOUTS: Mapping[str, Any] = {
    "max_retries": 1,  # The value 0 would mean: no limit.
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "read_timeout": _CONNECT_SECONDS,
    "write_timeout": _CONNECT_SECONDS,
    "socket_connect_timeout": _CONNECT_SECONDS,
    "socket_timeout": _CONNECT_SECONDS,
}
#: The shortest lifetime of the messages of a sweep (a search for all due rows), in seconds. Nothing
#: is lost if a message expires, because a later sweep sends it again. But if the lifetime were very
#: short, a worker whose clock is fast would drop every message as expired.
_EXPIRES_SECONDS = 60.0


class CeleryDispatcher(MessageDispatcher):
    """Sends messages to the broker of the site's Celery app.

    If sending fails or is slow, the dispatcher sends nothing for ``DISPATCHER_SWEEP_SECONDS``. So a
    broker that does not respond cannot slow down every request. The next sweep (a search for all
    rows that are due) finds the rows for which no message was sent.
    """

    def __init__(self) -> None:
        self._paused_until = 0.0

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """For each of ``rows``, send a message that makes a worker deliver the row.

        :param rows: pairs of queue name and primary key.
        """
        self._publish(deliver, rows)

    def send_sweep(self) -> None:
        """Send a message that makes a worker run :func:`sweep`."""
        self._publish(sweep, [()], expires=_expires())

    def _publish(self, task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
        started_at = time.monotonic()
        if started_at < self._paused_until:
            return
        succeeded = False
        try:
            _publish(task, messages, **options)
            # Treat a slow success as a failure, so that the next requests do not wait. For example,
            # if RabbitMQ is short of memory, it accepts a message, but then it takes a long time to
            # close the connection.
            succeeded = time.monotonic() - started_at < _CONNECT_SECONDS
        finally:
            if not succeeded:
                self._paused_until = time.monotonic() + settings.DISPATCHER_SWEEP_SECONDS


_NO_RESULT: Mapping[str, Any] = {
    # Celery need not store the result of a task, because the row in the database contains it. So
    # the tasks work even if the site has no result backend or the result backend is down.
    "ignore_result": True,
    "store_errors_even_if_ignored": False,
}


@shared_task(name="reciprocal_oauth.deliver", **_NO_RESULT)
def deliver(queue: str, pk: Any) -> None:
    """Make one attempt to deliver one row. Then deliver other due rows for up to
    ``DISPATCHER_SWEEP_SECONDS``.

    :param queue: the queue of the row: ``inbox`` (reciprocal codes that this site redeems at the
        peer) or ``outbox`` (reciprocal codes and revocations that this site sends to the peer).
    """
    deliver_row(queue, pk, Kind.CELERY)


@shared_task(name="reciprocal_oauth.sweep", **_NO_RESULT)
def sweep() -> None:
    """Search for rows that are due, and send a message for each row that was found. If a peer has
    many due rows, only the first of them are found. The remaining rows need no message, because a
    worker that has delivered one row continues with other due rows. Then do the other work that is
    due, such as a pairing that goes on."""
    heartbeat.beat(Kind.CELERY)
    if rows := worker.due():
        _publish(deliver, rows, expires=_expires())
    chores.run()


def _publish(task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
    # Open a new connection to the broker. Do not use a connection from Celery's pool: it may be
    # closed or belong to the parent process, and its timeouts can be longer.
    connection = current_app.connection_for_write(
        connect_timeout=_CONNECT_SECONDS, transport_options=dict(_SHORT_TIMEOUTS)
    )
    with connection:
        for arguments in messages:
            task.apply_async(arguments, connection=connection, retry=False, **options)


def _expires() -> float:
    return max(settings.DISPATCHER_SWEEP_SECONDS, _EXPIRES_SECONDS)


__all__ = ["CeleryDispatcher", "deliver", "sweep"]
