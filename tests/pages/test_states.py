"""The list shows, for each state of a link, the status in words and the button of the next step."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core import scopes
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import key_of_subject
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.presentation.next_step import NextStep
from reciprocal_oauth.presentation.reasons import for_people

from .looks import Tags, heard
from .states import (
    CASES,
    ENDED,
    HOME,
    OPENID,
    Case,
    Outgoing,
    Reason,
    cut_off,
    make,
    undelivered,
)


def buttons(response: Any, link: Link) -> dict[str, str]:
    """Return the text and target of each button, and each link styled as one, in a link's card."""
    end = r'</li>\s*(?=<li class="ro-card"|</ul>\s*</section>)'
    start = rf'<li class="ro-card" data-link="{link.pk}">'
    card = re.search(f"{start}.*?{end}", response.content.decode(), re.DOTALL)
    assert card
    found = re.findall(r'<a class="ro-button" href="([^"]+)">([^<]+)<', card[0])
    found += re.findall(
        r'<form method="post" action="([^"]+)"[^>]*>.*?<button class="ro-button">([^<]+)<',
        card[0],
        re.DOTALL,
    )
    return {unescape(text).strip(): target for target, text in found}


@pytest.mark.usefixtures("worker_seen")
@pytest.mark.parametrize("name", CASES)
def test_the_list_says_the_status_of_a_link_and_offers_the_next_step(
    browser: Client, user: Any, peer: Peer, name: str
) -> None:
    case = CASES[name]
    link = make(case, user, peer)
    own = f"/connections/links/{link.pk}"
    target = {
        NextStep.FINISH: f"{own}/consent/",
        NextStep.AGAIN: f"{own}/retry/",
        NextStep.CONNECT: "/connections/music/connect/",
        NextStep.VISIT: HOME,
        NextStep.REMOVE: f"{own}/disconnect/?start-over",
    }

    for address in ("/connections/", f"{own}/"):
        response = browser.get(address)
        page = unescape(response.content.decode())
        for words in (case.state, *case.says):
            assert words in page, address
    response = browser.get("/connections/")
    expected = {case.button: target[case.next_step]} if case.button else {}
    assert buttons(response, link) == expected


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.next_step == NextStep.FINISH]
)
def test_where_the_button_leads_there_is_a_question(
    browser: Client, user: Any, peer: Peer, name: str
) -> None:
    link = make(CASES[name], user, peer)

    assert browser.get(f"/connections/links/{link.pk}/consent/").status_code == 200


@pytest.mark.parametrize("reason", [reason for reason in Reason.values if reason])
@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_every_reason_is_said_with_something_that_helps(
    browser: Client, user: Any, peer: Peer, direction: str, reason: str
) -> None:
    broken = undelivered(reason) if direction == "incoming" else cut_off(reason)
    link = make(Case("", NextStep.NOTHING, link=broken), user, peer)

    response = browser.get("/connections/")

    page = unescape(response.content.decode())
    assert for_people(reason, "Music")
    assert for_people(reason, "Music") in page
    assert reason not in page or "_" not in reason
    assert len(buttons(response, link)) == 1


def test_the_words_for_what_this_site_may_do_there_are_the_sites_own(
    browser: Client, user: Any, peer: Peer, settings: Settings
) -> None:
    words = {"music": {"play": "Play what you like"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": words}
    make(Case("", NextStep.NOTHING, link={"outgoing_scope": "play volume"}), user, peer)

    page = browser.get("/connections/").content.decode()

    assert "<li>Play what you like</li>" in page
    assert "<li>Access that the other site calls “volume”</li>" in page


def test_where_the_site_has_no_words_those_of_the_other_site_stand_in_quotes(
    browser: Client, user: Any, peer: Peer, settings: Settings
) -> None:
    words = {"music": {"play": "Play what you like"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": words}
    Peer.objects.update(
        scope_words={
            "play": {"": "Everything"},
            "volume": {"": "Turn <b>it</b> up", "de": "Lauter"},
            "mute": {"de": "Stumm"},
        }
    )
    case = Case("", NextStep.NOTHING, link={"outgoing_scope": "play volume mute"})
    make(case, user, Peer.objects.get())

    page = browser.get("/connections/").content.decode()

    assert "<li>Play what you like</li>" in page
    assert ">Turn &lt;b&gt;it&lt;/b&gt; up</q></li>" in page
    assert "In the words of the other site" in page
    assert "<li>Access that the other site calls “mute”</li>" in page

    settings.LANGUAGE_CODE = "de-at"
    german = browser.get("/connections/").content.decode()
    assert ">Lauter</q></li>" in german
    assert ">Stumm</q></li>" in german


@pytest.mark.parametrize("reason", [Reason.CREDENTIALS_REFUSED, Reason.GONE])
def test_nobody_is_sent_to_a_paused_peer(browser: Client, peer: Peer, reason: str) -> None:
    Peer.objects.update(paused_at=timezone.now(), paused_reason=reason)

    response = browser.get("/connections/")

    assert "Music cannot be connected at the moment" in response.content.decode()
    assert not Tags(response).named("button")


def test_two_accounts_are_both_shown_and_another_can_be_connected(
    browser: Client, user: Any, peer: Peer
) -> None:
    for name in ("alice", "alice-at-work"):
        account = {"account_key": key_of_subject(name), "subject": name, "account_name": name}
        make(Case("", NextStep.NOTHING, link=account, peer=OPENID), user, peer)

    page = browser.get("/connections/").content.decode()

    assert "Account there: alice<" in page
    assert "Account there: alice-at-work<" in page
    assert page.count("Connect another account") == 2  # The heading, and one button.


def test_names_and_controls_alone_tell_accounts_apart(
    browser: Client, user: Any, peer: Peer
) -> None:
    for name in ("alice", "alice-at-work"):
        account = {"account_key": key_of_subject(name), "subject": name, "incoming_state": "denied"}
        make(Case("", NextStep.NOTHING, link=account, peer=OPENID), user, peer)

    controls = heard(browser.get("/connections/"), "a", "button")

    for name in ("alice", "alice-at-work"):
        assert {
            f"Music ({name})",
            f"Allow it after all: Music ({name})",
            f"Details and history of Music ({name})",
            f"Disconnect: Music ({name})",
        } <= set(controls)
    assert len(controls) == len(set(controls))


def test_of_a_link_is_told_since_when_it_works_and_when_it_was_last_used(
    browser: Client, token_of_a: Any
) -> None:
    page = browser.get("/connections/").content.decode()
    assert "Started" in page
    assert "Last used" not in page

    now = timezone.now()
    Link.objects.update(outgoing_state=Outgoing.ACTIVE, linked_at=now, last_used_at=now)
    page = browser.get("/connections/").content.decode()
    assert "Connected since" in page
    assert "Last used by Music" in page


def test_where_there_is_nothing_the_list_says_so(browser: Client) -> None:
    page = browser.get("/connections/").content.decode()

    assert "There is no site to connect yet." in page
    assert "Your connections" not in page


def test_the_list_makes_as_many_queries_for_many_links_in_all_states_as_for_one(
    browser: Client, user: Any, peer: Peer, make_peer: Any, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    make(CASES["both ways"], user, peer)
    make(Case("", NextStep.NOTHING, link=ENDED), user, make_peer("ended"))
    with CaptureQueriesContext(connection) as one:
        browser.get("/connections/")
    for number, case in enumerate(CASES.values()):
        make(case, user, make_peer(f"peer-{number}"))
        make(Case("", NextStep.NOTHING, link=ENDED), user, make_peer(f"ended-{number}"))

    with django_assert_num_queries(len(one)):
        browser.get("/connections/")


def test_the_list_finds_out_the_status_of_a_link_once(
    browser: Client, user: Any, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counting(module: Any, name: str) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: asked.append(name) or real(*a, **k))

    counting(consent, "can_answer")
    counting(scopes, "described")
    counting(scopes, "available")
    make(CASES["asked"], user, peer)

    browser.get("/connections/")

    assert asked.count("can_answer") == 1
    # Of the site's scopes, the limit of the peer takes two questions, choices and words one each.
    assert (asked.count("described"), asked.count("available")) == (3, 1)


def test_what_needs_the_person_stands_first_and_a_long_list_is_folded_where_all_is_well(
    browser: Client, user: Any, make_peer: Any
) -> None:
    for number in range(8):
        make(CASES["both ways"], user, make_peer(f"a-{number}"))
    assert not Tags(browser.get("/connections/")).named("details")

    asked = make(CASES["asked"], user, make_peer("y-asks"))
    cut = make(CASES["cut off"], user, make_peer("z-broken"))

    tags = Tags(browser.get("/connections/"))
    cards = [tag["data-link"] for tag in tags.named("li") if "data-link" in tag]
    assert cards[:2] == [str(asked.pk), str(cut.pk)]
    assert len(cards) == 10
    assert len(tags.named("details")) == 8
