"""Dispatchers by name, by dotted path, and none."""

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.core.database import atomic
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.dispatchers import Dispatcher, get_dispatcher
from reciprocal_oauth.models import Link, OutboxItem
from reciprocal_oauth.models.results import Done, Result
from reciprocal_oauth.party_a import consent

from ..fakes import FakePeer
from .conftest import ScriptedHandler

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State


class RecordingDispatcher(Dispatcher):
    """A site's own."""

    woken: ClassVar[list[Link | None]] = []
    requests = 0

    def wake(self, link: Link | None = None) -> None:
        self.woken.append(link)

    def request_started(self) -> None:
        type(self).requests += 1


class UnfinishedDispatcher(Dispatcher):
    pass


@pytest.fixture
def use(settings: Settings) -> Callable[[str], None]:
    def choose(name: str) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": name}

    RecordingDispatcher.woken.clear()
    RecordingDispatcher.requests = 0
    return choose


@pytest.mark.django_db(transaction=True)
def test_eager_hands_over_before_the_grant_returns(
    use: Callable[[str], None], link_as_a: Link, fake_peer: FakePeer
) -> None:
    use("eager")

    consent.allow(link_as_a, ["playback"])

    assert len(fake_peer.to("/token/")) == 1
    assert OutboxItem.objects.get().state == State.ACCEPTED


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R20")
def test_nothing_is_started_by_a_grant_that_is_rolled_back(
    use: Callable[[str], None], link_as_a: Link, fake_peer: FakePeer
) -> None:
    use("eager")

    with atomic():
        consent.allow(link_as_a, ["playback"])
        transaction.set_rollback(True)

    assert fake_peer.requests == []
    assert not OutboxItem.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R20")
def test_nothing_is_started_before_the_outermost_transaction_is_committed(
    use: Callable[[str], None], link_as_a: Link, fake_peer: FakePeer
) -> None:
    use("eager")

    with atomic():
        consent.allow(link_as_a, ["playback"])
        assert fake_peer.requests == []

    assert len(fake_peer.to("/token/")) == 1


def test_a_row_that_is_added_while_eager_works_is_worked_on_in_the_same_run(
    use: Callable[[str], None], make_row: MakeRow, handler: ScriptedHandler
) -> None:
    use("eager")
    deep: list[int] = []

    def add_another(item: OutboxItem) -> Result:
        deep.append(len(deep))
        if len(deep) < 3:
            make_row()
            get_dispatcher().wake()
        return Done()

    handler.results = [add_another]
    make_row()
    get_dispatcher().wake()

    assert len(handler.attempted) == 3
    assert not OutboxItem.objects.exclude(state=State.DONE).exists()


def test_eager_works_again_after_it_has_failed(
    use: Callable[[str], None],
    make_row: MakeRow,
    handler: ScriptedHandler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("eager")
    make_row()
    with monkeypatch.context() as broken:
        broken.setattr(worker, "drain", lambda kind: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            get_dispatcher().wake()

    get_dispatcher().wake()

    assert len(handler.attempted) == 1


def test_none_starts_nothing(
    use: Callable[[str], None], make_row: MakeRow, handler: ScriptedHandler
) -> None:
    use("none")
    make_row()
    threads = threading.active_count()

    get_dispatcher().wake()
    get_dispatcher().request_started()

    assert handler.attempted == []
    assert threading.active_count() == threads


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_of_the_site_is_woken_and_told_of_requests(
    use: Callable[[str], None], link_as_a: Link, client: Any
) -> None:
    use(f"{__name__}.RecordingDispatcher")

    consent.allow(link_as_a, ["playback"])
    client.get("/no-such-page/")

    assert (RecordingDispatcher.woken, RecordingDispatcher.requests) == ([link_as_a], 1)
    assert get_dispatcher() is get_dispatcher()


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("Y1")
def test_the_dispatcher_is_woken_when_a_link_goes_with_its_user(
    use: Callable[[str], None], link_as_a: Link, user: Any
) -> None:
    use(f"{__name__}.RecordingDispatcher")

    user.delete()

    assert RecordingDispatcher.woken == [None]
    assert OutboxItem.objects.get().kind == OutboxItem.Kind.REVOCATION


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("celery-but-misspelt", "Known: "),
        ("no.such.module.Dispatcher", "cannot be imported"),
        ("reciprocal_oauth.delivery.worker.drain", "is not a class"),
    ],
)
def test_a_name_that_is_none_is_refused_aloud(
    name: str, complaint: str, use: Callable[[str], None]
) -> None:
    use(name)

    with pytest.raises(ImproperlyConfigured, match=complaint):
        get_dispatcher()


def test_a_dispatcher_without_wake_names_itself(use: Callable[[str], None]) -> None:
    use(f"{__name__}.UnfinishedDispatcher")

    with pytest.raises(NotImplementedError, match="UnfinishedDispatcher must implement wake"):
        get_dispatcher().wake()


@pytest.mark.django_db
def test_a_dispatcher_that_does_not_exist_stops_no_request(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The check says so at start, but servers do not run the checks."""
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": "nowhere.Dispatcher"}

    assert client.get("/o/token/").status_code == 405
    assert "Nothing is delivered" in caplog.text
