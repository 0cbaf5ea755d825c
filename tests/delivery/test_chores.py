"""Work that is due and is no row of a queue: the dispatchers do it beside the deliveries."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from reciprocal_oauth.delivery import chores, heartbeat, worker
from reciprocal_oauth.delivery.dispatchers import ThreadDispatcher

from .processes import soon

pytestmark = pytest.mark.django_db


class Work:
    """Work that is due once."""

    def __init__(self, error: Exception | None = None) -> None:
        self.at: Any = timezone.now() - timedelta(seconds=1)
        self.threads: list[str] = []
        self._error = error

    def run(self) -> int:
        self.threads.append(threading.current_thread().name)
        self.at = None
        if self._error:
            raise self._error
        return 1

    def next_due_at(self) -> Any:
        return self.at


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, chores.Chore]:
    only: dict[str, chores.Chore] = {}
    monkeypatch.setattr(chores, "_chores", only)
    return only


def register(name: str, work: Work) -> Work:
    chores.register(name, chores.Chore(run=work.run, next_due_at=work.next_due_at))
    return work


def test_the_command_does_it_and_counts_it(
    registered: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    work = register("work", Work())

    call_command("reciprocal_deliver", "--once")

    assert len(work.threads) == 1
    assert "1 attempt made." in capsys.readouterr().out


def test_work_that_fails_does_not_stop_the_other_work(
    registered: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    register("broken", Work(RuntimeError("no")))
    work = register("work", Work())

    assert worker.drain() == 1

    assert len(work.threads) == 1
    assert "broken" in caplog.text


def test_deliveries_do_not_wait_for_it(
    registered: dict[str, Any], make_row: Any, handler: Any
) -> None:
    """A mail server that hangs must not keep a hand-over."""

    class Late(Work):
        def run(self) -> int:
            handler.attempted.append("work")
            if len(handler.attempted) == 2:
                make_row()
            return super().run()

    first = make_row()
    register("work", Late())

    worker.drain()

    assert handler.attempted[:2] == [first, "work"]
    assert len(handler.attempted) == 3  # What it has made due is delivered at once.


def test_the_thread_dispatcher_does_it_in_a_thread_of_its_own(
    registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = register("work", Work())
    # The tables are in the memory of this thread's connection, so no other thread finds them.
    monkeypatch.setattr(worker, "claim", lambda *args: [])
    monkeypatch.setattr(worker, "next_due_at", lambda *args: None)
    # Other databases would keep its row for the tests that follow.
    monkeypatch.setattr(heartbeat, "beat", lambda kind: None)
    dispatcher = ThreadDispatcher()

    try:
        dispatcher.wake()
        soon(lambda: bool(work.threads))
    finally:
        dispatcher.stop()

    assert work.threads == ["reciprocal-chores"]


def test_it_looks_again_when_the_next_work_is_due(registered: dict[str, Any]) -> None:
    work = Work()
    work.at = timezone.now() + timedelta(seconds=30)
    register("work", work)
    thread = chores.ChoreThread()

    seconds = thread.look()

    assert 25 < seconds <= 30
    assert work.threads == []
