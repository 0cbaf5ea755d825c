"""The addresses for monitors: whether this site delivers, and whether a process answers."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery.heartbeat import Kind
from reciprocal_oauth.models import Heartbeat, OutboxItem, Peer
from reciprocal_oauth.status import health, queues

HEALTH, LIVE = "/connections/health/", "/connections/health/live/"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_nothing_is_kept")]


@pytest.fixture
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", -1.0)


def seen(seconds: float = 0) -> None:
    seen_at = timezone.now() - timedelta(seconds=seconds)
    Heartbeat.objects.update_or_create(
        kind=Kind.COMMAND, host="worker-1", defaults={"seen_at": seen_at}
    )


def ask(client: Client) -> tuple[int, Any]:
    response = client.get(HEALTH)
    assert response["Cache-Control"] == "no-store"
    return response.status_code, response.json()


def is_unhealthy(*problems: str) -> tuple[int, Any]:
    return 503, {"status": "unhealthy", "problems": list(problems)}


IS_OK = (200, {"status": "ok"})


def test_the_names_of_the_routes() -> None:
    assert reverse("reciprocal_oauth:health") == HEALTH
    assert reverse("reciprocal_oauth:live") == LIVE


def test_a_site_without_peers_is_healthy(client: Client) -> None:
    assert ask(client) == IS_OK


@pytest.mark.threat("R77")
def test_a_worker_that_was_killed_is_noticed_after_the_time_in_the_setting(
    client: Client, peer: Peer, settings: Settings
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert ask(client) == is_unhealthy("no_worker")
        seen()
        assert ask(client) == IS_OK
        clock.shift(300)
        assert ask(client) == IS_OK
        clock.shift(1)
        assert ask(client) == is_unhealthy("no_worker")


def test_rows_that_no_worker_takes(client: Client, peer: Peer) -> None:
    seen()
    due = timezone.now() - timedelta(seconds=301)
    row = OutboxItem.objects.create(kind="revocation", peer=peer, next_attempt_at=due)
    assert ask(client) == is_unhealthy("overdue")

    row.delete()
    assert ask(client) == IS_OK


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("atomic", [True, False])
def test_the_database_is_down(
    client: Client,
    error: type[Exception],
    atomic: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)

    def fail(*arguments: Any) -> None:
        raise error("no connection to db-1.internal")

    with (
        connection.execute_wrapper(fail),
        caplog.at_level(logging.ERROR, "reciprocal_oauth"),
    ):
        assert ask(client) == is_unhealthy("database")
        assert client.get(LIVE).status_code == 200

    assert "The health of this site cannot be told" in caplog.text


def test_a_setting_is_wrong(client: Client, peer: Peer, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "WORKER_MISSING_SECONDS": "300"}
    seen()

    assert ask(client) == (503, {"status": "unhealthy", "problems": ["settings"]})


def test_nothing_is_told_about_peers(client: Client, peer: Peer) -> None:
    Peer.objects.filter(pk=peer.pk).update(paused_at=timezone.now())
    seen()

    assert ask(client) == IS_OK


def test_head_is_enough_and_post_is_refused(client: Client, peer: Peer) -> None:
    response = client.head(HEALTH)
    assert (response.status_code, response.content) == (503, b"")
    assert client.post(HEALTH).status_code == 405


@pytest.mark.parametrize("path", [HEALTH, LIVE])
def test_nobody_needs_to_sign_in(client: Client, settings: Settings, path: str) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert client.get("/connections/").status_code == 302
    assert client.get(path).status_code == 200


def test_the_process_answers_without_a_query(
    client: Client, peer: Peer, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        response = client.get(LIVE)

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["Cache-Control"] == "no-store"


def test_many_questions_in_a_second_are_one_look(
    client: Client, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(health, "KEPT_SECONDS", 1.0)
    monkeypatch.setattr(health, "_kept", health._Kept(0.0, ()))
    monkeypatch.setattr(health.time, "monotonic", lambda: clock[0])
    assert ask(client) == is_unhealthy("no_worker")

    seen()
    with CaptureQueriesContext(connection) as captured:
        assert ask(client) == is_unhealthy("no_worker")
    assert captured.captured_queries == []

    clock[0] += 1
    assert ask(client) == IS_OK


def test_a_look_is_cheap(client: Client, peer: Peer, django_assert_num_queries: Any) -> None:
    seen()
    with django_assert_num_queries(4):
        ask(client)


def test_the_search_for_overdue_rows_uses_an_index(peer: Peer) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite chooses its plan independent of the number of rows.")
    with CaptureQueriesContext(connection) as captured:
        queues.is_anything_overdue()
    searches = [each["sql"] for each in captured if "next_attempt_at" in each["sql"]]
    assert len(searches) == 2
    for search in searches:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {search}")
            assert "next_attempt_at<" in str(cursor.fetchall())


def test_a_peer_can_have_the_short_name_health(
    client: Client, make_peer: Callable[..., Peer], user: Any
) -> None:
    peer = make_peer("health")
    peer.full_clean()
    client.force_login(user)

    response = client.post("/connections/health/connect/")

    assert response["Location"].startswith(peer.authorization_endpoint)
