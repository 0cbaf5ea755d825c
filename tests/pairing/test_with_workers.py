"""A pairing goes on at a site whose workers belong to Celery or to Django's tasks."""

from collections.abc import Iterator
from datetime import timedelta

import django
import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery.dispatchers import get_dispatcher
from reciprocal_oauth.models import Pairing

from .other_site import OtherSite, register

pytestmark = pytest.mark.django_db(transaction=True)

State = Pairing.State


def _use_celery() -> Iterator[None]:
    celery = pytest.importorskip("celery")
    get_dispatcher()._paused_until = 0.0  # type: ignore[attr-defined]
    before = celery.current_app._get_current_object()
    app = celery.Celery("tests", broker="memory://", set_as_current=True)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    app.close()
    before.set_current()


@pytest.fixture(
    params=[
        "celery",
        pytest.param(
            "tasks",
            marks=pytest.mark.skipif(django.VERSION < (6, 0), reason="needs Django 6.0"),
        ),
    ]
)
def workers(request: pytest.FixtureRequest, settings: Settings) -> Iterator[None]:
    """The site has a dispatcher that sends messages. Its tasks run where they are sent."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": request.param}
    if request.param == "celery":
        yield from _use_celery()
    else:
        backend = "django.tasks.backends.immediate.ImmediateBackend"
        settings.TASKS = {"default": {"BACKEND": backend}}
        yield


@pytest.mark.usefixtures("workers")
def test_the_sweeps_of_the_workers_complete_a_pairing_and_test_the_new_peer(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert register(code, other.registration()).status_code == 201
        assert other.received == [], "the other site has not stored the answer yet"

        clock.shift(timedelta(seconds=2))
        get_dispatcher().wake()
        pairing.refresh_from_db()
        assert (pairing.state, pairing.last_error) == (State.COMPLETE, "")
        (sent,) = other.received
        assert sent.headers["Authorization"] == f"Bearer {other.reverse_token}"

        clock.shift(timedelta(seconds=5))
        get_dispatcher().wake()
    pairing.refresh_from_db()
    assert pairing.task == ""
    assert pairing.findings
