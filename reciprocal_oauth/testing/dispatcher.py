"""A dispatcher that records what it was woken for and delivers on demand."""

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
    """Starts no worker by itself.

    :ivar woken: the link of each call of :meth:`wake`, ``None`` for any link, in order.
    """

    def __init__(self) -> None:
        self.woken: list[Link | None] = []

    def wake(self, link: Link | None = None) -> None:
        """Record ``link``."""
        self.woken.append(link)

    def due(self, link: Link | None = None) -> list[tuple[str, Any]]:
        """Return the rows that are due: the name of the queue, and the primary key.

        :param link: only rows of this link.
        """
        return worker.due(link)

    def run(self) -> int:
        """Work on due rows, in this thread, until none is due.

        :returns: the number of attempts.
        """
        return worker.drain()


@contextmanager
def recording_dispatcher() -> Iterator[RecordingDispatcher]:
    """Use a :class:`RecordingDispatcher` in place of the configured dispatcher.

    A dispatcher is woken after commit, which never comes in a ``TestCase``: use Django's
    ``captureOnCommitCallbacks(execute=True)`` there.
    """
    ours = {**getattr(settings, "RECIPROCAL_OAUTH", {}), "DISPATCHER": _PATH}
    with override_settings(RECIPROCAL_OAUTH=ours):
        dispatcher = get_dispatcher()
        assert isinstance(dispatcher, RecordingDispatcher)  # noqa: S101
        dispatcher.woken = []
        yield dispatcher
