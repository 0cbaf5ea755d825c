"""The dispatcher ``celery``: workers of Celery deliver.

It has two tasks. ``reciprocal_oauth.deliver`` is sent after commit, for each row that is due.
``reciprocal_oauth.sweep`` must be sent regularly by Celery beat. The broker delays no message: the
row itself says when the next attempt is due.
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
from ..delivery import worker
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row

_CONNECT_SECONDS = 2.0
#: Options for all kinds of brokers; each uses those that it knows. Without them, a broker that is
#: down would block the request of a user, with some brokers for ever.
_SHORT_TIMEOUTS: Mapping[str, Any] = {
    "max_retries": 1,  # 0 means without limit.
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "read_timeout": _CONNECT_SECONDS,
    "write_timeout": _CONNECT_SECONDS,
    "socket_connect_timeout": _CONNECT_SECONDS,
    "socket_timeout": _CONNECT_SECONDS,
}
#: The shortest lifetime of a message of a sweep, in seconds. A message that expires is no loss: a
#: later sweep sends the same one. A shorter lifetime would be a risk: a worker whose clock is fast
#: would drop all messages.
_EXPIRES_SECONDS = 60.0


class CeleryDispatcher(MessageDispatcher):
    """Sends messages to the broker of the site's Celery app.

    If sending fails or is slow, it sends nothing for ``DISPATCHER_SWEEP_SECONDS``. So a broker that
    does not respond cannot slow down every request. A sweep delivers the rows later.
    """

    def __init__(self) -> None:
        self._paused_until = 0.0

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Send a message for each row."""
        self._publish(deliver, rows)

    def send_sweep(self) -> None:
        """Send a message for a sweep."""
        self._publish(sweep, [()], expires=_expires())

    def _publish(self, task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
        started_at = time.monotonic()
        if started_at < self._paused_until:
            return
        succeeded = False
        try:
            _publish(task, messages, **options)
            # RabbitMQ that is short of memory accepts a message, but does not close the connection.
            succeeded = time.monotonic() - started_at < _CONNECT_SECONDS
        finally:
            if not succeeded:
                self._paused_until = time.monotonic() + settings.DISPATCHER_SWEEP_SECONDS


_NO_RESULT: Mapping[str, Any] = {
    # The row holds the result. So no result backend is needed, and a backend may be down.
    "ignore_result": True,
    "store_errors_even_if_ignored": False,
}


@shared_task(name="reciprocal_oauth.deliver", **_NO_RESULT)
def deliver(queue: str, pk: Any) -> None:
    """Deliver one row, then other rows that are due, for a limited time.

    :param queue: ``inbox`` or ``outbox``.
    """
    deliver_row(queue, pk)


@shared_task(name="reciprocal_oauth.sweep", **_NO_RESULT)
def sweep() -> None:
    """Send messages for rows that are due: the first ones of each peer, not a whole backlog.

    Workers that get a message continue with the other rows.
    """
    if rows := worker.due():
        _publish(deliver, rows, expires=_expires())


def _publish(task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
    # A new connection: those of Celery's pool may be inherited from a parent process or closed, and
    # have the site's own, longer timeouts.
    connection = current_app.connection_for_write(
        connect_timeout=_CONNECT_SECONDS, transport_options=dict(_SHORT_TIMEOUTS)
    )
    with connection:
        for arguments in messages:
            task.apply_async(arguments, connection=connection, retry=False, **options)


def _expires() -> float:
    return max(settings.DISPATCHER_SWEEP_SECONDS, _EXPIRES_SECONDS)


__all__ = ["CeleryDispatcher", "deliver", "sweep"]
