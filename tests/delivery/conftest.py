"""Fixtures: due rows, and a handler with scripted results."""

from collections.abc import Callable
from typing import Any

import pytest

from reciprocal_oauth.core.retry_policy import RetryPolicy
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, Peer, QueueItem
from reciprocal_oauth.models.results import Done, Result
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.secret import Secret


@pytest.fixture
def make_row(peer: Peer) -> Callable[..., OutboxItem]:
    """Return a function that creates a due row in the outbox."""

    def make(**values: Any) -> OutboxItem:
        return OutboxItem.objects.create(
            **{
                "kind": OutboxItem.Kind.REVOCATION,
                "peer": peer,
                "token": Secret("token-to-revoke"),
                **values,
            }
        )

    return make


@pytest.fixture
def granted(link_as_a: Link) -> Link:
    """A link for which alice has just allowed "playback": its hand-over waits in the outbox."""
    consent.allow(link_as_a, ["playback"])
    return link_as_a


class ScriptedHandler:
    """A handler for the outbox that returns the next one of ``results`` for each attempt, and the
    last one for all later attempts. An exception is raised; a function is called with the item."""

    def __init__(self) -> None:
        self.results: list[Result | Exception | Callable[[Any], Result]] = [Done()]
        self.attempted: list[Any] = []
        self.failed: list[tuple[Any, str, str]] = []
        self.schedule = [0.0, 5.0, 300.0]

    def attempt(self, item: Any) -> Result:
        self.attempted.append(item)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result(item) if callable(result) else result

    def as_handler(self) -> worker.QueueHandler:
        return worker.QueueHandler(
            attempt=self.attempt,
            policy=lambda: RetryPolicy(self.schedule, spread=lambda: 0.0),
            final_values=lambda state: {"live_key": None},
            on_failed=lambda item, reason, error: self.failed.append((item, reason, error)),
        )


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> ScriptedHandler:
    """A scripted handler for the outbox. The handler of the inbox is not changed."""
    scripted = ScriptedHandler()
    handlers: dict[type[QueueItem], worker.QueueHandler] = {
        **worker._handlers,
        OutboxItem: scripted.as_handler(),
    }
    monkeypatch.setattr(worker, "_handlers", handlers)
    return scripted
