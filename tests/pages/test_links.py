"""The list of connections and one connection: the person's own, and nobody else's."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from reciprocal_oauth.models import Link, Peer

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


def test_a_link_with_a_peer_that_is_switched_off_is_still_shown_and_asks_nothing(
    browser: Client, link_as_a: Link
) -> None:
    Peer.objects.update(enabled=False)

    page = browser.get("/connections/").content.decode()

    assert str(link_as_a.pk) in page
    assert "Switched off at this site" in page
    assert "consent" not in page
    assert "/connect/" not in page


def test_an_ended_link_leaves_the_list_but_keeps_its_page(browser: Client, link_as_a: Link) -> None:
    Link.objects.update(
        status="ended", outgoing_state="ended", incoming_state="ended", offered_scope=""
    )

    assert str(link_as_a.pk) not in browser.get("/connections/").content.decode()
    assert "Ended" in browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()


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
