"""The scope that party B asks for, and how much of it the user is asked to grant."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer

from ..fakes import FakePeer, token_response
from .visits import connect, fill_in

pytestmark = pytest.mark.draft("Reciprocal Scope Request")


@pytest.fixture
def offered(browser: Client, peer: Peer, fake_peer: FakePeer) -> Callable[..., str]:
    """What a person is asked for after connecting, with ``reciprocal`` in the token response and
    in the redirect as given."""

    def ask(redirect: Any = None, **members: Any) -> str:
        fake_peer.answers["/token/"] = token_response(**members)
        connect(browser, reciprocal=redirect)
        return Link.objects.get().offered_scope

    return ask


def test_the_token_response_says_what_is_asked_for(offered: Callable[..., str]) -> None:
    assert offered(reciprocal="playback") == "playback"


@pytest.mark.rfc("6749", "5.1")
def test_the_drafts_example_of_a_token_response_is_read(
    offered: Callable[..., str], settings: Settings
) -> None:
    """With a token type that exists in place of "example"."""
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "example_scope": "An example"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    Peer.objects.update(allowed_scope="example_scope")
    example = {
        "access_token": "2YotnFZFEjr1zCsicMWpAA",
        "expires_in": 3600,
        "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
        "reciprocal": "example_scope",
        "example_parameter": "example_value",
    }

    assert offered(**example) == "example_scope"

    link = Link.objects.get()
    assert link.access_token.reveal() == "2YotnFZFEjr1zCsicMWpAA"
    assert link.refresh_token.reveal() == "tGzv3JOkF0XG5Qx2TlKWIA"


def test_the_redirect_says_it_where_the_token_response_does_not(
    offered: Callable[..., str],
) -> None:
    assert offered(redirect="playback") == "playback"


def test_the_token_response_wins_over_the_redirect(offered: Callable[..., str]) -> None:
    assert offered(redirect="profile", reciprocal="playback") == "playback"


def test_it_is_what_was_agreed_beforehand_where_neither_says_it(
    offered: Callable[..., str],
) -> None:
    assert offered() == "profile"


def test_a_site_can_choose_not_to_believe_the_redirect(
    offered: Callable[..., str], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "READ_RECIPROCAL_FROM_REDIRECT": False,
    }

    assert offered(redirect="playback") == "profile"
    assert offered(redirect="profile", reciprocal="playback") == "playback"


def test_nothing_is_asked_for_where_nothing_was_agreed_or_said(
    offered: Callable[..., str],
) -> None:
    Peer.objects.update(preconfigured_scope="")

    assert offered() == ""


@pytest.mark.threat("S2")
@pytest.mark.parametrize(
    "value",
    [
        ["playback"],
        {"scope": "playback"},
        42,
        True,
        None,
        '"playback"',
        "playback\x00",
        "playback\nhistory",
        "pläyback",
        "\ud800",
        "playback " * 6_000,
        "",
        " ",
    ],
    ids=[
        "list",
        "object",
        "number",
        "true",
        "null",
        "quoted as in the draft's example",
        "NUL",
        "line break",
        "not ASCII",
        "half a surrogate pair",
        "54,000 characters",
        "empty",
        "blank",
    ],
)
def test_a_token_response_with_something_else_than_a_scope_counts_as_without(
    offered: Callable[..., str], value: object
) -> None:
    assert offered(reciprocal=value) == "profile"
    assert offered(redirect="playback", reciprocal=value) == "playback"


@pytest.mark.threat("S2")
@pytest.mark.parametrize(
    "value",
    ['"playback"', "playback\x00", "\N{SNOWMAN}", "x" * 5_000, "", ["playback", "profile"]],
    ids=["quoted", "NUL", "not ASCII", "long", "empty", "twice"],
)
def test_a_redirect_with_something_else_than_a_scope_counts_as_without(
    offered: Callable[..., str], value: Any
) -> None:
    assert offered(redirect=value) == "profile"


def test_a_scope_is_taken_however_it_is_spaced_and_repeated(offered: Callable[..., str]) -> None:
    assert offered(reciprocal="  playback   profile playback ") == "playback profile"


@pytest.mark.threat("S1")
def test_a_peer_that_asks_for_more_than_it_may_hold_is_cut(
    offered: Callable[..., str], browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "reciprocal_oauth")

    assert offered(reciprocal="history playback everything profile") == "playback profile"

    assert "Peer music asked for more than its limit" in caplog.text
    page = browser.get(f"/connections/links/{Link.objects.get().pk}/consent/").content.decode()
    assert "Control what is playing" in page
    assert "See your name" in page
    assert "See what you have listened to" not in page
    assert "everything" not in page


@pytest.mark.threat("S1")
def test_a_scope_that_the_site_no_longer_has_is_not_asked_for(
    offered: Callable[..., str], settings: Settings
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"profile": "Your name"}}

    assert offered(reciprocal="playback profile") == "profile"


@pytest.mark.threat("S1")
def test_where_nothing_is_left_there_is_no_question_and_the_link_stays_one_way(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = token_response(reciprocal="history")

    response = connect(browser)

    link = Link.objects.get()
    page = f"/connections/links/{link.pk}/"
    assert response["Location"] == page
    assert (link.incoming_state, link.offered_scope) == (Link.Incoming.NONE, "")
    assert (
        "it does not ask for anything that this site can give it"
        in browser.get(page).content.decode().lower()
    )
    for answer in (
        browser.get(f"{page}consent/"),
        fill_in(browser, f"{page}consent/", {"answer": "allow", "scopes": ["history"]}),
        fill_in(browser, f"{page}consent/", {"answer": "deny"}),
    ):
        assert answer["Location"] == page
    link.refresh_from_db()
    assert (link.incoming_state, link.generation) == (Link.Incoming.NONE, 0)


@pytest.mark.threat("C16")
def test_openid_is_cut_out_of_what_a_reciprocal_grant_can_carry(
    offered: Callable[..., str], settings: Settings
) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "SCOPES": {"openid": "Sign in", "profile": "See your name"},
    }
    Peer.objects.update(allowed_scope="openid profile")

    assert offered(reciprocal="openid profile") == "profile"
    assert offered(reciprocal="openid") == ""
