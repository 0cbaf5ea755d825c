"""Step (B): a callback that is opened twice redeems its code once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer, Received, Reply, token_response
from .visits import begin

#: Longest that a thread waits for another, in seconds, before the test fails.
PATIENCE = 10


class WaitAtTheState:
    """Holds the first statement about the state until the other tab has come as far."""

    def __init__(self, together: threading.Barrier) -> None:
        self.together: threading.Barrier | None = together

    def __call__(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        together = self.together
        if together is not None and AuthorizationRequest._meta.db_table in sql:
            self.together = None
            together.wait(PATIENCE)
        return execute(sql, *arguments)


@pytest.mark.threat("L3")
@pytest.mark.django_db
def test_a_reload_shows_the_connection_and_asks_nothing(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    first = visit.come_back()

    again = visit.come_back()

    assert again.status_code == 303
    assert again["Location"] == first["Location"]
    assert len(fake_peer.requests) == 1
    assert Link.objects.count() == 1


@pytest.mark.threat("L3")
@pytest.mark.django_db
def test_a_reload_with_another_code_does_not_spend_that_one_either(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    visit.come_back()

    visit.come_back(code="another-code")

    assert [request.form["code"] for request in fake_peer.requests] == ["code-of-b"]


@pytest.mark.threat("L3")
@pytest.mark.django_db
def test_a_reload_after_a_failure_explains_it_once_more(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(500)
    visit = begin(browser)
    first = visit.come_back()

    again = visit.come_back()

    assert again["Location"] == first["Location"]
    assert "was not connected" in browser.get(again["Location"]).content.decode()
    assert len(fake_peer.requests) == 1


@pytest.mark.usefixtures("shared_database")
@pytest.mark.threat("L3")
@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_the_same_moment_make_one_token_request(
    user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    other_tab_is_answered = threading.Event()

    def answer(received: Received) -> Reply:
        # Both tabs are past the start; the peer answers only when the other one has its page.
        other_tab_is_answered.wait(PATIENCE)
        return token_response()

    fake_peer.answers["/token/"] = answer
    browser = Client()
    browser.force_login(user)
    visit = begin(browser)
    together = threading.Barrier(2)

    def load(number: int) -> Any:
        tab = Client()
        tab.cookies = browser.cookies
        with connection.execute_wrapper(WaitAtTheState(together)):
            response = visit.come_back(browser=tab)
        other_tab_is_answered.set()
        connections.close_all()
        return response

    with ThreadPoolExecutor(2) as tabs:
        pages = [response["Location"] for response in tabs.map(load, range(2))]

    link = Link.objects.get()
    assert len(fake_peer.requests) == 1
    assert sorted(pages) == ["/connections/", f"/connections/links/{link.pk}/consent/"]


@pytest.mark.threat("L3")
@pytest.mark.django_db(transaction=True)
def test_a_state_is_spent_for_good_before_the_peer_is_asked(
    browser: Client, peer: Peer, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the site wraps each request in a transaction: no fault may roll it back, and no
    transaction stays open while the peer takes its time."""
    ours = connections["default"]
    monkeypatch.setitem(ours.settings_dict, "ATOMIC_REQUESTS", True)
    in_transaction: list[bool] = []

    def answer(received: Received) -> Reply:
        in_transaction.append(ours.in_atomic_block)
        return token_response()

    fake_peer.answers["/token/"] = answer
    begin(browser).come_back()

    assert in_transaction == [False]
