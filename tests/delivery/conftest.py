"""Rows to work on, and steps that do as they are told."""

from collections.abc import Callable
from typing import Any

import pytest

from reciprocal_oauth.core.retry_policy import RetryPolicy
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.results import Done, Result
from reciprocal_oauth.models import Link, OutboxItem, Peer, QueueItem
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.secret import Secret


@pytest.fixture
def make_row(peer: Peer) -> Callable[..., OutboxItem]:
    """Makes a row of the outbox that is due."""

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


class ScriptedStep:
    """What the worker runs for the outbox: ``outcomes`` are used up one by one, the last of which
    stays; one that is an exception is raised, one that is a function is asked."""

    def __init__(self) -> None:
        self.outcomes: list[Result | Exception | Callable[[Any], Result]] = [Done()]
        self.attempted: list[Any] = []
        self.given_up: list[tuple[Any, str, str]] = []
        self.schedule = [0.0, 5.0, 300.0]

    def attempt(self, item: Any) -> Result:
        self.attempted.append(item)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(item) if callable(outcome) else outcome

    def as_step(self) -> worker.Step:
        return worker.Step(
            attempt=self.attempt,
            policy=lambda: RetryPolicy(self.schedule, spread=lambda: 0.0),
            finished=lambda state: {"live_key": None},
            given_up=lambda item, reason, error: self.given_up.append((item, reason, error)),
        )


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> ScriptedStep:
    """The outbox's step, scripted; the inbox's is as it is."""
    scripted = ScriptedStep()
    steps: dict[type[QueueItem], worker.Step] = {**worker._steps, OutboxItem: scripted.as_step()}
    monkeypatch.setattr(worker, "_steps", steps)
    return scripted
