"""Allowing is one transaction, announced once it is committed, and counted once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from django.db import connection, connections, transaction
from django.db.models.signals import post_save
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth import signals
from reciprocal_oauth.compat import SettingsScopes
from reciprocal_oauth.delivery.dispatchers import Dispatcher
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Peer
from reciprocal_oauth.party_a import consent

from ..columns import columns_of
from ..fakes import FakePeer, Received, Reply
from .visits import ALLOW_ALL, connect, fill_in, redeem

pytestmark = pytest.mark.django_db(transaction=True)

#: Longest that a thread waits for another, in seconds, before the test fails.
PATIENCE = 10


class RecordingDispatcher(Dispatcher):
    """Notes whether a transaction was open each time that it was woken."""

    woken: ClassVar[list[bool]] = []

    def wake(self, link: Link | None = None) -> None:
        self.woken.append(connection.in_atomic_block)


class InterruptedScopes(SettingsScopes):
    """Lets something else happen while a request looks up what the scopes are called."""

    interruption: ClassVar[Callable[[], Any] | None] = None

    def get_all_scopes(self) -> dict[str, str]:
        interruption, InterruptedScopes.interruption = InterruptedScopes.interruption, None
        if interruption is not None:
            interruption()
        return super().get_all_scopes()


@pytest.fixture
def granted() -> Iterator[list[Any]]:
    """The links of which the public signal said that they were granted."""
    links: list[Any] = []

    def receive(sender: type, link: Link, **arguments: Any) -> None:
        links.append((sender, link.pk, link.incoming_scope))

    signals.access_granted.connect(receive)
    yield links
    signals.access_granted.disconnect(receive)


@pytest.fixture
def woken(settings: Settings) -> list[bool]:
    """What the dispatcher saw each time that it was woken."""
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "DISPATCHER": f"{__name__}.RecordingDispatcher",
    }
    RecordingDispatcher.woken.clear()
    return RecordingDispatcher.woken


@pytest.fixture
def interrupt(settings: Settings) -> Callable[[Callable[[], Any]], None]:
    """Lets something happen in the middle of the next request: once it has read the link."""

    def plan(interruption: Callable[[], Any]) -> None:
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "SCOPES_BACKEND_CLASS": f"{__name__}.InterruptedScopes",
        }
        InterruptedScopes.interruption = interruption

    return plan


def test_the_signal_is_sent_once_the_grant_is_committed(
    browser: Client, question: str, granted: list[Any], woken: list[bool]
) -> None:
    with transaction.atomic():
        fill_in(browser, question, ALLOW_ALL)
        assert (granted, woken) == ([], [])

    assert granted == [(Link, Link.objects.get().pk, "profile playback")]
    assert woken == [False]


def test_a_refusal_announces_nothing(
    browser: Client, question: str, granted: list[Any], woken: list[bool]
) -> None:
    fill_in(browser, question, {"answer": "deny"})

    assert (granted, woken) == ([], [])


@pytest.mark.threat("R20")
def test_a_grant_that_is_rolled_back_sends_nothing(
    browser: Client,
    question: str,
    granted: list[Any],
    fake_peer: FakePeer,
    settings: Settings,
    assert_untouched: Callable[[], None],
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER": "eager"}

    with transaction.atomic():
        fill_in(browser, question, ALLOW_ALL)
        transaction.set_rollback(True)

    assert granted == []
    assert fake_peer.requests == []
    assert_untouched()


@pytest.mark.parametrize("model", [OutboxItem, LinkEvent])
def test_a_grant_is_saved_whole_or_not_at_all(
    browser: Client,
    question: str,
    granted: list[Any],
    model: type,
    assert_untouched: Callable[[], None],
) -> None:
    def fail(**arguments: Any) -> None:
        raise RuntimeError("the database is full")

    post_save.connect(fail, sender=model)
    try:
        with pytest.raises(RuntimeError):
            fill_in(browser, question, ALLOW_ALL)
    finally:
        post_save.disconnect(fail, sender=model)

    assert granted == []
    assert_untouched()


@pytest.mark.threat("R20")
@pytest.mark.parametrize("atomic_requests", [False, True])
def test_the_hand_over_leaves_after_the_commit_and_can_be_redeemed_at_once(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    atomic_requests: bool,
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER": "eager"}
    ours = connections["default"]
    monkeypatch.setitem(ours.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    question = connect(browser)["Location"]
    seen: list[Any] = []

    def take(received: Received) -> Reply:
        status = redeem(received.form["code"], peer.application).status_code
        seen.append((ours.in_atomic_block, status))
        connections.close_all()
        return Reply()

    fake_peer.answers["/token/"] = take
    fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})

    assert seen == [(False, 200)]
    assert Link.objects.get().is_two_way


def test_a_receiver_of_the_site_that_fails_stops_neither_the_page_nor_the_delivery(
    browser: Client, question: str, woken: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**arguments: Any) -> None:
        raise RuntimeError("no mail server")

    signals.access_granted.connect(fail)
    try:
        response = fill_in(browser, question, ALLOW_ALL)
    finally:
        signals.access_granted.disconnect(fail)

    assert response.status_code == 302
    assert len(woken) == 1
    assert "no mail server" in caplog.text


def test_the_button_pressed_twice_counts_once(
    browser: Client, question: str, granted: list[Any]
) -> None:
    pages = [fill_in(browser, question, ALLOW_ALL)["Location"] for _ in range(2)]

    assert pages[0] == pages[1]
    assert Link.objects.get().generation == 1
    assert OutboxItem.objects.count() == LinkEvent.objects.count() == len(granted) == 1


def test_an_answer_that_another_tab_was_faster_with_is_not_taken(
    browser: Client, question: str, granted: list[Any], interrupt: Callable[..., None]
) -> None:
    """The other tab answers after this one has looked whether there is a question."""
    other_tab = {"answer": "allow", "scopes": ["playback"]}
    interrupt(lambda: fill_in(browser, question, other_tab))

    response = fill_in(browser, question, ALLOW_ALL)

    link = Link.objects.get()
    assert response["Location"] == f"/connections/links/{link.pk}/"
    assert (link.incoming_scope, link.generation) == ("playback", 1)
    assert OutboxItem.objects.count() == LinkEvent.objects.count() == len(granted) == 1


@pytest.mark.threat("S1")
def test_what_an_administrator_takes_away_at_the_same_moment_is_not_granted(
    browser: Client,
    question: str,
    interrupt: Callable[..., None],
    assert_untouched: Callable[[], None],
) -> None:
    interrupt(lambda: Peer.objects.update(allowed_scope="profile"))

    response = fill_in(browser, question, ALLOW_ALL)

    assert response.status_code == 409
    page = response.content.decode()
    assert "This has changed in the meantime" in page
    assert "See your name" in page
    assert "Control what is playing" not in page
    assert_untouched()


@pytest.mark.threat("R16")
def test_the_button_pressed_in_many_tabs_at_the_same_moment_counts_once(
    browser: Client, question: str, granted: list[Any]
) -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("this database locks no rows; the order is forced in the test above")
    together = threading.Barrier(8)

    def press(number: int) -> Any:
        tab = Client()
        tab.cookies = browser.cookies
        together.wait(PATIENCE)
        response = fill_in(tab, question, ALLOW_ALL)
        connections.close_all()
        return response

    with ThreadPoolExecutor(8) as tabs:
        pages = {response["Location"] for response in tabs.map(press, range(8))}

    link = Link.objects.get()
    assert pages == {f"/connections/links/{link.pk}/"}
    assert (link.incoming_state, link.generation) == ("granted", 1)
    assert OutboxItem.objects.count() == LinkEvent.objects.count() == len(granted) == 1


@pytest.mark.draft("Reciprocal Scope Request")
@pytest.mark.parametrize("chosen", [["playback", "email"], ["email"]])
def test_nothing_is_granted_that_the_peer_did_not_ask_for(
    link_as_a: Link, chosen: list[str]
) -> None:
    before = columns_of(link_as_a)

    with pytest.raises(consent.CannotGrant):
        consent.allow(link_as_a, chosen)

    assert columns_of(Link.objects.get()) == before
    assert not OutboxItem.objects.exists()


def test_nothing_is_granted_on_a_link_that_has_ended(link_as_a: Link) -> None:
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    with pytest.raises(consent.CannotGrant):
        consent.allow(link_as_a, ["playback"])

    assert not OutboxItem.objects.exists()
