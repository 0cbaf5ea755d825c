"""A dispatcher for tests. It starts no worker: it records when the app reports due rows with
``wake()``, and it delivers these rows only when a test calls ``run()``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import override_settings

from ..delivery import worker
from ..delivery.dispatchers import Dispatcher, get_dispatcher
from ..models import Link

_PATH = f"{__name__}.RecordingDispatcher"


class RecordingDispatcher(Dispatcher):
    """Records each call of :meth:`wake` and starts no worker. A test calls :meth:`run` to deliver
    the rows of the inbox and outbox tables.

    :ivar woken: the argument of each call of :meth:`wake`, in order: a link, or ``None`` if rows of
        any link may be due.
    """

    def __init__(self) -> None:
        self.woken: list[Link | None] = []

    def wake(self, link: Link | None = None) -> None:
        """Append ``link`` to ``woken``. The app calls this method when rows can be due."""
        self.woken.append(link)

    def due(self, link: Link | None = None) -> list[tuple[str, Any]]:
        """Return the due rows of the inbox and outbox tables, as pairs of the queue name (``inbox``
        or ``outbox``) and the primary key. These are at most 100 rows of each table, and at most
        ``DELIVERIES_PER_PEER`` rows of one peer.

        :param link: the link whose rows are returned; ``None`` for the rows of all links.
        """
        return worker.due(link)

    def run(self) -> int:
        """Deliver due rows in this thread until no row is due.

        :returns: the number of delivery attempts.
        """
        return worker.drain(kind=None)


@contextmanager
def recording_dispatcher() -> Iterator[RecordingDispatcher]:
    """In a ``with`` block, replace the configured dispatcher by a :class:`RecordingDispatcher`.

    The app calls ``wake()`` only after a commit, and a ``TestCase`` never commits its transaction.
    So in a ``TestCase``, also use Django's ``captureOnCommitCallbacks(execute=True)``.
    """
    ours = {**getattr(settings, "RECIPROCAL_OAUTH", {}), "DISPATCHER": _PATH}
    with override_settings(RECIPROCAL_OAUTH=ours):
        dispatcher = get_dispatcher()
        assert isinstance(dispatcher, RecordingDispatcher)  # noqa: S101
        dispatcher.woken = []
        yield dispatcher
