"""The user allows or denies the reverse direction."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_grant_model

from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Peer, Step

from ..fakes import FakePeer
from .visits import ALLOW_ALL, connect, fill_in, link_both_ways


@pytest.mark.draft("User Consent")
def test_the_page_says_who_asks_for_what_in_words_with_everything_ticked(
    browser: Client, question: str
) -> None:
    Link.objects.update(account_name="alice.plays")

    page = browser.get(question).content.decode()

    for words in ("Music", "alice.plays", "See your name", "Control what is playing"):
        assert words in page
    assert "See what you have listened to" not in page
    assert page.count('type="checkbox"') == page.count("checked") == 2


@pytest.mark.draft("User Consent")
def test_allowing_grants_what_is_ticked_and_queues_the_hand_over(
    browser: Client, question: str
) -> None:
    response = fill_in(browser, question, ALLOW_ALL)

    link = Link.objects.get()
    assert response["Location"] == f"/connections/links/{link.pk}/"
    assert (link.incoming_state, link.incoming_scope) == ("granted", "profile playback")
    assert link.generation == 1
    item = OutboxItem.objects.get()
    assert (item.link, item.generation, item.state) == (link, 1, OutboxItem.State.PENDING)
    event = LinkEvent.objects.get()
    assert (event.step, event.party, event.outcome) == (Step.CONSENT, "A", "ok")


@pytest.mark.draft("User Consent")
def test_a_scope_that_is_unticked_is_not_granted(browser: Client, question: str) -> None:
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})

    assert Link.objects.get().incoming_scope == "playback"


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L12")
def test_nothing_ticked_is_a_refusal_and_not_all_default_scopes(
    browser: Client, question: str
) -> None:
    fill_in(browser, question, {"answer": "allow"})

    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_scope, link.generation) == ("denied", "", 0)
    assert not get_grant_model().objects.exists()
    assert not OutboxItem.objects.exists()


@pytest.mark.draft("User Consent")
def test_a_refusal_keeps_the_link_one_way(browser: Client, question: str) -> None:
    response = fill_in(browser, question, {"answer": "deny", "scopes": ["profile"]})

    link = Link.objects.get()
    assert response["Location"] == f"/connections/links/{link.pk}/"
    assert (link.incoming_state, link.incoming_scope) == ("denied", "")
    assert (link.is_active, link.outgoing_state) == (True, "active")
    assert link.access_token.reveal() == "token-of-the-peer"
    assert not OutboxItem.objects.exists()
    event = LinkEvent.objects.get()
    assert (event.step, event.outcome, event.detail) == (Step.CONSENT, "ok", "not allowed")
    page = browser.get(response["Location"]).content.decode()
    assert "You did not allow Music to do anything here." in page
    assert "failed" not in page


def test_after_a_refusal_the_person_can_allow_it_later(browser: Client, question: str) -> None:
    page = fill_in(browser, question, {"answer": "deny"})["Location"]

    assert question in browser.get(page).content.decode()
    assert browser.get(question).status_code == 200
    fill_in(browser, question, ALLOW_ALL)

    assert Link.objects.get().incoming_state == "granted"
    assert OutboxItem.objects.get().generation == 1


def test_what_was_allowed_and_could_not_be_delivered_can_be_allowed_again(
    browser: Client, question: str
) -> None:
    fill_in(browser, question, ALLOW_ALL)
    OutboxItem.objects.update(state="failed", live_key=None)
    Link.objects.update(incoming_state="broken", incoming_reason="unreachable")

    fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})

    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_reason) == ("granted", "")
    assert (link.incoming_scope, link.generation) == ("profile", 2)
    assert OutboxItem.objects.get(state="pending").generation == 2


def test_a_question_that_is_answered_is_not_asked_or_taken_again(
    browser: Client, peer: Peer, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)
    link = Link.objects.get()
    page = f"/connections/links/{link.pk}/"

    for answer in (
        browser.get(f"{page}consent/"),
        fill_in(browser, f"{page}consent/", {"answer": "allow", "scopes": ["profile"]}),
        fill_in(browser, f"{page}consent/", {"answer": "deny"}),
    ):
        assert answer["Location"] == page
    after = Link.objects.get()
    assert after.is_two_way
    assert (after.incoming_scope, after.generation) == ("profile playback", 1)
    assert get_access_token_model().objects.count() == 1


def test_two_peers_are_asked_for_apart(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    make_peer("music", fake_peer.url)
    make_peer("heating", fake_peer.url)
    first = connect(browser, "music")["Location"]
    second = connect(browser, "heating", reciprocal="playback")["Location"]

    fill_in(browser, second, {"answer": "allow", "scopes": ["playback"]})

    assert Link.objects.get(peer__slug="music").incoming_state == "offered"
    assert browser.get(first).status_code == 200
