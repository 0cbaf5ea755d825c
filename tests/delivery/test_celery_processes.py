"""The dispatcher ``celery`` with workers and beat as processes, and real brokers: those that
``TEST_CELERY_BROKER_URL`` names, separated by commas."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from reciprocal_oauth.delivery.dispatchers import get_dispatcher
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply
from .celery_worker import BROKERS, app_of_the_site, worker_beside
from .processes import Process, soon, url_of_the_database

pytest.importorskip("celery")

pytestmark = [
    pytest.mark.usefixtures("shared_database"),
    pytest.mark.skipif(not BROKERS, reason="TEST_CELERY_BROKER_URL names no broker"),
]

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State


StartWorker = Callable[..., AbstractContextManager[Process]]


@pytest.fixture(params=BROKERS or ["none"], ids=lambda url: url.partition(":")[0])
def app(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Any]:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": "celery"}
    with app_of_the_site(request.param) as app:
        yield app


@pytest.fixture
def worker(app: Any, tmp_path: Path) -> StartWorker:
    """Starts a worker, see :func:`worker_beside`."""
    return partial(worker_beside, app, tmp_path)


@pytest.fixture
def rows(link_as_a: Link, peer: Peer, fake_peer: FakePeer) -> list[OutboxItem]:
    """Twelve tokens to revoke, all due."""
    fake_peer.answers["/revoke/"] = Reply()
    return [
        OutboxItem.objects.create(
            kind=OutboxItem.Kind.REVOCATION,
            peer=peer,
            link=link_as_a,
            token=Secret(f"token-{number}"),
        )
        for number in range(12)
    ]


def _all_done() -> bool:
    return not OutboxItem.objects.exclude(state=State.DONE).exists()


def _sent(fake_peer: FakePeer) -> list[str]:
    return sorted(each.form["token"] for each in fake_peer.to("/revoke/"))


def _expected(rows: list[OutboxItem]) -> list[str]:
    return sorted(f"token-{number}" for number in range(len(rows)))


def _wipe(app: Any) -> int:
    with app.connection_for_write() as connection:
        return connection.default_channel.queue_purge(app.conf.task_default_queue)


def test_a_grant_is_handed_over_by_a_worker(
    worker: StartWorker, link_as_a: Link, fake_peer: FakePeer
) -> None:
    with worker() as process:
        consent.allow(link_as_a, ["playback"])

        soon(lambda: OutboxItem.objects.get().state == State.ACCEPTED)
        # Celery's own processes may wait 30 seconds for each other, with nothing left to do.
        assert process.end(within=60) == 0
    assert len(fake_peer.to("/token/")) == 1


@pytest.mark.threat("R19")
def test_what_the_broker_has_lost_is_sent_by_the_sweep(
    app: Any,
    worker: StartWorker,
    rows: list[OutboxItem],
    link_as_a: Link,
    fake_peer: FakePeer,
) -> None:
    get_dispatcher().wake(link_as_a)
    assert _wipe(app) == 4, "one message for each row that its peer has room for"

    with worker("--beat"):
        soon(_all_done)

    assert _sent(fake_peer) == _expected(rows)


@pytest.mark.threat("R19")
def test_a_message_that_is_delivered_five_times_sends_once(
    worker: StartWorker, rows: list[OutboxItem], fake_peer: FakePeer
) -> None:
    from reciprocal_oauth.contrib.celery import deliver

    for row in rows:
        for _ in range(5):
            deliver.apply_async(("outbox", row.pk))

    with worker("--concurrency=4") as process:
        soon(lambda: process.written().count("deliver[") >= 120)  # Received, and succeeded.

    assert _all_done()
    assert _sent(fake_peer) == _expected(rows)


@pytest.mark.threat("R19")
def test_no_result_backend_is_needed(
    app: Any,
    worker: StartWorker,
    rows: list[OutboxItem],
    link_as_a: Link,
    fake_peer: FakePeer,
) -> None:
    pytest.importorskip("redis")
    app.conf.result_backend = "redis://127.0.0.1:1/0"

    get_dispatcher().wake(link_as_a)
    with worker("--beat", env={"CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0"}):
        soon(_all_done)

    assert _sent(fake_peer) == _expected(rows)


@pytest.mark.threat("R19", "K4")
def test_what_a_killed_worker_had_begun_is_done_by_another_after_its_lease(
    worker: StartWorker, rows: list[OutboxItem], link_as_a: Link, fake_peer: FakePeer
) -> None:
    killed = threading.Event()

    def hang(received: Received) -> Reply:
        assert killed.wait(30)
        return Reply()

    fake_peer.answers["/revoke/"] = hang
    get_dispatcher().wake(link_as_a)
    with worker() as process:
        soon(lambda: len(fake_peer.to("/revoke/")) == 2)  # Its two processes.
        process.kill()
    begun = _sent(fake_peer)
    killed.set()
    assert OutboxItem.objects.filter(state=State.CLAIMED).count() == 2

    with worker("--beat"):
        soon(_all_done)

    assert _sent(fake_peer) == sorted(_expected(rows) + begun)


def test_what_is_to_be_tried_again_is_found_by_the_sweep(
    worker: StartWorker, rows: list[OutboxItem], link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = [Reply(503), Reply()]
    get_dispatcher().wake(link_as_a)

    with worker("--beat", RETRY_SCHEDULE_SECONDS=[0, 1]):
        soon(_all_done)

    assert len(fake_peer.to("/revoke/")) == len(rows) + 1


@pytest.mark.threat("R21")
def test_a_worker_has_no_threads_of_the_thread_dispatcher(
    worker: StartWorker, rows: list[OutboxItem], link_as_a: Link
) -> None:
    with worker("--beat") as process:
        soon(_all_done)
        soon(lambda: "Our threads []" in process.written())

        assert "Our threads ['" not in process.written()


@pytest.mark.skipif(
    hasattr(django_settings, "OAUTH2_PROVIDER_APPLICATION_MODEL"),
    reason="the example project has the models of django-oauth-toolkit",
)
def test_the_example_project_sweeps(
    worker: StartWorker, rows: list[OutboxItem], fake_peer: FakePeer
) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DJANGO_DEBUG": "1",
        "DJANGO_SECRET_KEY": django_settings.SECRET_KEY,
        "DATABASE_URL": url_of_the_database(),
        "RECIPROCAL_DISPATCHER": "celery",
        "EXAMPLE_RECIPROCAL_OAUTH": json.dumps({"DISPATCHER_SWEEP_SECONDS": 0.5}),
    }

    with worker("--beat", env=env):
        soon(_all_done)

    assert _sent(fake_peer) == _expected(rows)
