"""Attempts to connect: found by what became of them, with what to do about it."""

import html
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin as admin_of_django
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer
from reciprocal_oauth.party_a.attempts import FAILED

from .conftest import admin_url, text_of

LIST = admin_url(AuthorizationRequest, "changelist")
REDIRECT_URI = "https://testserver/connections/music/callback/"


@pytest.fixture
def attempt(user: Any, peer: Peer) -> Callable[..., AuthorizationRequest]:
    def make(**values: Any) -> AuthorizationRequest:
        return AuthorizationRequest.objects.create(
            **{
                "user": user,
                "peer": peer,
                "state_hash": str(uuid.uuid4()),
                "redirect_uri": REDIRECT_URI,
                **values,
            }
        )

    return make


@pytest.fixture
def all_kinds(attempt: Callable[..., AuthorizationRequest], link_as_a: Link) -> None:
    now = timezone.now()
    attempt()
    attempt(answered_at=now)
    attempt(answered_at=now, link=link_as_a)
    attempt(answered_at=now, problem="scope", error="invalid_scope")
    attempt(created_at=now - timedelta(hours=1))
    attempt(answered_at=now - timedelta(hours=1))
    attempt(answered_at=now, detail="the user was deactivated or deleted meanwhile")


def outcomes(admin: Client, **query: str) -> list[str]:
    rows = admin.get(LIST, query).context["cl"].result_list
    return sorted(row.outcome for row in rows)


def test_the_list_begins_with_those_that_failed(admin: Client, all_kinds: None) -> None:
    assert outcomes(admin) == ["broken_off", "broken_off", "no_answer", "scope"]
    assert ">Failed</a>" in text_of(admin.get(LIST))


@pytest.mark.parametrize(
    ("outcome", "count"), [("under_way", 2), ("connected", 1), ("scope", 1), ("denied", 0)]
)
def test_each_outcome_can_be_chosen(
    admin: Client, all_kinds: None, outcome: str, count: int
) -> None:
    assert outcomes(admin, outcome=outcome) == [outcome] * count
    assert len(outcomes(admin, outcome="all")) == 7


def test_a_row_says_what_to_do(
    admin: Client, attempt: Callable[..., AuthorizationRequest], peer: Peer
) -> None:
    visit = attempt(problem="scope", error="invalid_scope", detail="HTTP 400 invalid_scope")

    for url in (LIST, admin_url(AuthorizationRequest, "change", visit.pk)):
        text = html.unescape(text_of(admin.get(url)))
        assert "does not know a scope that this site asks for" in text
        assert (
            "Compare the scope “play” with what the peer offers: reciprocal_peer test music" in text
        )
        assert "invalid_scope" in text


def test_a_person_who_never_came_back_may_have_met_an_error_page_of_the_peer(
    admin: Client, attempt: Callable[..., AuthorizationRequest]
) -> None:
    attempt(created_at=timezone.now() - timedelta(minutes=31))

    text = html.unescape(text_of(admin.get(LIST)))

    assert "the person never came back" in text
    assert f"Compare the redirect URI {REDIRECT_URI} and the client ID “us-at-music”" in text


@pytest.mark.parametrize("outcome", FAILED)
def test_every_outcome_has_a_remedy(
    admin: Client, attempt: Callable[..., AuthorizationRequest], outcome: str
) -> None:
    values: dict[str, Any] = {"problem": outcome}
    if outcome in ("no_answer", "broken_off"):
        hour_ago = timezone.now() - timedelta(hours=1)
        values = {"created_at": hour_ago}
        if outcome == "broken_off":
            values["answered_at"] = hour_ago
    attempt(**values)

    text = text_of(admin.get(LIST))

    assert '<td class="field-what_to_do">–</td>' not in text
    assert "%(" not in text


def test_the_page_of_a_peer_counts_those_that_failed_and_leads_to_them(
    admin: Client, all_kinds: None, attempt: Callable[..., AuthorizationRequest], peer: Peer
) -> None:
    attempt(problem="scope", created_at=timezone.now() - timedelta(days=31))

    text = text_of(admin.get(admin_url(Peer, "change", peer.pk)))

    assert f'href="{LIST}?peer__id__exact={peer.pk}"' in text
    assert "4 attempts to connect failed in the last 30 days" in text


def test_the_page_of_a_peer_without_failed_attempts_says_nothing(admin: Client, peer: Peer) -> None:
    assert "to connect failed" not in text_of(admin.get(admin_url(Peer, "change", peer.pk)))


@pytest.mark.threat("W7")
def test_the_page_of_a_peer_counts_them_only_for_who_may_see_them(
    staff: Callable[..., Client], all_kinds: None, peer: Peer
) -> None:
    text = text_of(staff("view_peer").get(admin_url(Peer, "change", peer.pk)))

    assert "to connect failed" not in text


def test_an_admin_without_the_attempts_shows_the_peer_all_the_same(
    admin: Client, all_kinds: None, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(admin_of_django.site._registry, AuthorizationRequest)

    text = text_of(admin.get(admin_url(Peer, "change", peer.pk)))

    assert "to connect failed" not in text
