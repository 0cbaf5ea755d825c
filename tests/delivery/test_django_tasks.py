"""The dispatcher ``tasks``: the tasks of Django 6.0 and later."""

import sys
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.test import override_settings
from pytest_django import Settings

from reciprocal_oauth.checks import Id, check_settings
from reciprocal_oauth.delivery.dispatchers import get_dispatcher
from reciprocal_oauth.models import InboxItem, Link, OutboxItem
from reciprocal_oauth.party_a import consent

from ..fakes import FakePeer
from .conftest import ScriptedHandler

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State

has_tasks = pytest.mark.skipif(django.VERSION < (6, 0), reason="needs Django 6.0")


@pytest.fixture
def use(settings: Settings) -> Callable[[str], Any]:
    """Chooses the backend of the site's tasks, and gives it."""

    def choose(name: str) -> Any:
        from django.tasks import default_task_backend

        settings.TASKS = {"default": {"BACKEND": name}}
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": "tasks"}
        return default_task_backend

    return choose


IMMEDIATE = "django.tasks.backends.immediate.ImmediateBackend"
DUMMY = "django.tasks.backends.dummy.DummyBackend"


def _enqueued(backend: Any) -> list[tuple[str, list[Any], dict[str, Any]]]:
    return [(each.task.name, each.args, each.kwargs) for each in backend.results]


@has_tasks
@pytest.mark.django_db(transaction=True)
def test_the_immediate_backend_hands_over_in_the_caller(
    use: Callable[[str], Any], link_as_a: Link, fake_peer: FakePeer
) -> None:
    use(IMMEDIATE)

    consent.allow(link_as_a, ["playback"])

    assert len(fake_peer.to("/token/")) == 1
    assert OutboxItem.objects.get().state == State.ACCEPTED


@has_tasks
@pytest.mark.django_db(transaction=True)
def test_the_immediate_backend_redeems_in_the_caller(
    use: Callable[[str], Any],
    token_of_a: Any,
    hand_over: Callable[..., Any],
    fake_peer: FakePeer,
) -> None:
    use(IMMEDIATE)

    assert hand_over(access_token=token_of_a.raw).status_code == 200

    assert len(fake_peer.to("/token/")) == 1
    assert InboxItem.objects.get().state == State.DONE


@has_tasks
@pytest.mark.django_db(transaction=True)
def test_the_immediate_backend_sweeps_for_rows_of_no_link(
    use: Callable[[str], Any], link_as_a: Link, user: Any, handler: ScriptedHandler
) -> None:
    use(IMMEDIATE)

    user.delete()

    assert len(handler.attempted) == 1


@has_tasks
@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R19")
def test_a_task_names_a_row_and_has_nothing_of_it(
    use: Callable[[str], Any], link_as_a: Link, fake_peer: FakePeer
) -> None:
    backend = use(DUMMY)

    consent.allow(link_as_a, ["playback"])

    row = OutboxItem.objects.get()
    assert _enqueued(backend) == [("deliver", ["outbox", row.pk], {})]
    assert (row.state, fake_peer.requests) == (State.PENDING, [])


@has_tasks
@pytest.mark.threat("R19")
def test_a_sweep_enqueues_the_first_rows_of_a_backlog(
    use: Callable[[str], Any], make_row: MakeRow
) -> None:
    from reciprocal_oauth.contrib.django_tasks import sweep

    backend = use(DUMMY)
    rows = [make_row() for _ in range(6)]

    get_dispatcher().wake()
    assert _enqueued(backend) == [("sweep", [], {})]
    backend.clear()
    sweep.call()

    assert _enqueued(backend) == [("deliver", ["outbox", row.pk], {}) for row in rows[:4]]


@has_tasks
@pytest.mark.threat("R19")
def test_a_task_that_runs_five_times_is_one_attempt(
    use: Callable[[str], Any], make_row: MakeRow, handler: ScriptedHandler
) -> None:
    from reciprocal_oauth.contrib.django_tasks import deliver

    row = make_row()

    for _ in range(5):
        deliver.call("outbox", row.pk)

    assert handler.attempted == [row]


@has_tasks
@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R19")
def test_a_task_that_cannot_be_enqueued_breaks_no_request(
    use: Callable[[str], Any],
    token_of_a: Any,
    hand_over: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = use(DUMMY)

    def fail(*arguments: Any) -> None:
        raise OSError("no such host")

    monkeypatch.setattr(type(backend._connections[backend._alias]), "enqueue", fail)

    assert hand_over(access_token=token_of_a.raw).status_code == 200

    assert InboxItem.objects.get().state == State.PENDING
    assert "wait for the next sweep" in caplog.text


def test_the_check_says_what_it_needs_on_an_older_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django.tasks", None)
    monkeypatch.delitem(sys.modules, "reciprocal_oauth.contrib.django_tasks", raising=False)

    with override_settings(RECIPROCAL_OAUTH={"DISPATCHER": "tasks"}):
        (message,) = check_settings()

    assert message.id == Id.DISPATCHER
    assert "needs Django 6.0" in message.msg
