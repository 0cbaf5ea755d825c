"""The return to a site with a strict session cookie: browsers do not send it the first time."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from ..party_a.visits import CODE_OF_B, Visit, begin
from .looks import Tags

pytestmark = [pytest.mark.django_db, pytest.mark.threat("L101")]


@pytest.fixture(autouse=True)
def strict(settings: Settings) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"


def led_by_another_site(browser: Client) -> Client:
    """The same browser when another site starts the request: it sends no strict cookies."""
    elsewhere = Client()
    for name, morsel in browser.cookies.items():
        if name != "sessionid":
            elsewhere.cookies[name] = morsel.value
    return elsewhere


def follow(browser: Client, page: Any) -> Any:
    """Follow the refresh in ``page``."""
    (content,) = [meta["content"] for meta in Tags(page).named("meta") if "http-equiv" in meta]
    assert content is not None
    seconds, url = re.fullmatch(r"(\d+); url=(.+)", content).groups()  # type: ignore[union-attr]
    assert seconds == "0"
    return browser.get(urljoin(page.wsgi_request.path, url))


def test_a_person_arrives_by_one_page_of_this_site_in_between(
    browser: Client, user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    browser.force_login(user)
    visit = begin(browser)

    between = visit.come_back(browser=led_by_another_site(browser), reciprocal="playback")

    assert between.status_code == 200
    assert AuthorizationRequest.objects.get().answered_at is None
    assert fake_peer.requests == []
    arrived = follow(browser, between)
    assert arrived.status_code == 303
    link = Link.objects.get()
    assert arrived["Location"] == f"/connections/links/{link.pk}/consent/"
    assert link.offered_scope == "playback"
    assert fake_peer.requests[0].form["code"] == CODE_OF_B


def test_the_page_in_between_sets_no_cookie_and_asks_the_database_nothing(
    browser: Client, user: Any, peer: Peer, settings: Settings, django_assert_num_queries: Any
) -> None:
    """A new session, or a new CSRF token in it, would replace that of the person."""
    settings.SESSION_SAVE_EVERY_REQUEST = settings.CSRF_USE_SESSIONS = True
    browser.force_login(user)
    visit = begin(browser)
    elsewhere = led_by_another_site(browser)
    before = str(elsewhere.cookies)

    with django_assert_num_queries(0):
        visit.come_back(browser=elsewhere)

    assert str(elsewhere.cookies) == before


@pytest.mark.threat("W5", "W3")
def test_the_page_in_between_tells_the_code_to_nobody_and_needs_no_script(
    browser: Client, user: Any, peer: Peer
) -> None:
    browser.force_login(user)
    visit = begin(browser)

    between = visit.come_back(browser=led_by_another_site(browser))

    assert between["Referrer-Policy"] == "no-referrer"
    assert "no-store" in between["Cache-Control"]
    assert between["X-Frame-Options"] == "DENY"
    tags = Tags(between)
    assert not [tag for tag, _ in tags.found if tag in ("script", "style", "img", "form", "iframe")]
    assert not [attributes for _, attributes in tags.found if "style" in attributes]
    assert all((a["href"] or "").startswith("?") for a in tags.named("a"))
    assert not tags.named("link")


def test_the_answer_is_asked_for_once_more_and_never_a_third_time(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    stranger = Client()

    led_on = follow(stranger, begin(browser).come_back(browser=stranger))

    assert led_on["Location"] == "/connections/music/callback/"
    refused = stranger.get(led_on["Location"])
    assert refused.status_code == 400
    assert fake_peer.requests == []


@pytest.mark.threat("L5")
def test_who_sent_the_victim_cannot_come_back_with_the_victims_code(
    browser: Client, user: Any, other_user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    attacker = Client()
    attacker.force_login(other_user)
    browser.force_login(user)
    attack = begin(attacker)
    victim = led_by_another_site(browser)
    follow(browser, attack.come_back(browser=victim, code="code-of-the-victim"))

    attack.come_back(code="code-of-the-victim")

    assert fake_peer.requests == []
    assert not Link.objects.exists()


def test_whatever_the_peer_answers_comes_back_as_it_was(browser: Client, peer: Peer) -> None:
    answer = {"code": 'a b&c="d"\';<e>é', "x": "1;url=https://evil.example/", "iss": "  "}

    between = Client().get("/connections/music/callback/", {**answer, "state": ["s", "t"]})

    (href,) = [a["href"] for a in Tags(between).named("a")]
    query = parse_qs(urlsplit(unescape(href or "")).query, keep_blank_values=True)
    assert query.pop("same-site") == ["1"]
    assert query == {name: [value] for name, value in answer.items()} | {"state": ["s", "t"]}
    (content,) = [m["content"] for m in Tags(between).named("meta") if "http-equiv" in m]
    assert content == f"0; url={href}"


def test_a_person_whose_cookie_comes_along_goes_straight_on(
    browser: Client, user: Any, peer: Peer
) -> None:
    browser.force_login(user)

    assert begin(browser).come_back().status_code == 303


@pytest.mark.parametrize("value", ["Lax", "None", False])
def test_without_a_strict_cookie_there_is_no_page_in_between(
    browser: Client, peer: Peer, settings: Settings, value: Any
) -> None:
    settings.SESSION_COOKIE_SAMESITE = value
    visit: Visit = begin(browser)

    assert visit.come_back(browser=Client()).status_code == 400
