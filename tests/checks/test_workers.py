"""The check of the workers: a site with peers has one."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.checks import Id
from reciprocal_oauth.models import Heartbeat, Peer
from reciprocal_oauth.models.base import BaseManager

pytestmark = pytest.mark.django_db


def found(databases: list[str] | None = None, *, deploy: bool = True) -> list[CheckMessage]:
    messages = run_checks(include_deployment_checks=deploy, databases=databases)
    return [each for each in messages if each.id == Id.NO_WORKER]


@pytest.mark.threat("R77")
@pytest.mark.parametrize(
    ("dispatcher", "remedy"),
    [
        ("thread", "the web processes of this site run"),
        ("none", "reciprocal_deliver --loop 5"),
        ("celery", "Celery beat"),
        ("tasks", "a worker of django.tasks"),
        ("reciprocal_oauth.testing.dispatcher.RecordingDispatcher", "RecordingDispatcher"),
    ],
)
def test_no_worker_has_ever_run(
    peer: Peer, settings: Settings, dispatcher: str, remedy: str
) -> None:
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": dispatcher}

    (message,) = found(["default"])

    assert message.msg == "No worker has ever run at this site, so nothing is delivered."
    assert message.hint is not None
    assert remedy in message.hint


def test_the_worker_is_gone(peer: Peer) -> None:
    seen_at = timezone.now() - timedelta(seconds=301)
    worker = Heartbeat.objects.create(kind="command", host="worker-1", seen_at=seen_at)
    (message,) = found(["default"])
    assert message.msg.startswith("No worker has run since 20")

    worker.seen_at = timezone.now()
    worker.save()
    assert found(["default"]) == []


def test_a_new_site_needs_none(db: None) -> None:
    assert found(["default"]) == []


def test_with_the_dispatcher_of_tests_none_is_needed(peer: Peer, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": "eager"}

    assert found(["default"]) == []


def test_migrate_says_nothing(peer: Peer, capsys: Any) -> None:
    assert found(["default"], deploy=False) == []
    assert found(None) == []
    call_command("migrate", verbosity=0)
    assert "W029" not in "".join(capsys.readouterr())


def test_the_tables_are_not_created_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: BaseManager[Any]) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(BaseManager, "get_queryset", fail)

    assert found(["default"]) == []
