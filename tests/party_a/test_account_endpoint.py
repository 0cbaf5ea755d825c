"""The name of the account, from an endpoint that an administrator has named: for peers without
OpenID Connect."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from reciprocal_oauth.links import account_name
from reciprocal_oauth.models import Link, Peer

from ..conftest import always_had, wait_for_late_calls
from ..delivery.processes import soon
from ..fakes import FakePeer, Received, Reply, token_response
from .visits import begin

Connect = Callable[..., Any]


@pytest.fixture
def connect(browser: Client, peer: Peer, fake_peer: FakePeer) -> Connect:
    """Connects; the account endpoint answers this, and the name is in this member."""

    def go(reply: Any, member: str = "username") -> Any:
        always_had(account_endpoint=f"{fake_peer.url}/api/me/", account_member=member)
        fake_peer.answers["/api/me/"] = reply
        return begin(browser).come_back()

    return go


def test_the_account_is_named_before_the_person_decides_and_after(
    connect: Connect, fake_peer: FakePeer, browser: Client
) -> None:
    response = connect(Reply.json(username="alice@music.example"))

    assert "alice@music.example" in browser.get(response["Location"]).content.decode()
    assert "alice@music.example" in browser.get("/connections/").content.decode()
    link = Link.objects.get()
    for page in ("", "disconnect/"):
        url = f"/connections/links/{link.pk}/{page}"
        assert "alice@music.example" in browser.get(url).content.decode()
    (asked,) = fake_peer.to("/api/me/")
    assert (asked.method, asked.headers["Authorization"]) == ("GET", "Bearer token-of-the-peer")


@pytest.mark.threat("L82")
@pytest.mark.parametrize(
    ("members", "member", "name"),
    [
        ({"user": {"email": "a@b.example"}}, "user.email", "a@b.example"),
        ({"user.email": "dotted", "user": {"email": "inner"}}, "user.email", "dotted"),
        ({"id": 1234567}, "id", "1234567"),
        ({"id": 10**400}, "id", "1" + "0" * 99),
        ({"username": "ali\u202ece\x00\n  Blue\u200b"}, "username", "alice Blue"),
        ({"username": "x" * 5_000}, "username", "x" * 100),
    ],
    ids=["inner", "a name with a dot", "number", "huge number", "invisible characters", "long"],
)
def test_the_name_is_read_where_the_administrator_says_and_cleaned(
    connect: Connect, members: dict[str, Any], member: str, name: str
) -> None:
    connect(Reply.json(**members), member)

    assert Link.objects.get().account_name == name


@pytest.mark.threat("L82")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(401, b'{"error": "invalid_token"}'),
        Reply(302, headers={"Location": "/elsewhere/"}),
        Reply(200, b"<h1>Alice</h1>"),
        Reply(200, b'["alice"]'),
        Reply(200, b'{"username": NaN}'),
        Reply(200, b'{"username": 1e999}'),
        Reply(200, b'{"username": ' + b"9" * 5_000 + b"}"),
        Reply(200, b'{"username": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
        Reply.json(username=None),
        Reply.json(username=True),
        Reply.json(username={"first": "Alice"}),
        Reply.json(username="\u202e\u200b"),
        Reply.json(name="Alice"),
        Reply(200, b"x" * 70_000),
    ],
    ids=lambda reply: str((reply.status, reply.body[:30])),
)
def test_whatever_the_account_endpoint_answers_the_account_is_connected(
    connect: Connect, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    response = connect(reply)

    assert "consent" in response["Location"]
    assert Link.objects.get().account_name == ""
    assert "did not return the name of an account" in caplog.text
    assert "token-of-the-peer" not in caplog.text


@pytest.mark.threat("X51")
def test_the_token_is_not_sent_to_an_account_endpoint_at_another_site(
    connect: Connect, browser: Client
) -> None:
    elsewhere = FakePeer()
    connect(Reply(404))
    Peer.objects.update(account_endpoint=f"{elsewhere.url}/api/me/")

    response = begin(browser).come_back()
    elsewhere.stop()

    assert "consent" in response["Location"]
    assert elsewhere.requests == []


def test_a_connection_to_another_account_does_not_keep_the_name_of_the_one_before(
    connect: Connect,
) -> None:
    connect(Reply.json(username="alice"))
    connect(Reply(500))

    assert Link.objects.get().account_name == ""


def test_the_name_decides_nothing(connect: Connect) -> None:
    connect(Reply.json(username="alice"))
    connect(Reply.json(username="bob"))

    assert [(link.account_key, link.account_name) for link in Link.objects.all()] == [
        ("unknown", "bob")
    ]


def test_an_endpoint_without_a_member_is_not_asked(connect: Connect, fake_peer: FakePeer) -> None:
    connect(Reply.json(username="alice"), member="")

    assert fake_peer.to("/api/me/") == []


@pytest.mark.threat("L82")
@pytest.mark.django_db(transaction=True)
def test_a_slow_account_endpoint_does_not_keep_the_person_waiting(
    shared_database: None, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_name, "PATIENCE_SECONDS", 0.1)
    is_back = threading.Event()

    def slow(_request: Received) -> Reply:
        assert is_back.wait(10)
        return Reply.json(username="alice")

    response = connect(slow)
    assert "consent" in response["Location"]
    assert Link.objects.get().account_name == ""

    is_back.set()
    soon(lambda: Link.objects.get().account_name == "alice")
    wait_for_late_calls()


@pytest.mark.threat("L82")
@pytest.mark.django_db(transaction=True)
def test_a_name_that_comes_late_is_not_given_to_another_account(
    shared_database: None,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(account_name, "PATIENCE_SECONDS", 0.1)
    is_connected_again = threading.Event()

    def slow(_request: Received) -> Reply:
        assert is_connected_again.wait(10)
        return Reply.json(username="alice")

    connect(slow)
    monkeypatch.undo()
    connect(Reply.json(username="bob"))
    is_connected_again.set()
    wait_for_late_calls()

    assert Link.objects.get().account_name == "bob"


# OpenID Connect


@pytest.mark.rfc("OpenID Connect Core 1.0", "5.3")
def test_userinfo_is_asked_without_an_id_token_if_openid_was_granted(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    always_had(userinfo_endpoint=f"{fake_peer.url}/userinfo/")
    fake_peer.answers["/userinfo/"] = Reply.json(sub="account-1", preferred_username="alice.plays")
    fake_peer.answers["/token/"] = token_response(scope="openid play")

    begin(browser).come_back()

    link = Link.objects.get()
    assert (link.account_name, link.account_key) == ("alice.plays", "unknown")


def test_userinfo_is_not_asked_without_openid(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    always_had(userinfo_endpoint=f"{fake_peer.url}/userinfo/")

    begin(browser).come_back()

    assert fake_peer.to("/userinfo/") == []


def test_the_account_endpoint_is_asked_where_userinfo_tells_no_name(
    connect: Connect, browser: Client, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/userinfo/"] = Reply.json(sub="account-1")
    fake_peer.answers["/token/"] = token_response(scope="openid play")
    Peer.objects.update(userinfo_endpoint=f"{fake_peer.url}/userinfo/")

    connect(Reply.json(username="alice"))

    assert Link.objects.get().account_name == "alice"
