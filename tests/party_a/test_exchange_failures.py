"""Steps (C) and (D) when the peer is not there, refuses, or answers nonsense.

Each time nothing is half saved, a page explains and offers another try, and that try works.
"""

import gzip
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Link, LinkEvent, OutboxItem, Peer

from ..conftest import always_had
from ..fakes import FakePeer, Received, Reply, token_response
from .visits import connect

Problem = AuthorizationRequest.Problem

REFUSED = "refused to give this site access"
UNUSABLE = "sent a response that this site cannot use"
UNREACHABLE = "could not be reached"
ERROR = "responded with an error"


@pytest.fixture
def assert_can_try_again(browser: Client, fake_peer: FakePeer) -> Callable[..., None]:
    """Asserts that ``response``, the callback's, leads to a page that says ``words``; that nothing
    was saved; and that the button on the page leads to a connection once the peer is well."""

    def check(response: Any, problem: str, words: str) -> None:
        assert response.status_code == 303
        assert not Link.objects.exists()
        assert not LinkEvent.objects.exists()
        assert not OutboxItem.objects.exists()
        assert AuthorizationRequest.objects.get().problem == problem
        page = browser.get(response["Location"]).content.decode()
        assert "Music was not connected" in page
        assert words in page
        assert "Try again" in page
        fake_peer.answers["/token/"] = token_response()
        assert "/consent/" in connect(browser)["Location"]
        assert Link.objects.get().access_token.reveal() == "token-of-the-peer"

    return check


def tokens(**members: Any) -> Reply:
    """A token response with other members; ``None`` leaves one out."""
    body = json.loads(token_response(**members).body)
    return Reply.json(**{name: value for name, value in body.items() if value is not None})


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    ("answer", "problem", "words"),
    [
        (Reply.json(400, error="invalid_grant"), Problem.PEER_REFUSED, REFUSED),
        (Reply.json(200, error="invalid_grant"), Problem.PEER_REFUSED, REFUSED),
        (Reply(400, b"<h1>Bad request</h1>"), Problem.PEER_ERROR, ERROR),
        (Reply(400, b""), Problem.PEER_REFUSED, REFUSED),
        (Reply(404, b""), Problem.PEER_REFUSED, REFUSED),
        (Reply.json(400, error=["\ud800", {}]), Problem.PEER_REFUSED, REFUSED),
        (Reply(500, b"Traceback"), Problem.PEER_ERROR, ERROR),
        (Reply(503, b"", {"Retry-After": "soon"}), Problem.PEER_ERROR, ERROR),
    ],
    ids=[
        "400",
        "200 with an error",
        "400 HTML",
        "400 bare",
        "404",
        "400 odd error",
        "500",
        "503",
    ],
)
def test_an_error_of_the_peer(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
    answer: Reply,
    problem: str,
    words: str,
) -> None:
    fake_peer.answers["/token/"] = answer

    assert_can_try_again(connect(browser), problem, words)


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    ("answer", "problem", "error"),
    [
        (Reply.json(401, error="invalid_client"), Problem.CREDENTIALS, "invalid_client"),
        (Reply.json(400, error="invalid_client"), Problem.CREDENTIALS, "invalid_client"),
        (Reply(401), Problem.CREDENTIALS, ""),
        (Reply.json(400, error="invalid_scope"), Problem.SCOPE, "invalid_scope"),
        (Reply.json(400, error="unauthorized_client"), Problem.SETUP, "unauthorized_client"),
        (Reply.json(400, error="unsupported_grant_type"), Problem.SETUP, "unsupported_grant_type"),
    ],
)
def test_an_error_that_only_an_administrator_can_mend_is_not_tried_again(
    browser: Client, peer: Peer, fake_peer: FakePeer, answer: Reply, problem: str, error: str
) -> None:
    fake_peer.answers["/token/"] = answer

    page = browser.get(connect(browser)["Location"]).content.decode()

    visit = AuthorizationRequest.objects.get()
    assert (visit.problem, visit.error) == (problem, error)
    assert "an administrator of this site needs to check the settings of Music" in page
    assert "Try again" not in page


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.threat("T6", "H8")
@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"<!doctype html><title>Log in</title>", {"Content-Type": "text/html"}),
        Reply(200, b""),
        Reply(200, b'{"access_token": "tok'),
        Reply(200, b"[" * 30_000),
        Reply(200, b'{"a": ' * 5_000 + b"1" + b"}" * 5_000),
        Reply(200, b'{"expires_in": ' + b"9" * 5_000 + b"}"),
        Reply(200, b"\xff\xfe{}"),
        Reply(200, b'["access_token"]'),
        Reply(200, b"null"),
        Reply(200, b" " * 70_000 + token_response().body),
        Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
        Reply(200, gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}),
        tokens(token_type="mac"),
        tokens(token_type=["Bearer"]),
        tokens(access_token=None),
        tokens(access_token=""),
        tokens(access_token=12345),
        tokens(access_token="token\r\nX-Evil: 1"),
        tokens(access_token="token\x00"),
        tokens(access_token="to ken"),
        tokens(access_token="tokén"),
        tokens(access_token="\ud800"),
        tokens(access_token="t" * 8_193),
    ],
    ids=[
        "HTML",
        "empty",
        "half JSON",
        "deep list",
        "deep object",
        "long number",
        "not UTF-8",
        "list",
        "null",
        "too long",
        "broken gzip",
        "gzip bomb",
        "other token type",
        "list of token types",
        "no token",
        "empty token",
        "number for a token",
        "line break in token",
        "NUL in token",
        "space in token",
        "token not ASCII",
        "half a surrogate pair",
        "token over 8 KiB",
    ],
)
def test_an_answer_that_is_no_token_response(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
    answer: Reply,
) -> None:
    fake_peer.answers["/token/"] = answer

    assert_can_try_again(connect(browser), Problem.BAD_RESPONSE, UNUSABLE)


@pytest.mark.threat("T60")
@pytest.mark.parametrize(
    "answer",
    [
        Reply(201, token_response().body),
        Reply(200, b"\xef\xbb\xbf" + token_response().body),
        tokens(token_type=None),
    ],
    ids=["201", "byte order mark", "no token type"],
)
def test_a_token_response_in_an_unusual_form_connects(
    browser: Client, peer: Peer, fake_peer: FakePeer, answer: Reply
) -> None:
    fake_peer.answers["/token/"] = answer

    assert "/consent/" in connect(browser)["Location"]
    assert Link.objects.get().access_token.reveal() == "token-of-the-peer"


def test_no_answer_before_the_deadline(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    settings: Settings,
    assert_can_try_again: Callable[..., None],
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_TOTAL_TIMEOUT_SECONDS": 0.2}
    gone = threading.Event()

    def hang(received: Received) -> Reply:
        gone.wait(10)
        return token_response()

    fake_peer.answers["/token/"] = hang
    response = connect(browser)
    gone.set()

    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_TOTAL_TIMEOUT_SECONDS": 15}
    assert_can_try_again(response, Problem.PEER_UNREACHABLE, UNREACHABLE)


def test_a_connection_that_is_closed_without_an_answer(
    browser: Client,
    make_peer: Callable[..., Peer],
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        make_peer("music", f"http://127.0.0.1:{server.getsockname()[1]}")
        closing = threading.Thread(target=lambda: server.accept()[0].close())
        closing.start()
        response = connect(browser)
        closing.join()

    always_had(token_endpoint=f"{fake_peer.url}/token/")
    assert_can_try_again(response, Problem.PEER_UNREACHABLE, UNREACHABLE)


def test_a_peer_that_does_not_run(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
) -> None:
    always_had(token_endpoint="http://127.0.0.1:9/token/")
    response = connect(browser)

    always_had(token_endpoint=f"{fake_peer.url}/token/")
    assert_can_try_again(response, Problem.PEER_UNREACHABLE, UNREACHABLE)


@pytest.mark.threat("X7")
def test_a_secret_of_ours_that_no_key_reads(
    browser: Client, peer: Peer, settings: Settings, fake_peer: FakePeer
) -> None:
    """Only an administrator mends that, so the person is not told to try again."""
    keys = [Fernet.generate_key().decode()]
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ENCRYPTION_KEYS": keys}

    response = connect(browser)

    assert AuthorizationRequest.objects.get().problem == Problem.SETUP
    assert "an administrator" in browser.get(response["Location"]).content.decode()
    assert fake_peer.to("/token/") == []
    assert not Link.objects.exists()


@pytest.mark.threat("H1")
def test_an_address_that_is_never_called(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
) -> None:
    always_had(token_endpoint="https://169.254.169.254/token/")
    response = connect(browser)

    always_had(token_endpoint=f"{fake_peer.url}/token/")
    assert_can_try_again(response, Problem.PEER_UNREACHABLE, UNREACHABLE)


@pytest.mark.threat("H6")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_code(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    assert_can_try_again: Callable[..., None],
    status: int,
) -> None:
    evil = FakePeer()
    fake_peer.answers["/token/"] = Reply(status, b"", {"Location": f"{evil.url}/token/"})

    response = connect(browser)

    assert evil.requests == []
    evil.stop()
    assert_can_try_again(response, Problem.PEER_REFUSED, REFUSED)


def test_a_failed_attempt_to_connect_again_leaves_the_working_link_alone(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    connect(browser)
    before = Link.objects.values().get()
    fake_peer.answers["/token/"] = Reply(500)

    connect(browser)

    assert Link.objects.values().get() == before
