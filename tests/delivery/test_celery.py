"""The dispatcher ``celery`` without a broker, and with a broker that cannot be reached."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.checks import Id, check_settings, check_sweep
from reciprocal_oauth.delivery import pausing, worker
from reciprocal_oauth.delivery.dispatchers import get_dispatcher
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer, Reason
from reciprocal_oauth.models.results import Done, Result
from reciprocal_oauth.party_a import consent

from ..client.servers import RawServer, answering, serving
from ..fakes import FakePeer
from .conftest import ScriptedHandler
from .processes import soon

celery = pytest.importorskip("celery")

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State


@pytest.fixture
def app(settings: Settings) -> Iterator[Any]:
    """The site's Celery app, whose tasks run where they are sent."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": "celery"}
    get_dispatcher()._paused_until = 0.0  # type: ignore[attr-defined]
    before = celery.current_app._get_current_object()
    app = celery.Celery("tests", broker="memory://", set_as_current=True)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield app
    app.close()
    before.set_current()


@pytest.fixture
def sent(app: Any) -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """What is sent to the broker, and run by nobody: task, arguments, headers."""
    app.conf.task_always_eager = False
    messages: list[tuple[str, Any, dict[str, Any]]] = []

    def note(sender: str, body: Any, headers: dict[str, Any], **rest: Any) -> None:
        arguments, keywords, _ = body
        assert not keywords
        messages.append((sender, arguments, headers))

    celery.signals.before_task_publish.connect(note)
    yield messages
    celery.signals.before_task_publish.disconnect(note)


def _named(sent: list[tuple[str, Any, dict[str, Any]]]) -> list[tuple[str, Any]]:
    return [(task.removeprefix("reciprocal_oauth."), tuple(rest)) for task, rest, _ in sent]


def _deliver(*arguments: Any) -> None:
    from reciprocal_oauth.contrib.celery import deliver

    deliver.apply(arguments, throw=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("app")
def test_a_grant_is_handed_over_by_a_task(link_as_a: Link, fake_peer: FakePeer) -> None:
    consent.allow(link_as_a, ["playback"])

    assert len(fake_peer.to("/token/")) == 1
    assert OutboxItem.objects.get().state == State.ACCEPTED


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("app")
def test_a_code_is_redeemed_by_a_task(
    token_of_a: Any, hand_over: Callable[..., Any], fake_peer: FakePeer
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200

    assert len(fake_peer.to("/token/")) == 1
    assert InboxItem.objects.get().state == State.DONE


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R19")
def test_a_message_names_a_row_and_has_nothing_of_it(sent: list[Any], link_as_a: Link) -> None:
    consent.allow(link_as_a, ["playback"])

    row = OutboxItem.objects.get()
    assert _named(sent) == [("deliver", ("outbox", row.pk))]
    headers = sent[0][2]
    assert (headers["eta"], headers["expires"], headers["ignore_result"]) == (None, None, True)
    assert row.state == State.PENDING


def test_there_is_no_message_where_nothing_is_due(
    sent: list[Any], make_row: MakeRow, link_as_a: Link
) -> None:
    make_row(link=link_as_a, next_attempt_at=timezone.now() + timedelta(minutes=1))
    make_row()

    get_dispatcher().wake(link_as_a)

    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_a_sweep_is_sent_for_rows_of_no_link(sent: list[Any], link_as_a: Link, user: Any) -> None:
    user.delete()

    assert _named(sent) == [("sweep", ())]
    assert sent[0][2]["expires"], "sweeps pile up while no worker is there"


@pytest.mark.threat("R19")
def test_a_message_that_comes_five_times_is_one_attempt(
    app: Any, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = make_row()

    for _ in range(5):
        _deliver("outbox", row.pk)

    assert handler.attempted == [row]


@pytest.mark.django_db
def test_a_message_for_a_deleted_row_does_nothing(app: Any, handler: ScriptedHandler) -> None:
    _deliver("outbox", 1)

    assert handler.attempted == []


@pytest.mark.threat("R19")
def test_a_sweep_names_the_first_rows_of_each_peer(
    sent: list[Any], make_row: MakeRow, make_peer: Callable[..., Peer]
) -> None:
    from reciprocal_oauth.contrib.celery import sweep

    rows = [make_row() for _ in range(6)]
    other = make_row(peer=make_peer("other"))
    make_row(next_attempt_at=timezone.now() + timedelta(minutes=1))
    make_row(state=State.DONE, next_attempt_at=None)
    paused = make_row(peer=make_peer("paused"))
    pausing.pause(paused.peer, Reason.GONE)

    sweep.apply(throw=True)

    assert sorted(_named(sent)) == [
        ("deliver", ("outbox", row.pk)) for row in (*rows[:4], other)
    ]  # Four for each: DELIVERIES_PER_PEER.
    assert all(headers["expires"] for _, _, headers in sent)


@pytest.mark.threat("R19")
def test_whoever_gets_a_message_goes_on_with_the_backlog(
    app: Any, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    rows = [make_row() for _ in range(10)]

    _deliver("outbox", rows[3].pk)

    assert handler.attempted[0] == rows[3]
    assert len(handler.attempted) == 10
    assert not OutboxItem.objects.exclude(state=State.DONE).exists()


def test_a_task_begins_nothing_more_after_a_while(
    app: Any, make_row: MakeRow, handler: ScriptedHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers of a site have other things to do."""
    rows = [make_row() for _ in range(10)]
    now = [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])

    def slowly(item: OutboxItem) -> Result:
        now[0] += 2
        return Done()

    handler.results = [slowly]
    _deliver("outbox", rows[0].pk)

    assert len(handler.attempted) == 1 + 3  # 5 seconds: DISPATCHER_SWEEP_SECONDS.


# A broker that is away


@pytest.fixture
def silent() -> Iterator[RawServer]:
    """A broker that takes connections and never answers: the server waits for the end of an HTTP
    request, which no client of a broker sends."""
    with serving(answering()) as server:
        yield server


@pytest.fixture(params=["amqp", "redis"])
def kind_of_broker(request: pytest.FixtureRequest) -> str:
    if request.param == "redis":
        pytest.importorskip("redis")
    return request.param


@pytest.mark.threat("R19")
def test_a_broker_that_refuses_connections_stops_no_request(
    app: Any,
    kind_of_broker: str,
    link_as_a: Link,
    make_row: MakeRow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.conf.update(task_always_eager=False, broker_url=f"{kind_of_broker}://127.0.0.1:1")
    make_row(link=link_as_a)

    get_dispatcher().wake(link_as_a)
    get_dispatcher().wake()

    assert [each.levelname for each in caplog.records if "next sweep" in each.message] == [
        "WARNING"
    ]
    assert OutboxItem.objects.get().state == State.PENDING


@pytest.mark.threat("R19")
def test_a_broker_that_does_not_answer_holds_up_one_request_and_not_the_next(
    app: Any,
    kind_of_broker: str,
    silent: RawServer,
    link_as_a: Link,
    make_row: MakeRow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from reciprocal_oauth.contrib import celery as module

    monkeypatch.setattr(
        module, "_SHORT_TIMEOUTS", {**module._SHORT_TIMEOUTS, "socket_timeout": 0.2}
    )
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 0.2)
    app.conf.update(
        task_always_eager=False, broker_url=f"{kind_of_broker}://127.0.0.1:{silent.port}"
    )
    make_row(link=link_as_a)

    get_dispatcher().wake(link_as_a)
    soon(lambda: silent.connections >= 1)
    tried = silent.connections
    get_dispatcher().wake(link_as_a)
    assert silent.connections == tried

    get_dispatcher()._paused_until = 0.0  # type: ignore[attr-defined]
    get_dispatcher().wake(link_as_a)
    soon(lambda: silent.connections > tried)


@pytest.mark.threat("R19")
def test_a_broker_that_is_slow_does_not_hold_up_the_next_request(
    app: Any, link_as_a: Link, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reciprocal_oauth.contrib import celery as module

    now = [1000.0]
    sent: list[Any] = []

    def publish(task: Any, messages: Any) -> None:
        now[0] += 3
        sent.append(messages)

    monkeypatch.setattr(module, "_publish", publish)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    make_row(link=link_as_a)

    get_dispatcher().wake(link_as_a)
    get_dispatcher().wake(link_as_a)
    assert len(sent) == 1

    now[0] += 5  # DISPATCHER_SWEEP_SECONDS.
    get_dispatcher().wake(link_as_a)
    assert len(sent) == 2


# Settings


def test_the_tasks_are_known_to_a_worker_in_which_nobody_asks_for_the_dispatcher() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django; from django.conf import settings; "
            "settings.RECIPROCAL_OAUTH = {'DISPATCHER': 'celery'}; django.setup(); "
            "from celery import current_app; "
            "print([name for name in current_app.tasks if name.startswith('reciprocal')])",
        ],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert sorted(ast.literal_eval(ended.stdout)) == [
        "reciprocal_oauth.deliver",
        "reciprocal_oauth.sweep",
    ], ended.stderr


def test_the_check_says_that_nothing_sweeps(app: Any) -> None:
    (message,) = check_sweep()
    assert (message.id, message.is_serious()) == (Id.NO_SWEEP, False)

    app.conf.beat_schedule = {"any": {"task": "reciprocal_oauth.sweep", "schedule": 5.0}}
    assert check_sweep() == []


@pytest.mark.parametrize("value", [{"DISPATCHER": "thread"}, [], None])
def test_other_dispatchers_need_no_sweep_by_beat(app: Any, value: Any) -> None:
    with override_settings(RECIPROCAL_OAUTH=value):
        assert check_sweep() == []


def test_the_check_says_what_to_install_where_celery_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.delitem(sys.modules, "reciprocal_oauth.contrib.celery", raising=False)

    with override_settings(RECIPROCAL_OAUTH={"DISPATCHER": "celery"}):
        (message,) = check_settings()
        assert check_sweep() == []

    assert message.id == Id.DISPATCHER
    assert "install reciprocal-oauth[celery]" in message.msg
