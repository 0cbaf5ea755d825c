"""The signs of life of the workers: each kind gives them, and an error stops no delivery."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import heartbeat, message_dispatcher, worker
from reciprocal_oauth.delivery.dispatchers import EagerDispatcher, deliver_forever
from reciprocal_oauth.delivery.engine import Engine
from reciprocal_oauth.delivery.heartbeat import Kind, beat
from reciprocal_oauth.models import Heartbeat, OutboxItem
from reciprocal_oauth.testing import recording_dispatcher

from .conftest import ScriptedHandler
from .processes import soon

MakeRow = Callable[..., OutboxItem]

pytestmark = pytest.mark.usefixtures("shared_database", "_nothing_was_stored_before")


@pytest.fixture
def _nothing_was_stored_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_last", {})


def _kinds() -> list[str]:
    return sorted(Heartbeat.objects.values_list("kind", flat=True))


def test_a_process_stores_it_once_in_thirty_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    beat(Kind.THREAD)
    first = Heartbeat.objects.get()

    clock[0] += 29
    with CaptureQueriesContext(connection) as captured:
        beat(Kind.THREAD)
    assert captured.captured_queries == []

    clock[0] += 2
    with CaptureQueriesContext(connection) as captured:
        beat(Kind.THREAD)
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["UPDATE"]
    assert Heartbeat.objects.get().seen_at > first.seen_at


def test_many_processes_that_start_at_once_make_one_row(
    at_once: Callable[[int, Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.0)

    at_once(8, lambda: beat(Kind.COMMAND))

    assert _kinds() == ["command"]


def test_hosts_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.0)
    for host in ("web-1", "web-2", "web-1", "x" * 300):
        monkeypatch.setattr(heartbeat.platform, "node", lambda host=host: host)
        beat(Kind.THREAD)

    hosts = sorted(Heartbeat.objects.values_list("host", flat=True))
    assert hosts == ["web-1", "web-2", "x" * 255]


@pytest.mark.threat("R78")
def test_an_error_is_logged_and_the_row_is_delivered(
    make_row: MakeRow,
    handler: ScriptedHandler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: Any) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(heartbeat, "_store", fail)
    row = make_row()

    with caplog.at_level(logging.ERROR, "reciprocal_oauth.delivery"):
        assert worker.drain() == 1
        worker.drain()

    assert handler.attempted == [row]
    # The second call does not try again within the thirty seconds.
    assert caplog.text.count("The sign of life of this worker could not be stored") == 1


def test_within_a_transaction_nothing_is_stored() -> None:
    """The row would stay locked, and all workers of the host would wait."""
    with transaction.atomic():
        beat(Kind.OTHER)
    assert _kinds() == []

    beat(Kind.OTHER)
    assert _kinds() == ["other"]


class TestKinds:
    """Who gives a sign of life, and of which kind."""

    def test_the_command_once(self) -> None:
        call_command("reciprocal_deliver", stdout=io.StringIO())

        assert _kinds() == ["command"]

    def test_the_command_in_a_loop(self) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=deliver_forever, args=(60.0, stop))
        thread.start()

        soon(lambda: _kinds() == ["command"])
        stop.set()
        thread.join(30)

    def test_the_receiver_of_a_dispatcher_of_the_site(self, make_row: MakeRow) -> None:
        worker.work_on("outbox", make_row().pk)

        assert _kinds() == ["other"]

    def test_a_message_dispatcher_of_the_site(self, make_row: MakeRow) -> None:
        message_dispatcher.deliver("outbox", make_row().pk)

        assert _kinds() == ["other"]

    def test_celery(self, make_row: MakeRow) -> None:
        pytest.importorskip("celery")
        from reciprocal_oauth.contrib.celery import deliver, sweep

        deliver("outbox", make_row().pk)
        assert _kinds() == ["celery"]

        Heartbeat.objects.all().delete()
        heartbeat._last.clear()
        sweep()
        assert _kinds() == ["celery"]

    def test_django_tasks(self, make_row: MakeRow) -> None:
        pytest.importorskip("django.tasks")
        from reciprocal_oauth.contrib.django_tasks import deliver, sweep

        deliver.call("outbox", make_row().pk)
        assert _kinds() == ["tasks"]

        Heartbeat.objects.all().delete()
        heartbeat._last.clear()
        sweep.call()
        assert _kinds() == ["tasks"]

    def test_no_worker_is_what_a_test_or_a_request_runs(self) -> None:
        EagerDispatcher().wake()
        with recording_dispatcher() as dispatcher:
            dispatcher.run()

        assert _kinds() == []


@pytest.fixture
def idle_engine() -> Iterator[Engine]:
    """It sweeps once an hour."""
    engine = Engine(3600.0)
    yield engine
    engine.stop()


class TestEngine:
    """The threads of a web process."""

    def next_beat(self) -> None:
        first = Heartbeat.objects.get().seen_at
        soon(lambda: Heartbeat.objects.get().seen_at > first)

    def test_an_idle_engine_goes_on_giving_signs_of_life(
        self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> None:
        monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
        request.getfixturevalue("idle_engine")
        soon(lambda: _kinds() == ["thread"])

        self.next_beat()

    def test_it_does_not_search_more_often_for_that(
        self,
        monkeypatch: pytest.MonkeyPatch,
        request: pytest.FixtureRequest,
        make_row: MakeRow,
        handler: ScriptedHandler,
    ) -> None:
        monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
        request.getfixturevalue("idle_engine")
        soon(lambda: _kinds() == ["thread"])
        self.next_beat()  # After it, the engine has made its first search.
        make_row()
        self.next_beat()

        assert handler.attempted == []


def test_a_host_that_is_gone_disappears_after_seven_days(settings: Settings) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        beat(Kind.THREAD)
        clock.shift(7 * 86400)
        beat(Kind.COMMAND)
        call_command("reciprocal_prune", stdout=io.StringIO())
        assert _kinds() == ["command", "thread"]

        clock.shift(1)
        call_command("reciprocal_prune", stdout=io.StringIO())
        assert _kinds() == ["command"]
