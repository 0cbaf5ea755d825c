"""Nobody holds a database connection while a peer is waited for: a pool has few of them."""

import importlib.util
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.dispatchers import ThreadDispatcher, get_dispatcher
from reciprocal_oauth.links import outgoing_access
from reciprocal_oauth.models import Link, OutboxItem, Peer

from .. import urls
from ..fakes import FakePeer, Received, Reply
from ..party_a import visits
from .processes import soon

pytestmark = [pytest.mark.usefixtures("shared_database"), pytest.mark.threat("R70")]

State = OutboxItem.State
MakeRow = Callable[..., OutboxItem]


def call_the_peer(request: HttpRequest) -> HttpResponse:
    """A view of the site's, which calls the API of a peer for its user."""
    session = reciprocal_oauth.get_session_for(request.user, "music")
    return HttpResponse(session.get(f"{session.link.peer.homepage}/api").content)


urlpatterns = [*urls.urlpatterns, path("call/", call_the_peer)]


class Open:
    """The connections of all threads."""

    def __init__(self) -> None:
        self.wrappers: list[tuple[str, Any]] = [
            (threading.current_thread().name, connections["default"])
        ]

    def note(self, connection: Any, **kwargs: Any) -> None:
        self.wrappers.append((threading.current_thread().name, connection))

    def names(self) -> list[str]:
        return [name for name, each in self.wrappers if each.connection is not None]


@pytest.fixture
def opened(shared_database: None) -> Iterator[Open]:
    opened = Open()
    connection_created.connect(opened.note)
    yield opened
    connection_created.disconnect(opened.note)


@pytest.fixture
def seen(fake_peer: FakePeer, opened: Open) -> list[list[str]]:
    """What was open while the peer was asked, each time."""
    seen: list[list[str]] = []
    for address, answer in list(fake_peer.answers.items()) + [
        ("/api", Reply()),
        ("/revoke/", Reply()),
    ]:

        def note(received: Received, answer: Any = answer) -> Reply:
            seen.append(opened.names())
            return answer

        fake_peer.answers[address] = note
    return seen


@pytest.fixture
def dispatcher(shared_database: None, settings: Settings) -> Iterator[ThreadDispatcher]:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "DISPATCHER": "thread",
        "DISPATCHER_SWEEP_SECONDS": 60.0,
    }
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, ThreadDispatcher)
    yield dispatcher
    dispatcher.stop()


def test_a_thread_that_delivers_holds_none_while_the_peer_answers(
    granted: Link, fake_peer: FakePeer, opened: Open, dispatcher: ThreadDispatcher
) -> None:
    """Neither it nor the one that looks for what is due."""
    connection.close()
    done: list[list[str]] = []

    def hang(received: Received) -> Reply:
        # The thread that looks may be at it at this moment.
        soon(lambda: opened.names() == [])
        done.append(opened.names())
        return Reply()

    fake_peer.answers["/token/"] = hang

    dispatcher.wake()
    soon(lambda: done)
    dispatcher.stop()

    assert OutboxItem.objects.get().state == State.ACCEPTED


def test_a_thread_with_nothing_to_do_holds_none(
    opened: Open, dispatcher: ThreadDispatcher, make_row: MakeRow, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    make_row()
    dispatcher.wake()
    soon(lambda: OutboxItem.objects.get().state == State.DONE)
    connection.close()

    soon(lambda: opened.names() == [])


def test_a_worker_in_any_process_holds_none_while_the_peer_answers(
    make_row: MakeRow, seen: list[list[str]]
) -> None:
    """Such as one of Celery's, or ``reciprocal_deliver``."""
    make_row()

    assert worker.drain() == 1

    assert seen == [[]]


def test_a_refresh_by_a_worker_holds_none(
    granted: Link, seen: list[list[str]], fake_peer: FakePeer
) -> None:
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))

    worker.drain()

    # One to renew the token, one to hand the code over.
    assert seen == [[], []]


def test_the_page_that_a_person_comes_back_to_holds_none_while_the_peer_answers(
    browser: Client, peer: Peer, seen: list[list[str]]
) -> None:
    assert visits.connect(browser).status_code == 303

    assert seen == [[]]
    assert Link.objects.get().outgoing_state == Link.Outgoing.ACTIVE


@pytest.fixture
def at_the_site(link_as_a: Link, settings: Settings, fake_peer: FakePeer) -> None:
    """The site has a page that calls the peer."""
    settings.ROOT_URLCONF = __name__
    Peer.objects.update(homepage=fake_peer.url)


@pytest.mark.usefixtures("at_the_site")
def test_a_page_of_the_site_holds_none_while_it_calls_a_peer(
    browser: Client, seen: list[list[str]]
) -> None:
    assert browser.get("/call/").status_code == 200

    assert seen == [[]]


@pytest.mark.usefixtures("at_the_site")
def test_a_page_keeps_the_connection_that_the_site_keeps_between_requests(
    browser: Client, seen: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To connect again would cost the page more than it gives the others."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 600)

    assert browser.get("/call/").status_code == 200

    assert seen == [["MainThread"]]


def test_a_page_that_waits_for_the_refresh_of_another_holds_none(
    browser: Client,
    at_the_site: None,
    link_as_a: Link,
    opened: Open,
    seen: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expired = timezone.now() - timedelta(seconds=1)
    far = timezone.now() + timedelta(days=1)
    Link.objects.update(access_token_expires_at=expired, refresh_lease_until=far)
    while_waiting: list[list[str]] = []

    def sleep(seconds: float) -> None:
        while_waiting.append(opened.names())
        if len(while_waiting) == 3:
            Link.objects.update(access_token_expires_at=far)

    monkeypatch.setattr(outgoing_access.time, "sleep", sleep)

    assert browser.get("/call/").status_code == 200

    assert while_waiting == [[], [], []]
    assert seen == [[]]


def test_a_program_of_the_site_goes_on_reading_while_it_calls_peers(
    link_as_a: Link, fake_peer: FakePeer, make_peer: Callable[..., Peer]
) -> None:
    """What it reads through a cursor on the server would be lost with the connection."""
    fake_peer.answers["/api"] = Reply()
    others = get_user_model().objects.bulk_create(
        [get_user_model()(username=f"user-{number}") for number in range(5)]
    )
    Link.objects.bulk_create(
        [
            Link(
                user=other,
                peer=link_as_a.peer,
                account_key="unknown",
                outgoing_state=Link.Outgoing.ACTIVE,
                access_token=link_as_a.access_token,
            )
            for other in others
        ]
    )

    for link in Link.objects.select_related("peer").iterator(chunk_size=1):
        reciprocal_oauth.get_session(link).get(f"{fake_peer.url}/api")

    assert len(fake_peer.to("/api")) == 6


@pytest.fixture
def pool(shared_database: None) -> Iterator[int]:
    """A pool of psycopg's with few connections, in the place of the connections of all threads."""
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has a pool in Django.")
    if not importlib.util.find_spec("psycopg_pool"):
        pytest.skip("psycopg[pool] is not installed; it comes with the extra [postgres].")
    size = 4
    before, configured = connections["default"], connections.settings["default"]
    options = configured.get("OPTIONS", {})
    before.close()
    configured["OPTIONS"] = {
        **options,
        "pool": {"min_size": 0, "max_size": size, "timeout": 3},
    }
    connections["default"] = connections.create_connection("default")
    try:
        yield size
    finally:
        connections["default"].close()
        connections["default"].close_pool()
        configured["OPTIONS"] = options
        connections["default"] = before


def test_a_peer_that_hangs_leaves_the_pool_to_the_web_requests(
    pool: int,
    dispatcher: ThreadDispatcher,
    make_row: MakeRow,
    make_peer: Callable[..., Peer],
    fake_peer: FakePeer,
    browser: Client,
) -> None:
    over, hanging = threading.Event(), []

    def hang(received: Received) -> Reply:
        hanging.append(received)
        over.wait(30)
        return Reply()

    fake_peer.answers["/revoke/"] = hang
    second = make_peer("second", fake_peer.url)
    for _row in range(pool):
        make_row()
        make_row(peer=second)
    dispatcher.wake()
    soon(lambda: len(hanging) == 2 * pool)

    # A request that waits for the pool ends with an error after 3 seconds.
    codes = {browser.get("/connections/").status_code for _request in range(2 * pool)}
    over.set()

    assert codes == {200}
    soon(lambda: not OutboxItem.objects.exclude(state=State.DONE).exists())
    dispatcher.stop()
