"""The site's own rules on who may let which peer in hold wherever a peer gets access."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
)
from oauth2_provider.views import AuthorizationView as DOTAuthorizationView
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, LinkEvent, OutboxItem, Peer, Reason

from .. import rules as rules_of_site
from ..fakes import FakePeer
from ..party_a.visits import connect
from ..rules import Rules
from .authorization import allow, ask, code_in, error_in, exchange, log_in
from .conftest import assert_token_is_dead, call_api

pytestmark = [pytest.mark.django_db, pytest.mark.threat("L34")]

Post = Callable[..., Any]
REFUSED = (400, {"error": "invalid_grant"})

#: A site that has kept the authorization view of django-oauth-toolkit.
urlpatterns = [
    path("o/authorize/", DOTAuthorizationView.as_view()),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
]


def answer(response: Any) -> tuple[int, Any]:
    return response.status_code, response.json()


def shown_on(page: Any) -> str:
    """What a form must say that it answers."""
    assert page.status_code == 200
    shown: str = page.context["form"].initial["shown"]
    return shown


# The person began here


@pytest.mark.draft("User Consent")
def test_who_may_not_let_the_peer_in_is_not_asked_and_told_why(
    rules: Rules, browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    rules.refused = {"alice"}

    page = browser.get(connect(browser)["Location"])

    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_reason) == ("none", Reason.SITE_REFUSES)
    assert link.outgoing_state == Link.Outgoing.ACTIVE, "the way that they allowed there works"
    said = "This site does not allow your account to give Music access."
    assert said in page.content.decode()
    assert said in browser.get("/connections/").content.decode()
    assert rules.asked == [("alice", "music-here", ["profile"], False)]


@pytest.mark.draft("User Consent")
def test_rules_that_have_changed_since_close_the_question(
    rules: Rules, browser: Client, link_as_a: Link
) -> None:
    page = f"/connections/links/{link_as_a.pk}/consent/"
    sent = {"scopes": ["profile"], "shown": shown_on(browser.get(page))}
    rules.refused = {"alice"}

    for response in (browser.get(page), browser.post(page, sent)):
        assert response.status_code == 403
        assert "This site does not allow it" in response.content.decode()
    assert rules.asked[-1] == ("alice", "music-here", ["profile"], True)
    assert not OutboxItem.objects.exists()
    assert browser.post(page, {"answer": "deny"}).status_code == 302, "no is always possible"


@pytest.mark.draft("Authorization Update Flow")
def test_they_are_asked_about_more_and_never_about_less(
    rules: Rules, browser: Client, link_as_a: Link, reciprocal_code: Post, redeem: Post
) -> None:
    redeem(reciprocal_code("profile"))
    rules.forbidden = {"playback"}
    page = f"/connections/links/{link_as_a.pk}/scopes/"

    def choose(*scopes: str) -> Any:
        return browser.post(page, {"scopes": scopes, "shown": shown_on(browser.get(page))})

    assert choose("profile", "playback").status_code == 403
    Link.objects.update(incoming_scope="profile playback")
    rules.asked.clear()
    assert choose("profile").status_code == 302

    link_as_a.refresh_from_db()
    assert link_as_a.incoming_scope == "profile"
    assert not [each for each in rules.asked if each[3]]


@pytest.mark.draft("Reciprocal Authorization Code")
def test_no_code_is_minted_against_them(
    rules: Rules, browser: Client, link_as_a: Link, reciprocal_code: Post, fake_peer: FakePeer
) -> None:
    link_as_a.outbox.all().delete()
    page = f"/connections/links/{link_as_a.pk}/consent/"
    browser.post(page, {"scopes": ["profile"], "shown": shown_on(browser.get(page))})
    rules.refused = {"alice"}

    worker.drain()

    assert fake_peer.requests == []
    assert not get_grant_model().objects.exists()
    link_as_a.refresh_from_db()
    assert (link_as_a.incoming_state, link_as_a.incoming_reason) == (
        Link.Incoming.BROKEN,
        Reason.SITE_REFUSES,
    )
    said = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()
    assert "This site does not allow your account to give Music access." in said


@pytest.mark.rfc("6749", "5.2")
def test_a_code_that_is_out_is_not_redeemed_against_them(
    rules: Rules, link_as_a: Link, reciprocal_code: Post, redeem: Post
) -> None:
    code = reciprocal_code("playback")
    rules.refused = {"alice"}

    assert answer(redeem(code)) == REFUSED

    assert not get_access_token_model().objects.exists()
    assert LinkEvent.objects.last().detail == "the rules of the site do not allow it"
    rules.refused = set()
    assert redeem(code).status_code == 200, "the refusal has spent nothing"


@pytest.mark.rfc("6749", "6")
def test_access_is_not_renewed_against_them_and_the_page_says_so(
    rules: Rules,
    browser: Client,
    link_as_a: Link,
    reciprocal_code: Post,
    redeem: Post,
    refresh: Post,
) -> None:
    tokens = redeem(reciprocal_code("playback")).json()
    assert rules.asked[-1] == ("alice", "music-here", ["playback"], False)
    rules.refused = {"alice"}

    assert answer(refresh(tokens["refresh_token"])) == REFUSED

    assert_token_is_dead(tokens["access_token"])
    link_as_a.refresh_from_db()
    assert (link_as_a.incoming_state, link_as_a.incoming_reason) == (
        Link.Incoming.BROKEN,
        Reason.SITE_REFUSES,
    )
    page = browser.get("/connections/").content.decode()
    assert "This site does not allow your account to give Music access." in page
    rules.refused = set()
    assert answer(refresh(tokens["refresh_token"])) == REFUSED


def test_the_person_can_allow_it_again_once_they_permit_it(
    rules: Rules, link_as_a: Link, reciprocal_code: Post, redeem: Post, refresh: Post
) -> None:
    tokens = redeem(reciprocal_code("playback")).json()
    rules.refused = {"alice"}
    refresh(tokens["refresh_token"])
    rules.refused = set()
    link_as_a.refresh_from_db()

    again = redeem(reciprocal_code("playback")).json()

    assert call_api(again["access_token"]).status_code == 200
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way


# The person began at the peer


@pytest.mark.rfc("6749", "4.1.2.1")
def test_the_authorization_page_says_so_and_leads_back_to_the_peer(
    rules: Rules, browser: Client, application: Any
) -> None:
    page = ask(browser, application, "playback")
    assert page.status_code == 200
    assert rules.asked == [("alice", "music-here", ["playback"], True)]
    fields = {k: v for k, v in page.context["form"].initial.items() if v} | {"allow": "Authorize"}
    rules.refused = {"alice"}

    for response in (ask(browser, application), browser.post("/o/authorize/", fields)):
        assert response.status_code == 403
        assert response["X-Frame-Options"] == "DENY"
        assert "do not let your account give Music access" in response.content.decode()
        back = urlsplit(response.context["back"])
        assert back.netloc == "music.example"
        told = parse_qs(back.query)
        assert (told["error"], told["state"]) == (["access_denied"], ["xyz"])
        assert told["iss"] == ["http://testserver/o"]
    assert not get_grant_model().objects.exists()
    assert error_in(browser.post("/o/authorize/", fields | {"allow": ""})["Location"])


def test_the_page_leads_to_no_address_that_is_not_the_peers(
    rules: Rules, browser: Client, application: Any
) -> None:
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v} | {"allow": "Authorize"}
    rules.refused = {"alice"}

    response = browser.post(
        "/o/authorize/", fields | {"redirect_uri": "javascript:alert(1)//music.example"}
    )

    assert response.status_code == 403
    assert "javascript" not in response.content.decode()


def test_a_view_of_the_sites_own_cannot_go_past_them(
    rules: Rules, browser: Client, application: Any, settings: Settings
) -> None:
    settings.ROOT_URLCONF = __name__
    rules.refused = {"alice"}

    assert error_in(allow(browser, application)) == "access_denied"
    assert not get_grant_model().objects.exists()


@pytest.mark.rfc("6749", "4.1.3")
def test_nor_can_a_code_from_before(rules: Rules, browser: Client, application: Any) -> None:
    code = code_in(allow(browser, application))
    rules.refused = {"alice"}

    assert answer(exchange(application, code)) == REFUSED
    assert not Link.objects.exists()


@pytest.mark.rfc("6749", "4.3")
def test_nor_can_a_password(rules: Rules, user: Any, application: Any, redeem: Post) -> None:
    get_application_model().objects.update(authorization_grant_type="password")
    rules.refused = {"alice"}

    response = redeem("", grant_type="password", username="alice", password="alice")

    assert answer(response) == REFUSED
    assert not Link.objects.exists()


@pytest.mark.draft("Reciprocal Authorization Code")
def test_a_hand_over_for_who_may_not_connect_is_refused(
    rules: Rules, token_of_a: Any, hand_over: Post
) -> None:
    rules.refused = {"alice"}

    assert answer(hand_over(access_token=token_of_a.raw)) == REFUSED
    assert not InboxItem.objects.exists()
    rules.refused = set()
    assert hand_over(access_token=token_of_a.raw).status_code == 200


# Sites and clients without rules


def test_they_are_asked_about_peers_alone(
    rules: Rules, browser: Client, peer: Peer, make_application: Callable[..., Any]
) -> None:
    rules.refused = {"alice"}

    assert log_in(browser, make_application())["access_token"]
    assert rules.asked == []


def test_a_site_without_rules_pays_nothing(
    browser: Client, application: Any, reciprocal_code: Post, redeem: Post, refresh: Post,
    settings: Settings, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def queries(step: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            step()
        return len(captured)

    def whole_way() -> list[int]:
        code = reciprocal_code("playback")
        tokens: list[Any] = []
        return [
            queries(lambda: tokens.append(redeem(code).json())),
            queries(lambda: refresh(tokens[0]["refresh_token"])),
            queries(lambda: ask(browser, application)),
        ]

    without = whole_way()
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    monkeypatch.setattr(rules_of_site, "IN_FORCE", Rules())
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "MAY_AUTHORIZE": "tests.rules.may_authorize",
    }

    assert without <= whole_way()
