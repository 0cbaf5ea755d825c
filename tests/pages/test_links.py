"""The list of connections and the page of one: a person sees their own links only."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, LinkEvent, Party, Peer, Step
from reciprocal_oauth.models.events import record_event
from reciprocal_oauth.party_a import scope_changes
from reciprocal_oauth.presentation.dates import moment

from ..fakes import FakePeer
from ..party_a.visits import connect, link_both_ways


@pytest.fixture
def strangers(other_user: Any) -> list[Client]:
    """Browsers of another person and of an administrator."""
    admin = get_user_model().objects.create_superuser("admin", password="admin")
    browsers = []
    for user in (other_user, admin):
        browser = Client()
        browser.force_login(user)
        browsers.append(browser)
    return browsers


@pytest.mark.threat("L9")
def test_the_list_shows_only_the_links_of_the_person(
    browser: Client, peer: Peer, strangers: list[Client]
) -> None:
    connect(browser)
    Link.objects.update(account_name="alice.plays")
    link = str(Link.objects.get().pk)

    assert "alice.plays" in browser.get("/connections/").content.decode()
    for stranger in strangers:
        page = stranger.get("/connections/").content.decode()
        assert "alice.plays" not in page
        assert link not in page
        assert "Connect Music" in page


@pytest.mark.threat("L9")
def test_the_link_of_another_person_does_not_exist(
    link_as_a: Link, strangers: list[Client]
) -> None:
    for stranger in strangers:
        theirs = stranger.get(f"/connections/links/{link_as_a.pk}/")
        none = stranger.get(f"/connections/links/{uuid4()}/")
        assert theirs.status_code == none.status_code == 404
        assert theirs.content == none.content


@pytest.mark.threat("L9")
def test_the_failed_attempt_of_another_person_is_not_shown(
    browser: Client, peer: Peer, strangers: list[Client]
) -> None:
    failed = connect(browser, error="access_denied")["Location"]

    assert "was not connected" in browser.get(failed).content.decode()
    for stranger in strangers:
        assert "was not connected" not in stranger.get(failed).content.decode()


def test_a_failed_attempt_says_that_nothing_was_saved(browser: Client, peer: Peer) -> None:
    page = browser.get(connect(browser, error="access_denied")["Location"]).content.decode()

    assert "Music was not connected</h2>" in page
    assert "Nothing was saved." in page


def test_a_failed_attempt_beside_a_connection_says_that_it_is_unchanged(
    browser: Client, link_as_a: Link
) -> None:
    page = browser.get(connect(browser, error="access_denied")["Location"]).content.decode()

    assert "Music was not connected again</h2>" in page
    assert "What was connected before is unchanged." in page
    assert "Nothing was saved" not in page


@pytest.mark.parametrize("page", ["", "links/{}/", "links/{}/consent/", "links/{}/disconnect/"])
def test_a_stranger_signs_in_first_and_comes_back(
    client: Client, link_as_a: Link, page: str
) -> None:
    path = "/connections/" + page.format(link_as_a.pk)

    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


def test_what_can_be_connected_is_offered_and_what_is_switched_off_is_not(
    browser: Client, make_peer: Callable[..., Peer]
) -> None:
    make_peer("music")
    make_peer("heating", enabled=False)

    page = browser.get("/connections/").content.decode()

    assert "/connections/music/connect/" in page
    assert "heating" not in page.lower()


@pytest.mark.parametrize(
    ("slugs", "linked", "heading"),
    [
        (["music", "heating"], [], "Sites that you can connect"),
        (["music", "heating"], ["music"], "Connect another, or connect again"),
        (["music"], ["music"], "Connect again"),
        ([], [], "Sites that you can connect"),
    ],
)
def test_the_heading_fits_what_stands_below_it(
    browser: Client,
    make_peer: Callable[..., Peer],
    user: Any,
    slugs: list[str],
    linked: list[str],
    heading: str,
) -> None:
    for slug in slugs:
        peer = make_peer(slug)
        if slug in linked:
            Link.objects.create(user=user, peer=peer, account_key="x")

    page = browser.get("/connections/").content.decode()

    assert f'<h2 id="ro-peers">{heading}</h2>' in page


def test_an_address_keeps_its_order_where_the_page_runs_from_right_to_left(
    browser: Client, peer: Peer
) -> None:
    Peer.objects.update(homepage="https://music.example/")

    page = browser.get("/connections/").content.decode()

    assert "<bdi>https://music.example/</bdi>" in page


def test_the_question_puts_an_address_on_the_side_of_the_name_that_it_belongs_to(
    browser: Client, link_as_a: Link
) -> None:
    """As a block of its own, an isolated address would begin on the left beside Arabic."""
    Peer.objects.update(homepage="https://music.example/")

    page = browser.get(f"/connections/links/{link_as_a.pk}/consent/").content.decode()

    assert '<div class="ro-detail"><bdi>https://music.example/</bdi></div>' in page


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("play", "Connecting again replaces the connection."),
        ("openid play", "You can also connect another account at Music"),
    ],
)
def test_it_is_said_what_connecting_again_does(
    browser: Client, link_as_a: Link, scope: str, words: str
) -> None:
    Peer.objects.update(scope=scope)

    assert words in browser.get("/connections/").content.decode()


def test_a_link_with_a_peer_that_is_switched_off_is_still_shown_and_asks_nothing(
    browser: Client, link_as_a: Link
) -> None:
    Peer.objects.update(enabled=False)

    page = browser.get("/connections/").content.decode()

    assert str(link_as_a.pk) in page
    assert "Switched off at this site" in page
    assert "consent" not in page
    assert "/connect/" not in page


def end(link: Link, reason: str, days_ago: float) -> None:
    lifecycle.end_link(link, reason, revoke_outgoing=False)
    Link.objects.filter(pk=link.pk).update(ended_at=timezone.now() - timedelta(days=days_ago))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Link.Reason.REVOKED_BY_PEER, "Music ended it."),
        (Link.Reason.REVOKED_HERE, "It was ended here."),
        (Link.Reason.USER_INACTIVE, "Your account here was deactivated."),
        (Link.Reason.REPLACED, "A newer connection replaced it."),
    ],
)
def test_an_ended_link_is_listed_apart_with_when_and_why_and_leads_to_its_history(
    browser: Client, link_as_a: Link, reason: str, words: str
) -> None:
    Link.objects.update(account_name="alice.plays")
    link_as_a.refresh_from_db()
    end(link_as_a, reason, 29)
    link_as_a.refresh_from_db()

    page = browser.get("/connections/").content.decode()

    assert link_as_a.ended_at is not None
    above, ended = page.split("Ended connections</h2>")
    assert str(link_as_a.pk) not in above
    for said in (
        "Music",
        "Account there: alice.plays",
        f"Ended on {moment(link_as_a.ended_at)}",
        words,
    ):
        assert said in ended
    history = f"/connections/links/{link_as_a.pk}/"
    assert history in ended
    assert "Ended" in browser.get(history).content.decode()


def test_what_ended_long_ago_is_no_longer_listed(browser: Client, link_as_a: Link) -> None:
    end(link_as_a, Link.Reason.REVOKED_BY_PEER, 31)

    page = browser.get("/connections/").content.decode()

    assert "Ended connections" not in page
    assert str(link_as_a.pk) not in page


def test_what_ended_last_stands_first(browser: Client, link_as_a: Link, user: Any) -> None:
    newer = Link.objects.create(user=user, peer=link_as_a.peer, account_key="newer")
    end(link_as_a, Link.Reason.REVOKED_BY_PEER, 2)
    end(newer, Link.Reason.REVOKED_HERE, 1)

    page = browser.get("/connections/").content.decode()

    assert page.index(str(newer.pk)) < page.index(str(link_as_a.pk))


@pytest.mark.threat("L9")
def test_what_others_have_ended_is_not_listed(
    browser: Client, link_as_a: Link, strangers: list[Client]
) -> None:
    end(link_as_a, Link.Reason.REVOKED_BY_PEER, 1)

    assert "Ended connections" in browser.get("/connections/").content.decode()
    for stranger in strangers:
        assert "Ended connections" not in stranger.get("/connections/").content.decode()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_an_ended_link_can_be_connected_again_where_its_peer_is_enabled(
    browser: Client, link_as_a: Link, is_enabled: bool
) -> None:
    end(link_as_a, Link.Reason.REVOKED_BY_PEER, 100)
    Peer.objects.update(enabled=is_enabled)

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    form = '<form method="post" action="/connections/music/connect/"'
    assert (form in page) is is_enabled
    assert ("Connect again" in page) is is_enabled


def test_the_page_of_a_link_says_what_each_side_may_do_and_how_it_came_about(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)

    page = browser.get(f"/connections/links/{Link.objects.get().pk}/").content.decode()

    for words in ("Connected both ways", "See your name", "Control what is playing", "play"):
        assert words in page
    steps = [f'data-step="{step}"' for step in ("A", "B", "C", "D", "consent", "E", "F", "G")]
    places = [page.index(step) for step in steps]
    assert places == sorted(places)


def test_the_history_says_what_failed_and_what_came_of_it(browser: Client, link_as_a: Link) -> None:
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)
    link_as_a.refresh_from_db()
    failed = LinkEvent.Outcome.FAILED
    record_event(link_as_a, Step.E, party=Party.A, outcome=failed, detail="attempt 1: HTTP 503")
    record_event(link_as_a, Step.F, party=Party.B, outcome=failed)
    lifecycle.break_outgoing(link_as_a, Link.Reason.REFRESH_REFUSED, still=Q())
    lifecycle.break_incoming(link_as_a, Link.Reason.HANDOVER_REFUSED, "HTTP 400 invalid_grant")
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    for words in (
        "This site could not hand over a code for the reverse direction to Music.",
        "This site could not redeem the code for the reverse direction at Music.",
        "Music no longer renews the access.",
        "This connection ended.",
        "It was ended here.",
    ):
        assert words in page
    assert page.count("One direction of this connection stopped working.") == 2
    for technical in ("HTTP", "invalid_grant", "attempt 1", "refresh_refused", "revoked_here"):
        assert technical not in page


def test_the_history_says_in_words_what_was_allowed(
    browser: Client, fake_peer: FakePeer, application: Any, settings: Settings
) -> None:
    words = {"music": {"play": "Play what you like"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": words}
    link_both_ways(browser, fake_peer, application)
    link = Link.objects.get()
    scope_changes.change(link, ["profile"])

    page = browser.get(f"/connections/links/{link.pk}/").content.decode()

    history = page[page.index("<table") :]
    assert '<span class="ro-detail">Play what you like</span>' in history
    assert '<span class="ro-detail">See your name, Control what is playing</span>' in history
    assert "You changed what Music may do here. <span" in history


def test_the_history_says_in_words_what_this_site_got_in_the_reverse_direction(
    browser: Client, link_as_a: Link, settings: Settings
) -> None:
    words = {link_as_a.peer.slug: {"play": "Play what you like"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": words}
    record_event(link_as_a, Step.G, party=Party.B, detail="scope: play")

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    history = page[page.index("<table") :]
    assert '<span class="ro-detail">Play what you like</span>' in history


def test_the_question_that_waits_can_be_reached_from_list_and_link(
    browser: Client, link_as_a: Link
) -> None:
    question = f"/connections/links/{link_as_a.pk}/consent/"

    for page in ("/connections/", f"/connections/links/{link_as_a.pk}/"):
        assert question in browser.get(page).content.decode()


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_pages_that_show_take_nothing(browser: Client, link_as_a: Link, method: str) -> None:
    for page in ("/connections/", f"/connections/links/{link_as_a.pk}/"):
        assert getattr(browser, method)(page).status_code == 405
