"""Whose account at the peer was connected: what an ID token says, and what it decides."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..conftest import always_had
from ..fakes import FakePeer, Reply, token_response
from .visits import Visit, begin, good_claims, id_token

Problem = AuthorizationRequest.Problem


@pytest.fixture
def openid_peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    """A peer that says whose account it is."""
    return make_peer("music", fake_peer.url, scope="openid play")


@pytest.fixture
def come_back_with(
    browser: Client, openid_peer: Peer, fake_peer: FakePeer
) -> Callable[..., tuple[Visit, Any]]:
    """Connects; the peer's ID token has these claims, or is the given text."""

    def go(text: str | None = None, **claims: Any) -> Any:
        visit = begin(browser)
        good = good_claims(openid_peer.issuer, **{"nonce": visit.asked["nonce"], **claims})
        fake_peer.answers["/token/"] = token_response(id_token=text or id_token(**good))
        return visit.come_back()

    return go


@pytest.mark.rfc("6749", "5.1")
def test_the_account_is_stored_and_named_where_the_person_decides(
    come_back_with: Callable[..., Any], browser: Client
) -> None:
    response = come_back_with(sub="account-1", preferred_username="alice.plays")

    link = Link.objects.get()
    assert (link.subject, link.account_name) == ("account-1", "alice.plays")
    assert "alice.plays" in browser.get(response["Location"]).content.decode()
    assert "alice.plays" in browser.get("/connections/").content.decode()


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "a@music.example", "name": "Alice"}, "a@music.example"),
        ({"name": "Älice 🎵"}, "Älice 🎵"),
        ({"nickname": "al"}, "al"),
        ({"preferred_username": "a\u202e", "name": "Alice"}, "Alice"),
        ({"preferred_username": "", "email": 7, "name": "x" * 256}, ""),
        ({}, ""),
    ],
    ids=["email", "name", "nickname", "a name that turns the text around", "unusable", "none"],
)
def test_the_account_is_called_by_the_first_usable_name(
    come_back_with: Callable[..., Any], claims: dict[str, Any], name: str
) -> None:
    come_back_with(**claims)

    assert Link.objects.get().account_name == name


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody-else"},
        {"aud": []},
        {"aud": None},
        {"aud": ["us-at-music", "somebody-else"]},
        {"aud": ["us-at-music", "somebody-else"], "azp": "somebody-else"},
        {"iss": "https://evil.example/o"},
        {"iss": None},
        {"nonce": "another-visit"},
        {"nonce": None},
        {"nonce": ["nonce"]},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("-inf")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"exp": 100_000_000_000},
        {"iat": None},
        {"iat": "today"},
        {"iat": True},
        {"iat": float("nan")},
        {"iat": 100_000_000_000},
        {"nbf": 100_000_000_000},
        {"nbf": None, "azp": "somebody-else"},
        {"azp": ["us-at-music"]},
        {"azp": ""},
        {"sub": None},
        {"sub": ""},
        {"sub": 17},
        {"sub": "x" * 256},
        {"sub": "account\x00"},
        {"sub": "\ud800"},
    ],
    ids=lambda claims: json.dumps(claims)[:50],
)
@pytest.mark.threat("L81")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
def test_an_id_token_that_is_not_for_this_visit_connects_nothing(
    come_back_with: Callable[..., Any], browser: Client, claims: dict[str, Any]
) -> None:
    response = come_back_with(**claims)

    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.BAD_RESPONSE
    assert "was not connected" in browser.get(response["Location"]).content.decode()


@pytest.mark.parametrize(
    "text",
    [
        "not-a-jwt",
        "a.b",
        "a.b.c.d",
        "..",
        "e30.####.c2ln",
        "e30.bnVsbA.c2ln",
        "e30.W10.c2ln",
        "e30.gICA.c2ln",
        "e30." + "W1tb" * 1_500 + ".c2ln",
    ],
    ids=["word", "two", "four", "blank", "no base64", "null", "list", "no UTF-8", "deep"],
)
def test_an_id_token_that_cannot_be_read_connects_nothing(
    come_back_with: Callable[..., Any], text: str
) -> None:
    assert come_back_with(text).status_code == 303

    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.BAD_RESPONSE


@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
@pytest.mark.parametrize(
    ("claim", "seconds", "links"),
    [
        ("exp", -119, 1),
        ("exp", -121, 0),
        ("iat", 119, 1),
        ("iat", 121, 0),
        ("nbf", 119, 1),
        ("nbf", 121, 0),
    ],
)
def test_clocks_may_differ_by_two_minutes(
    come_back_with: Callable[..., Any], claim: str, seconds: int, links: int
) -> None:
    now = timezone.now().replace(microsecond=0)
    with time_machine.travel(now, tick=False):
        come_back_with(**{claim: int(now.timestamp()) + seconds})

    assert Link.objects.count() == links


@pytest.mark.threat("L81")
@pytest.mark.rfc("OpenID Connect Core 1.0", "2")
@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "NONE"}, {"alg": ""}, {}, {"alg": 7}])
def test_an_id_token_that_nobody_signed_connects_nothing(
    come_back_with: Callable[..., Any], openid_peer: Peer, header: dict[str, Any]
) -> None:
    visit_of_nobody = good_claims(openid_peer.issuer)

    come_back_with(id_token(header, **visit_of_nobody))

    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.BAD_RESPONSE


@pytest.mark.threat("L81")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
def test_an_id_token_without_its_signature_connects_nothing(
    come_back_with: Callable[..., Any], openid_peer: Peer
) -> None:
    head, claims, _signature = id_token(**good_claims(openid_peer.issuer)).split(".")

    come_back_with(f"{head}.{claims}.")

    assert not Link.objects.exists()


@pytest.mark.threat("L81")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
def test_an_id_token_that_no_issuer_can_be_compared_with_connects_nothing(
    come_back_with: Callable[..., Any], browser: Client
) -> None:
    Peer.objects.update(issuer="")  # Past the form, which asks for it.

    response = come_back_with(iss="https://anybody.example")

    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.SETUP
    assert "an administrator of this site" in browser.get(response["Location"]).content.decode()


@pytest.mark.threat("L81")
def test_an_id_token_that_nobody_asked_for_and_nobody_can_check_tells_nothing(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    make_peer("music", fake_peer.url, issuer="")
    claims = good_claims("https://anybody.example", name="Alice")
    fake_peer.answers["/token/"] = token_response(id_token=id_token(**claims))

    begin(browser).come_back()

    link = Link.objects.get()
    assert (link.subject, link.account_name) == ("", "")


@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
def test_a_token_that_was_issued_to_us_may_say_so(come_back_with: Callable[..., Any]) -> None:
    come_back_with(azp="us-at-music")

    assert Link.objects.get().subject == "account-1"


def test_a_token_for_several_parties_is_taken_when_it_was_issued_to_us(
    come_back_with: Callable[..., Any],
) -> None:
    come_back_with(aud=["us-at-music", "music-api"], azp="us-at-music")

    assert Link.objects.get().subject == "account-1"


def test_an_id_token_that_nobody_asked_for_is_checked_and_used_all_the_same(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    claims = good_claims(peer.issuer)
    fake_peer.answers["/token/"] = token_response(id_token=id_token(**claims))
    begin(browser).come_back()
    assert Link.objects.get().subject == "account-1"

    fake_peer.answers["/token/"] = token_response(id_token=id_token(**{**claims, "aud": "x"}))
    begin(browser).come_back()
    assert AuthorizationRequest.objects.filter(problem=Problem.BAD_RESPONSE).count() == 1


def test_two_accounts_at_one_peer_are_two_links(
    come_back_with: Callable[..., Any], browser: Client
) -> None:
    come_back_with(sub="account-1", name="Alice")
    come_back_with(sub="ACCOUNT-1", name="Anna")

    assert set(Link.objects.values_list("subject", flat=True)) == {"account-1", "ACCOUNT-1"}
    page = browser.get("/connections/").content.decode()
    assert "Alice" in page
    assert "Anna" in page


def test_the_same_account_again_is_the_same_link_with_its_name_of_today(
    come_back_with: Callable[..., Any],
) -> None:
    first = come_back_with(sub="account-1", name="Alice")
    second = come_back_with(sub="account-1", name="Alice Blue")

    assert first["Location"] == second["Location"]
    assert Link.objects.get().account_name == "Alice Blue"


def test_one_account_that_two_people_connect_is_a_link_for_each(
    come_back_with: Callable[..., Any],
    browser: Client,
    other_user: Any,
) -> None:
    come_back_with(sub="the-family")
    browser.force_login(other_user)
    come_back_with(sub="the-family")

    assert set(Link.objects.values_list("user__username", flat=True)) == {"alice", "bob"}


# What the account is called is asked for at the UserInfo endpoint


@pytest.fixture
def come_back_without_name(
    come_back_with: Callable[..., Any], openid_peer: Peer, fake_peer: FakePeer
) -> Callable[..., Any]:
    """Connects; the ID token has only the subject, and the UserInfo endpoint answers this."""
    Peer.objects.update(userinfo_endpoint=f"{fake_peer.url}/userinfo/")

    def go(reply: Any) -> Any:
        fake_peer.answers["/userinfo/"] = reply
        return come_back_with(sub="account-1")

    return go


@pytest.mark.rfc("OpenID Connect Core 1.0", "5.3")
def test_the_name_that_an_id_token_lacks_is_asked_for_with_the_access_token(
    come_back_without_name: Callable[..., Any], fake_peer: FakePeer, browser: Client
) -> None:
    claims = {"sub": "account-1", "preferred_username": "alice.plays", "name": "Alice"}

    response = come_back_without_name(Reply.json(**claims))

    assert Link.objects.get().account_name == "alice.plays"
    assert "alice.plays" in browser.get(response["Location"]).content.decode()
    (asked,) = fake_peer.to("/userinfo/")
    assert asked.method == "GET"
    assert asked.headers["Authorization"] == "Bearer token-of-the-peer"


@pytest.mark.threat("L82")
@pytest.mark.rfc("OpenID Connect Core 1.0", "5.3.2")
@pytest.mark.parametrize(
    "reply",
    [
        Reply.json(sub="account-2", name="Mallory"),
        Reply.json(name="Nobody"),
        Reply.json(sub=None, name="Nobody"),
        Reply.json(401, error="invalid_token", sub="account-1", name="Alice"),
        Reply(500),
        Reply(302, headers={"Location": "/elsewhere/"}),
        Reply(200, b"<h1>Alice</h1>"),
        Reply(200, b"[" * 50_000),
        Reply(200, b"x" * 70_000),
        Reply.json(sub="account-1"),
        Reply.json(sub="account-1", name=["Alice"]),
    ],
    ids=[
        "another account",
        "no account",
        "account null",
        "401",
        "500",
        "redirect",
        "a page",
        "deep",
        "long",
        "no name",
        "a list",
    ],
)
def test_whatever_the_userinfo_endpoint_answers_the_account_is_connected(
    come_back_without_name: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
) -> None:
    response = come_back_without_name(reply)

    assert "consent" in response["Location"]
    link = Link.objects.get()
    assert (link.subject, link.account_name) == ("account-1", "")
    assert "token-of-the-peer" not in caplog.text


@pytest.mark.threat("L82", "H1")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "https://10.0.0.1/", "http://peer.example/"]
)
def test_a_userinfo_endpoint_that_cannot_be_called_breaks_nothing(
    come_back_with: Callable[..., Any], url: str
) -> None:
    always_had(userinfo_endpoint=url)

    response = come_back_with(sub="account-1")

    assert "consent" in response["Location"]
    assert Link.objects.get().subject == "account-1"


def test_a_name_in_the_id_token_is_enough(
    come_back_with: Callable[..., Any], openid_peer: Peer, fake_peer: FakePeer
) -> None:
    Peer.objects.update(userinfo_endpoint=f"{fake_peer.url}/userinfo/")

    come_back_with(name="Alice")

    assert fake_peer.to("/userinfo/") == []


@pytest.mark.threat("X51")
def test_the_token_is_not_sent_to_a_userinfo_endpoint_that_the_secret_was_not_entered_for(
    come_back_with: Callable[..., Any],
) -> None:
    elsewhere = FakePeer()
    Peer.objects.update(userinfo_endpoint=f"{elsewhere.url}/userinfo/")

    response = come_back_with(sub="account-1")
    elsewhere.stop()

    assert "consent" in response["Location"]
    assert elsewhere.requests == []


def test_a_name_that_the_peer_told_once_is_kept_where_it_tells_none_today(
    come_back_without_name: Callable[..., Any],
) -> None:
    come_back_without_name(Reply.json(sub="account-1", name="Alice"))
    come_back_without_name(Reply(500))

    assert Link.objects.get().account_name == "Alice"
