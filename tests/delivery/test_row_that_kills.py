"""A row that crashes its worker each time does not stop the other rows."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from reciprocal_oauth.delivery import engine, worker
from reciprocal_oauth.delivery.dispatchers import ThreadDispatcher, get_dispatcher
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.models.results import Done, Result

from .conftest import ScriptedHandler
from .processes import soon, url_of_the_database

pytestmark = [pytest.mark.usefixtures("shared_database"), pytest.mark.threat("R76")]

State = OutboxItem.State
MakeRow = Callable[..., OutboxItem]

#: A process that delivers as ``reciprocal_deliver --loop`` does, until only what kills it is left.
PROCESS = """
import os, signal, sys, threading, time
import django
django.setup()
from django.conf import settings
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.dispatchers import deliver_forever
from reciprocal_oauth.core.retry_policy import RetryPolicy
from reciprocal_oauth.models.results import Done
from reciprocal_oauth.models import OutboxItem

settings.RECIPROCAL_OAUTH = {"DISPATCHER": "none", "LEASE_SECONDS": 1.0}
deadly = int(sys.argv[1])

def attempt(item):
    if item.pk == deadly:
        time.sleep(0.2)  # The others are under way by now.
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return Done()

worker.register(OutboxItem, worker.QueueHandler(
    attempt=attempt,
    policy=lambda: RetryPolicy([0.0] * 4),
    final_values=lambda state: {"live_key": None},
    on_failed=lambda *args: None,
))
stop = threading.Event()

def watch():
    while OutboxItem.objects.filter(state__in=OutboxItem.LIVE_STATES).exists():
        time.sleep(0.1)
    stop.set()

threading.Thread(target=watch, daemon=True).start()
deliver_forever(0.1, stop)
"""


def _deliver(deadly: OutboxItem) -> int:
    """:returns: how the process ended."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROCESS, str(deadly.pk)],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE_URL": url_of_the_database(),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode


def test_the_other_rows_are_delivered_and_it_fails(
    make_row: MakeRow, make_peer: Callable[..., Peer]
) -> None:
    other = make_peer("other")
    deadly = make_row()
    neighbours = [make_row(), make_row(), make_row(), *(make_row(peer=other) for _ in range(3))]

    deaths = 0
    while _deliver(deadly) != 0:
        deaths += 1
        assert deaths < 10, "it kills for ever"

    deadly.refresh_from_db()
    assert (deadly.state, deaths) == (State.FAILED, 4)
    for neighbour in neighbours:
        neighbour.refresh_from_db()
        # What was under way at the first death is begun once more.
        assert (neighbour.state, neighbour.attempts <= 2) == (State.DONE, True)


@pytest.fixture
def dispatcher(settings: Settings) -> Iterator[ThreadDispatcher]:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "DISPATCHER": "thread",
        "DISPATCHER_SWEEP_SECONDS": 0.05,
    }
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, ThreadDispatcher)
    yield dispatcher
    dispatcher.stop()


def _cut_off(make_row: MakeRow, **values: Any) -> OutboxItem:
    return make_row(
        state=State.CLAIMED,
        lease_owner="killed",
        lease_until=Now() - timedelta(seconds=1),
        **{"attempts": 1, **values},
    )


class Recorder:
    """A handler that tells who is worked on beside whom."""

    def __init__(self) -> None:
        self.lock, self.now = threading.Lock(), set[Any]()
        self.beside: dict[Any, set[Any]] = {}
        self.two_at_once = threading.Event()

    def __call__(self, item: OutboxItem) -> Result:
        with self.lock:
            self.now.add(item.pk)
            if len(self.now) > 1:
                self.two_at_once.set()
            for pk in self.now:
                self.beside.setdefault(pk, set()).update(self.now - {pk})
        if item.was_interrupted:
            time.sleep(0.3)  # Long enough for another row to begin.
        else:
            self.two_at_once.wait(20)
        with self.lock:
            self.now.discard(item.pk)
        return Done()


def test_an_interrupted_row_is_worked_on_alone(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    """And after those that wait: it may end it all."""
    recorder = Recorder()
    handler.results = [recorder]
    cut_off = [_cut_off(make_row), _cut_off(make_row)]
    waiting = [make_row(), make_row()]

    dispatcher.start()
    soon(lambda: OutboxItem.objects.filter(state=State.DONE).count() == 4)

    assert [recorder.beside[row.pk] for row in cut_off] == [set(), set()]
    assert recorder.beside[waiting[0].pk] == {waiting[1].pk}
    assert {row.pk for row in handler.attempted[:2]} == {row.pk for row in waiting}


def test_one_that_is_only_slow_does_not_keep_the_others_waiting(
    dispatcher: ThreadDispatcher,
    make_row: MakeRow,
    handler: ScriptedHandler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_ALONE_SECONDS", 0.3)
    over = threading.Event()
    slow = _cut_off(make_row)

    def attempt(item: OutboxItem) -> Result:
        if item.pk == slow.pk:
            over.wait(20)
        return Done()

    handler.results = [attempt]
    dispatcher.start()
    soon(lambda: handler.attempted)
    waiting = make_row()

    soon(lambda: OutboxItem.objects.get(pk=waiting.pk).state == State.DONE)
    assert not over.is_set()
    over.set()
    soon(lambda: OutboxItem.objects.get(pk=slow.pk).state == State.DONE)


def test_in_a_process_that_is_never_idle_it_has_its_turn_after_another_lease(
    dispatcher: ThreadDispatcher, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    over = threading.Event()
    hanging = make_row()

    def attempt(item: OutboxItem) -> Result:
        if item.pk == hanging.pk:
            over.wait(20)
        return Done()

    handler.results = [attempt]
    dispatcher.start()
    soon(lambda: handler.attempted)
    long_ago = make_row(
        state=State.CLAIMED, lease_owner="killed", lease_until=Now() - timedelta(seconds=61)
    )
    lately = _cut_off(make_row)

    soon(lambda: OutboxItem.objects.get(pk=long_ago.pk).state == State.DONE)
    assert OutboxItem.objects.get(pk=lately.pk).state == State.CLAIMED
    over.set()
    soon(lambda: OutboxItem.objects.get(pk=lately.pk).state == State.DONE)


def test_a_worker_that_works_on_one_after_the_other_begins_with_those_that_wait(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    """Then with those with the fewest attempts: what kills workers has had the most."""
    deadly, beside, waiting = _cut_off(make_row, attempts=2), _cut_off(make_row), make_row()

    worker.drain()

    assert [row.pk for row in handler.attempted] == [waiting.pk, beside.pk, deadly.pk]
