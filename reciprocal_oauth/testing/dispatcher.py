"""A dispatcher for tests. It records calls of ``wake()`` and delivers only when a test calls
``run()``."""

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
    """Records each call of :meth:`wake` and starts no worker. A test calls :meth:`run` to deliver.

    :ivar woken: the argument of each call of :meth:`wake`, in order: a link, or ``None`` if rows of
        any link may be due.
    """

    def __init__(self) -> None:
        self.woken: list[Link | None] = []

    def wake(self, link: Link | None = None) -> None:
        """Append ``link`` to ``woken``."""
        self.woken.append(link)

    def due(self, link: Link | None = None) -> list[tuple[str, Any]]:
        """Return the rows that are due, as pairs of queue name and primary key.

        :param link: the link whose rows are returned; ``None`` for the rows of all links.
        """
        return worker.due(link)

    def run(self) -> int:
        """Work on due rows in this thread until no row is due.

        :returns: the number of attempts.
        """
        return worker.drain()


@contextmanager
def recording_dispatcher() -> Iterator[RecordingDispatcher]:
    """Use a :class:`RecordingDispatcher` instead of the configured dispatcher in a ``with`` block.

    The app wakes the dispatcher after commit. A ``TestCase`` never commits its transaction, so use
    Django's ``captureOnCommitCallbacks(execute=True)`` in a ``TestCase``.
    """
    ours = {**getattr(settings, "RECIPROCAL_OAUTH", {}), "DISPATCHER": _PATH}
    with override_settings(RECIPROCAL_OAUTH=ours):
        dispatcher = get_dispatcher()
        assert isinstance(dispatcher, RecordingDispatcher)  # noqa: S101
        dispatcher.woken = []
        yield dispatcher
