"""The dispatcher ``celery``: workers of Celery deliver.

Two tasks: ``reciprocal_oauth.deliver``, sent after commit for each row that is due, and
``reciprocal_oauth.sweep``, which beat has to send now and then. No message is delayed in the
broker: that a row is to be tried again later stands in the row.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

try:
    from celery import current_app, shared_task
except ModuleNotFoundError as error:
    if error.name != "celery":
        raise
    raise ImportError("Celery is not there; install reciprocal-oauth[celery].") from error

from ..conf import settings
from ..delivery import worker
from ..delivery.message_dispatcher import MessageDispatcher
from ..delivery.message_dispatcher import deliver as deliver_row

_CONNECT_SECONDS = 2.0
#: For all brokers together; each heeds what it knows. Without them, a broker that is away would
#: hold up the request of a user, some for ever.
_GIVE_UP_SOON: Mapping[str, Any] = {
    "max_retries": 1,  # 0 would be without end.
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "read_timeout": _CONNECT_SECONDS,
    "write_timeout": _CONNECT_SECONDS,
    "socket_connect_timeout": _CONNECT_SECONDS,
    "socket_timeout": _CONNECT_SECONDS,
}
#: How long, in seconds, a message of a sweep counts at least: later ones say the same. Well above
#: what the clocks of a site differ by, or a worker whose clock is fast would heed none.
_EXPIRES_SECONDS = 60.0


class CeleryDispatcher(MessageDispatcher):
    """Sends messages to the broker of the site's Celery app.

    When that fails, or is slow, it sends none for ``DISPATCHER_SWEEP_SECONDS``: a sweep sees to the
    rows later, and a broker that does not answer must not hold up one request after the other.
    """

    def __init__(self) -> None:
        self._rests_until = 0.0

    def send(self, rows: Sequence[tuple[str, Any]]) -> None:
        self._publish(deliver, rows)

    def send_sweep(self) -> None:
        self._publish(sweep, [()], expires=_expires())

    def _publish(self, task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
        began = time.monotonic()
        if began < self._rests_until:
            return
        went_well = False
        try:
            _publish(task, messages, **options)
            # RabbitMQ that is short of memory takes a message, but says no goodbye.
            went_well = time.monotonic() - began < _CONNECT_SECONDS
        finally:
            if not went_well:
                self._rests_until = time.monotonic() + settings.DISPATCHER_SWEEP_SECONDS


_FOR_THE_ROW_ONLY: Mapping[str, Any] = {
    # What came of it stands in the row. So no result backend is needed, and one may be down.
    "ignore_result": True,
    "store_errors_even_if_ignored": False,
}


@shared_task(name="reciprocal_oauth.deliver", **_FOR_THE_ROW_ONLY)
def deliver(queue: str, pk: Any) -> None:
    """Work on one row, then for a while on others that are due.

    :param queue: ``inbox`` or ``outbox``.
    """
    deliver_row(queue, pk)


@shared_task(name="reciprocal_oauth.sweep", **_FOR_THE_ROW_ONLY)
def sweep() -> None:
    """Send a message for each row that is due: the first ones of each peer, not all of a backlog,
    which those who get these go on with."""
    if rows := worker.due():
        _publish(deliver, rows, expires=_expires())


def _publish(task: Any, messages: Sequence[Sequence[Any]], **options: Any) -> None:
    # A connection of our own: those that Celery keeps may have been inherited by a fork, or have
    # been cut meanwhile, and wait as long as the site likes its own tasks to.
    connection = current_app.connection_for_write(
        connect_timeout=_CONNECT_SECONDS, transport_options=dict(_GIVE_UP_SOON)
    )
    with connection:
        for arguments in messages:
            task.apply_async(arguments, connection=connection, retry=False, **options)


def _expires() -> float:
    return max(settings.DISPATCHER_SWEEP_SECONDS, _EXPIRES_SECONDS)


__all__ = ["CeleryDispatcher", "deliver", "sweep"]
