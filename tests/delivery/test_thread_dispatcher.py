"""The default dispatcher: a few threads of the web process, and a database shared with it."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.signals import connection_created
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import dispatchers, engine, worker
from reciprocal_oauth.delivery.dispatchers import ThreadDispatcher, get_dispatcher
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.models.results import Done, Result
from reciprocal_oauth.party_a import consent

from ..fakes import FakePeer, Received, Reply, token_response
from .conftest import ScriptedHandler
from .processes import soon

pytestmark = pytest.mark.usefixtures("shared_database")

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State


@pytest.fixture
def dispatcher(shared_database: None, settings: Settings) -> Iterator[ThreadDispatcher]:
    """The dispatcher in force. It sweeps once a minute: what happens sooner has another cause."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "DISPATCHER": "thread",
        "DISPATCHER_THREADS": 2,
        "DISPATCHER_SWEEP_SECONDS": 60.0,
    }
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, ThreadDispatcher)
    yield dispatcher
    dispatcher.stop()


def _our_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("reciprocal-")]


@pytest.mark.usefixtures("dispatcher")
def test_a_grant_is_handed_over_soon_after_commit(link_as_a: Link, fake_peer: FakePeer) -> None:
    consent.allow(link_as_a, ["playback"])

    soon(lambda: OutboxItem.objects.get().state == State.ACCEPTED)
    assert len(fake_peer.to("/token/")) == 1


@pytest.mark.usefixtures("dispatcher")
def test_rows_left_from_before_start_with_the_first_request(
    make_row: MakeRow, handler: ScriptedHandler, client: Client
) -> None:
    make_row()
    assert handler.attempted == []

    client.get("/no-such-page/")

    soon(lambda: OutboxItem.objects.get().state == State.DONE)


@pytest.mark.threat("R21")
def test_there_are_no_threads_before_the_first_request_or_row(
    dispatcher: ThreadDispatcher, client: Client
) -> None:
    assert _our_threads() == []

    client.get("/no-such-page/")
    assert _our_threads() == ["reciprocal-dispatcher"]

    client.get("/no-such-page/")
    assert _our_threads() == ["reciprocal-dispatcher"]
    dispatcher.stop()
    assert _our_threads() == []


@pytest.mark.threat("R13")
def test_waking_many_times_works_on_a_row_once(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    make_row()

    for _ in range(50):
        dispatcher.wake()

    soon(lambda: OutboxItem.objects.get().state == State.DONE)
    dispatcher.stop()
    assert len(handler.attempted) == 1


@pytest.mark.threat("R13")
def test_two_web_processes_work_on_a_row_once(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    rows = [make_row() for _ in range(10)]
    other = ThreadDispatcher()

    dispatcher.wake()
    other.wake()

    soon(lambda: OutboxItem.objects.filter(state=State.DONE).count() == len(rows))
    other.stop()
    assert len(handler.attempted) == len(rows)


def test_a_row_that_comes_due_later_is_started_then(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    due = timezone.now() + timedelta(seconds=0.5)
    make_row(next_attempt_at=due)

    dispatcher.request_started()

    soon(lambda: OutboxItem.objects.get().state == State.DONE)
    assert timezone.now() >= due


def test_a_row_that_comes_due_right_after_a_look_is_not_left_for_the_next_sweep(
    dispatcher: ThreadDispatcher,
    make_row: MakeRow,
    handler: ScriptedHandler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_PEER_AT_LIMIT_SECONDS", 60.0)
    claim = worker.claim

    def claim_too_early(*args: Any) -> Any:
        found = claim(*args)
        if not OutboxItem.objects.exists():
            make_row()
        return found

    monkeypatch.setattr(worker, "claim", claim_too_early)

    dispatcher.wake()

    soon(lambda: OutboxItem.objects.filter(state=State.DONE).exists())
    assert len(handler.attempted) == 1


@pytest.mark.threat("R2")
def test_a_full_pool_claims_no_more_than_it_can_work_on(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    for _ in range(5):
        make_row()
    may_go_on = threading.Event()

    def wait(item: OutboxItem) -> Result:
        may_go_on.wait(10)
        return Done()

    handler.results = [wait]
    dispatcher.wake()
    soon(lambda: len(handler.attempted) == 2)
    dispatcher.wake()
    time.sleep(0.2)

    assert OutboxItem.objects.filter(state=State.CLAIMED).count() == 2
    may_go_on.set()
    soon(lambda: OutboxItem.objects.filter(state=State.DONE).count() == 5)
    assert len(handler.attempted) == 5


@pytest.mark.threat("R21")
def test_no_thread_keeps_a_database_connection(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    opened: list[Any] = []

    def note(connection: Any, **kwargs: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            opened.append(connection)

    connection_created.connect(note)
    make_row()
    dispatcher.wake()
    soon(lambda: OutboxItem.objects.get().state == State.DONE)
    dispatcher.stop()
    connection_created.disconnect(note)

    assert len(opened) >= 2  # The dispatcher's own, and the worker's.
    assert [each for each in opened if each.connection is not None] == []


@pytest.mark.threat("R10")
def test_a_database_that_is_away_for_a_moment_does_not_end_it(
    dispatcher: ThreadDispatcher,
    make_row: MakeRow,
    handler: ScriptedHandler,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER_SWEEP_SECONDS": 0.05}
    failures = [OperationalError("gone"), RuntimeError("odd")]
    claim = worker.claim

    def sometimes(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return claim(*args)

    monkeypatch.setattr(worker, "claim", sometimes)
    make_row()

    dispatcher.wake()

    soon(lambda: OutboxItem.objects.get().state == State.DONE)
    assert [each.levelno for each in caplog.records].count(logging.ERROR) == 2


def test_an_outcome_that_cannot_be_recorded_is_logged_and_the_next_row_worked_on(
    dispatcher: ThreadDispatcher,
    make_row: MakeRow,
    handler: ScriptedHandler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unlucky, lucky = make_row(), make_row()
    work = worker.work

    def sometimes(item: OutboxItem) -> None:
        if item == unlucky:
            raise OperationalError("gone")
        work(item)

    monkeypatch.setattr(worker, "work", sometimes)
    dispatcher.wake()

    soon(lambda: OutboxItem.objects.get(pk=lucky.pk).state == State.DONE)
    assert OutboxItem.objects.get(pk=unlucky.pk).state == State.CLAIMED
    assert "its lease will expire" in caplog.text


def test_stopping_finishes_what_has_been_begun_and_waking_begins_again(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    def slow(item: OutboxItem) -> Result:
        time.sleep(0.2)
        return Done()

    handler.results = [slow]
    make_row()
    dispatcher.wake()
    soon(lambda: handler.attempted)

    dispatcher.stop()
    assert OutboxItem.objects.get().state == State.DONE

    make_row()
    dispatcher.wake()
    soon(lambda: OutboxItem.objects.filter(state=State.DONE).count() == 2)


@pytest.mark.threat("R21")
def test_a_step_that_wakes_while_the_dispatcher_stops_is_waited_for_and_begins_nothing(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    """A receiver of ours or of the site's that ends a link, say."""
    begun, stopping = threading.Event(), threading.Event()

    def attempt(item: OutboxItem) -> Result:
        begun.set()
        assert stopping.wait(10)
        dispatcher.wake()
        return Done()

    handler.results = [attempt]
    make_row()
    dispatcher.wake()
    assert begun.wait(10)
    stopper = threading.Thread(target=dispatcher.stop)
    stopper.start()
    soon(lambda: dispatcher.start().is_stopping and not dispatcher.start().is_alive())
    make_row()
    stopping.set()
    stopper.join(10)

    assert _our_threads() == []
    states = sorted(OutboxItem.objects.values_list("state", "attempts"))
    assert states == [(State.DONE, 1), (State.PENDING, 0)]


@pytest.mark.threat("R2", "R11")
def test_a_dispatcher_that_looks_often_keeps_its_connection(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER_SWEEP_SECONDS": 0.05}
    opened: list[str] = []

    def note(connection: Any, **kwargs: Any) -> None:
        opened.append(threading.current_thread().name)

    connection_created.connect(note)
    try:
        for _ in range(5):
            done = OutboxItem.objects.filter(state=State.DONE).count()
            make_row(next_attempt_at=timezone.now() + timedelta(seconds=0.15))
            dispatcher.start()
            soon(lambda done=done: OutboxItem.objects.filter(state=State.DONE).count() > done)
    finally:
        connection_created.disconnect(note)

    assert opened.count("reciprocal-dispatcher") == 1


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B18")
def test_party_b_answers_while_party_a_keeps_it_waiting_for_the_tokens(
    dispatcher: ThreadDispatcher,
    fake_peer: FakePeer,
    token_of_a: Any,
    hand_over: Callable[..., Any],
) -> None:
    answered, asked = threading.Event(), threading.Event()

    def hang(received: Received) -> Reply:
        asked.set()
        assert answered.wait(10), "the answer waited for the redemption"
        return token_response()

    fake_peer.answers["/token/"] = hang

    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert asked.wait(10)
    assert not Link.objects.get().access_token, "the redemption is still in the air"
    answered.set()

    soon(lambda: Link.objects.get().is_two_way)


@pytest.fixture
def hanging_peer(
    dispatcher: ThreadDispatcher, settings: Settings, handler: ScriptedHandler, make_row: MakeRow
) -> Iterator[None]:
    """A peer with more rows than its share, all of which hang until the test is over; then they are
    done. Only the peer called "healthy" answers."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER_THREADS": 6}
    over = threading.Event()

    def attempt(item: OutboxItem) -> Result:
        if item.peer.slug != "healthy":
            over.wait(10)
        return Done()

    handler.results = [attempt]
    for _row in range(12):
        make_row()
    yield
    over.set()
    soon(lambda: not OutboxItem.objects.exclude(state=State.DONE).exists())


@pytest.mark.threat("R2", "D3")
@pytest.mark.usefixtures("hanging_peer")
def test_a_peer_that_hangs_leaves_threads_for_the_others(
    dispatcher: ThreadDispatcher,
    handler: ScriptedHandler,
    make_row: MakeRow,
    make_peer: Callable[..., Peer],
) -> None:
    healthy = make_row(peer=make_peer("healthy"))

    dispatcher.wake()

    soon(lambda: OutboxItem.objects.get(pk=healthy.pk).state == State.DONE)
    assert len([item for item in handler.attempted if item.peer.slug != "healthy"]) == 4


@pytest.mark.threat("R2")
@pytest.mark.usefixtures("hanging_peer")
def test_a_peer_that_hangs_does_not_delay_what_comes_due_for_the_others(
    dispatcher: ThreadDispatcher,
    handler: ScriptedHandler,
    make_row: MakeRow,
    make_peer: Callable[..., Peer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_PEER_AT_LIMIT_SECONDS", 60.0)
    due = timezone.now() + timedelta(seconds=0.5)
    healthy = make_row(peer=make_peer("healthy"), next_attempt_at=due)

    dispatcher.wake()

    soon(lambda: OutboxItem.objects.get(pk=healthy.pk).state == State.DONE)
    assert len(handler.attempted) == 5


@pytest.mark.threat("R73")
def test_first_requests_at_the_same_moment_start_one_engine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ThreadDispatcher):
        """So that all are at it at once."""

        def __init__(self) -> None:
            time.sleep(0.1)
            super().__init__()

    monkeypatch.setattr(sys.modules[__name__], "Raced", Slow, raising=False)
    name = f"{__name__}.Raced"
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "DISPATCHER": name,
        "DISPATCHER_SWEEP_SECONDS": 60.0,
    }
    together = threading.Barrier(8)

    def first_request() -> int:
        together.wait()
        dispatchers.request_started()
        connections.close_all()
        return id(get_dispatcher())

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(first_request) for _request in range(8)]
        found = {each.result(30) for each in running}
    threads = _our_threads()
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, ThreadDispatcher)
    dispatcher.stop()

    assert len(found) == 1
    assert threads == ["reciprocal-dispatcher"]


@pytest.mark.threat("R21")
def test_the_tests_of_a_site_that_names_no_dispatcher_start_no_thread(
    settings: Settings, client: Client, link_as_a: Link
) -> None:
    """Threads would work on rows of the tests, or wait for the locks of their transactions."""
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True}

    client.get("/no-such-page/")
    consent.allow(link_as_a, ["playback"])

    assert _our_threads() == []
    assert OutboxItem.objects.get().state == State.PENDING


@pytest.mark.threat("R20", "R75")
def test_a_row_is_picked_up_although_what_the_site_does_after_the_commit_has_failed(
    dispatcher: ThreadDispatcher, link_as_a: Link, settings: Settings, fake_peer: FakePeer
) -> None:
    """Django then leaves out what was to be done after it: our signal."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER_SWEEP_SECONDS": 0.1}

    def fail() -> None:
        raise RuntimeError("the site's own")

    dispatcher.request_started()
    with suppress(RuntimeError), transaction.atomic():
        transaction.on_commit(fail)
        consent.allow(link_as_a, ["playback"])

    soon(lambda: OutboxItem.objects.get().state == State.ACCEPTED)


@pytest.mark.django_db(transaction=True)
def test_the_command_sleeps_between_two_looks_at_its_engine() -> None:
    class Stopping(threading.Event):
        """Is set by the first wait."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            self.set()
            return True

    stop = Stopping()
    give_up = threading.Timer(5, stop.set)
    give_up.start()

    dispatchers.deliver_forever(60, stop)

    give_up.cancel()
    assert stop.waits == 1
