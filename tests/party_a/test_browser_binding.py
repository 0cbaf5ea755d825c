"""Step (A) and (B): each visit is bound to the browser that began it, by a cookie of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection, connections
from django.http import SimpleCookie
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from .visits import Visit, begin, connect

#: Longest that a thread waits for another, in seconds, before the test fails.
PATIENCE = 10
COOKIES = "reciprocal_visit_"


def visit_cookies(browser: Client) -> dict[str, Any]:
    """The cookies of visits that the browser sends."""
    return {
        name: morsel
        for name, morsel in browser.cookies.items()
        if name.startswith(COOKIES) and morsel.value
    }


@pytest.fixture(params=["db", "cache", "cached_db", "signed_cookies"])
def session_backend(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.mark.threat("L100")
@pytest.mark.usefixtures("shared_database")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("backend", ["db", "signed_cookies"])
def test_visits_that_begin_at_the_same_moment_in_one_browser_all_arrive(
    user: Any, peer: Peer, fake_peer: FakePeer, settings: Settings, backend: str
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{backend}"
    browser = Client()
    browser.force_login(user)
    together = threading.Barrier(4)

    class Meet:
        """Holds each request before it stores its visit until all have come as far."""

        def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
            if sql.startswith("INSERT") and AuthorizationRequest._meta.db_table in sql:
                together.wait(PATIENCE)
            return execute(sql, *arguments)

    def press(number: int) -> tuple[Visit, Any]:
        tab = Client()
        tab.cookies = SimpleCookie({name: m.value for name, m in browser.cookies.items()})
        with connection.execute_wrapper(Meet()):
            visit = begin(tab)
        connections.close_all()
        return visit, tab.cookies

    with ThreadPoolExecutor(4) as tabs:
        begun = list(tabs.map(press, range(4)))
    for _visit, cookies in begun:
        browser.cookies.update(cookies)  # As a browser does, with one answer after the other.

    answers = [visit.come_back(browser=browser).status_code for visit, _ in begun]

    assert answers == [303, 303, 303, 303]
    assert len(fake_peer.requests) == 4


@pytest.mark.threat("L100")
@pytest.mark.django_db
def test_beginning_a_visit_leaves_the_session_as_it_is(
    browser: Client, peer: Peer, session_backend: str, user: Any
) -> None:
    browser.force_login(user)
    before = dict(browser.session.items()), browser.cookies["sessionid"].value

    begin(browser)

    assert (dict(browser.session.items()), browser.cookies["sessionid"].value) == before


@pytest.mark.threat("L100")
@pytest.mark.django_db
def test_a_person_who_signs_in_again_meanwhile_still_arrives(
    browser: Client, peer: Peer, user: Any, session_backend: str
) -> None:
    browser.force_login(user)
    visit = begin(browser)
    browser.force_login(user)  # Whatever the reason: the key of the session changes.

    assert visit.come_back().status_code == 303

    visit = begin(browser)
    browser.get("/accounts/logout/")
    browser.cookies.pop("sessionid")
    browser.force_login(user)

    assert visit.come_back().status_code == 303
    assert Link.objects.count() == 1


@pytest.mark.threat("L1")
@pytest.mark.django_db
def test_the_cookie_of_another_visit_does_not_do(
    browser: Client, user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    elsewhere = Client()
    elsewhere.force_login(user)
    theirs, ours = begin(elsewhere), begin(browser)
    (name,), (own,) = visit_cookies(elsewhere), visit_cookies(browser).values()
    browser.cookies[name] = own.value

    assert theirs.come_back(browser=browser).status_code == 400
    assert fake_peer.requests == []
    assert ours.come_back().status_code == 303


@pytest.mark.threat("L1")
@pytest.mark.django_db
@pytest.mark.parametrize("value", ["", "1", "0000000000."])
def test_a_cookie_that_we_never_gave_does_not_do(
    browser: Client, peer: Peer, fake_peer: FakePeer, value: str
) -> None:
    visit = begin(browser)
    (name,) = visit_cookies(browser)
    browser.cookies[name] = value

    assert visit.come_back().status_code == 400
    assert fake_peer.requests == []


@pytest.mark.threat("L100")
@pytest.mark.django_db
def test_a_browser_keeps_no_more_than_ten_visits_and_forgets_the_oldest(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visits = []
    with time_machine.travel("2026-03-01T12:00Z", tick=False) as clock:
        for _ in range(11):
            clock.shift(1)
            visits.append(begin(browser))

        assert len(visit_cookies(browser)) == 10
        assert visits[0].come_back().status_code == 400
        assert not fake_peer.requests
        assert visits[1].come_back().status_code == 303
        assert visits[10].come_back().status_code == 303


@pytest.mark.threat("L100")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, {"samesite": "Lax", "secure": "", "domain": "", "path": "/"}),
        ({"SESSION_COOKIE_SECURE": True}, {"secure": True}),
        ({"SESSION_COOKIE_DOMAIN": "site.example"}, {"domain": "site.example"}),
        ({"SESSION_COOKIE_PATH": "/app/"}, {"path": "/app/"}),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, {"samesite": "Lax"}),
        ({"SESSION_COOKIE_SAMESITE": "None"}, {"samesite": "None"}),
    ],
)
def test_the_cookie_goes_where_the_session_goes_and_comes_back_from_the_peer(
    browser: Client, peer: Peer, settings: Settings, values: dict[str, Any], shown: dict[str, Any]
) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    begin(browser)

    (morsel,) = visit_cookies(browser).values()
    assert {name: morsel[name] for name in shown} == shown
    assert morsel["httponly"] is True
    assert morsel["max-age"] == 1800
    assert django_settings.SESSION_COOKIE_HTTPONLY


@pytest.mark.threat("X1")
@pytest.mark.django_db
def test_the_cookie_and_the_row_show_neither_each_other_nor_the_state(
    browser: Client, peer: Peer
) -> None:
    visit = begin(browser)
    ((name, morsel),) = visit_cookies(browser).items()
    row = str(list(AuthorizationRequest.objects.values_list()))

    assert morsel.value.partition(".")[2] not in row
    assert visit.asked["state"] not in f"{name}={morsel.value}"


@pytest.mark.django_db
def test_what_a_browser_sends_under_the_names_of_our_cookies_breaks_nothing(
    browser: Client, peer: Peer
) -> None:
    for number in range(40):
        browser.cookies[f"{COOKIES}{number}"] = "é\x00;" if number % 2 else "x" * 50

    assert connect(browser).status_code == 303
    assert len(visit_cookies(browser)) <= 10


@pytest.mark.threat("L121")
@pytest.mark.parametrize("name", ["[{}]", "{}@", "@{}", "(x){}"])
def test_cookies_that_another_host_of_the_domain_has_set_do_not_keep_a_person_from_connecting(
    browser: Client, peer: Peer, name: str
) -> None:
    """What Django reads, but refuses to write, is let alone."""
    session = browser.cookies["sessionid"].value
    foreign = [COOKIES + name.format(number) for number in range(12)]
    cookies = "; ".join([f"sessionid={session}", *(f"{each}=0" for each in foreign)])

    response = Client(headers={"cookie": cookies}).post("/connections/music/connect/")

    assert response.status_code == 303
    assert not set(foreign) & set(response.cookies)
