"""Rows to work on, steps that do as they are told, and a database that threads can share."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.outcomes import Done, Outcome
from reciprocal_oauth.delivery.retry import RetryPolicy
from reciprocal_oauth.models import Link, OutboxItem, Peer, QueueItem
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.secret import Secret

#: The file need not survive a power cut.
FAST = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"


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
        self.outcomes: list[Outcome | Exception | Callable[[Any], Outcome]] = [Done()]
        self.attempted: list[Any] = []
        self.given_up: list[tuple[Any, str, str]] = []
        self.schedule = [0.0, 5.0, 300.0]

    def attempt(self, item: Any) -> Outcome:
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


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that threads and processes can use at the same time.

    SQLite in memory is none: it locks whole tables, without waiting. A file takes its place.
    """
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        yield
        return
    in_memory, configured = connections["default"], connections.settings["default"]
    before = dict(configured)
    file = tmp_path / "shared.sqlite3"
    with sqlite3.connect(file) as copy:
        in_memory.connection.backup(copy)
    copy.close()
    # IMMEDIATE: a transaction that begins with a read would fail without waiting when it writes.
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": FAST}
    configured.update(NAME=str(file), OPTIONS=options)
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        configured.update(before)
        connections["default"] = in_memory
