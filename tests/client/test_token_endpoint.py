"""Requests to a peer's token endpoint: how we authenticate, and what its refusals mean."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import unquote, unquote_plus

import pytest
import time_machine

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.exceptions import PeerRefused
from reciprocal_oauth.models import Peer
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply

Music = Callable[..., Peer]


def _credentials(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(encoded).decode()


@pytest.mark.rfc("6749", "2.3.1")
def test_basic_credentials_are_form_encoded_before_they_are_joined(
    fake_peer: FakePeer, music: Music
) -> None:
    peer = music(fake_peer.url, client_id="us:at music", client_secret=Secret("pä$$ /+%:wörd"))

    token_endpoint.request_token(peer, {"grant_type": "refresh_token"})

    sent = fake_peer.requests[0]
    assert _credentials(sent.headers["Authorization"]) == (
        "us%3Aat%20music:p%C3%A4%24%24%20%2F%2B%25%3Aw%C3%B6rd"
    )


@pytest.mark.rfc("6749", "2.3.1")
@pytest.mark.parametrize("decode", [unquote, unquote_plus], ids=["percent", "form"])
def test_servers_that_take_a_plus_for_a_space_and_those_that_do_not_read_the_same(
    fake_peer: FakePeer, music: Music, decode: Callable[[str], str]
) -> None:
    client_id, secret = "us at+music", "a b+c%20d&e=~*"
    peer = music(fake_peer.url, client_id=client_id, client_secret=Secret(secret))

    token_endpoint.request_token(peer, {"grant_type": "refresh_token"})

    sent = _credentials(fake_peer.requests[0].headers["Authorization"])
    assert [decode(part) for part in sent.split(":")] == [client_id, secret]


@pytest.mark.rfc("6749", "2.3")
def test_with_basic_the_secret_is_not_in_the_body_as_well(
    fake_peer: FakePeer, music: Music
) -> None:
    token_endpoint.request_token(music(fake_peer.url), {"grant_type": "refresh_token"})

    sent = fake_peer.requests[0]
    assert _credentials(sent.headers["Authorization"]) == "us-at-music:our-secret-at-the-peer"
    assert sent.form == {"grant_type": "refresh_token"}


@pytest.mark.rfc("6749", "2.3")
def test_with_the_secret_in_the_body_there_is_no_basic(fake_peer: FakePeer, music: Music) -> None:
    peer = music(fake_peer.url, token_endpoint_auth_method=Peer.AuthMethod.POST)

    token_endpoint.request_token(peer, {"grant_type": "refresh_token"})

    sent = fake_peer.requests[0]
    assert "Authorization" not in sent.headers
    assert sent.form == {
        "grant_type": "refresh_token",
        "client_id": "us-at-music",
        "client_secret": "our-secret-at-the-peer",
    }


def test_the_request_asks_for_json_at_the_configured_address(
    fake_peer: FakePeer, music: Music
) -> None:
    token_endpoint.request_token(music(fake_peer.url), {"code": "a b&c=é"})

    sent = fake_peer.requests[0]
    assert (sent.method, sent.path) == ("POST", "/token/")
    assert sent.headers["Accept"] == "application/json"
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent.form == {"code": "a b&c=é"}


REFUSALS = [
    (Reply.json(400, error="invalid_grant"), "invalid_grant"),
    (Reply.json(400, error="INVALID_GRANT"), "INVALID_GRANT"),
    (Reply.json(401, error="invalid_client", error_description="no"), "invalid_client"),
    (Reply(400, b""), ""),
    (Reply(400, b"<html>Bad Request</html>"), ""),
    (Reply(400, b'{"error": '), ""),
    (Reply(400, b"\xff\xfe"), ""),
    (Reply(400, b'"invalid_grant"'), ""),
    (Reply(400, b'["invalid_grant"]'), ""),
    (Reply.json(400, error=None), ""),
    (Reply.json(400, error={"code": "invalid_grant"}), ""),
    (Reply.json(400, error="x" * 61), ""),
    (Reply.json(400, error="invalid\r\ngrant"), ""),
    (Reply.json(400, error="invalid_grantÿ"), ""),
    (Reply(400, b"[" * 60_000), ""),
    (Reply(400, b"x" * 70_000), ""),
    (Reply(400, b"not gzip", {"Content-Encoding": "gzip"}), ""),
    (Reply(503, b"down"), ""),
    (Reply.json(200, error="invalid_grant"), "invalid_grant"),
    (Reply.json(201, error="not yet"), ""),
]


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("F21")
@pytest.mark.parametrize(("reply", "error"), REFUSALS, ids=lambda each: str(each)[:60])
def test_an_error_is_a_refusal_with_the_error_code_it_may_have(
    reply: Reply, error: str, fake_peer: FakePeer, music: Music
) -> None:
    fake_peer.answers["/token/"] = reply

    with pytest.raises(PeerRefused) as refused:
        token_endpoint.request_token(music(fake_peer.url), {})

    assert (refused.value.status, refused.value.error) == (reply.status, error)


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R4")
@time_machine.travel(datetime(2026, 11, 23, 12, 0, tzinfo=UTC), tick=False)
@pytest.mark.parametrize(
    ("header", "seconds"), [("120", 120.0), ("Mon, 23 Nov 2026 12:03:00 GMT", 180.0), ("x", None)]
)
def test_a_refusal_says_how_long_the_peer_wants_us_to_wait(
    header: str, seconds: float | None, fake_peer: FakePeer, music: Music
) -> None:
    fake_peer.answers["/token/"] = Reply(429, b"", {"Retry-After": header})

    with pytest.raises(PeerRefused) as refused:
        token_endpoint.request_token(music(fake_peer.url), {})

    assert refused.value.retry_after == seconds


@pytest.mark.threat("X2", "H12")
def test_what_a_peer_sends_back_to_us_does_not_get_into_an_error_text(
    fake_peer: FakePeer, music: Music
) -> None:
    fake_peer.answers["/token/"] = lambda received: Reply.json(
        400, error=received.form["code"], error_description=received.body
    )

    with pytest.raises(PeerRefused) as refused:
        token_endpoint.request_token(music(fake_peer.url), {"code": "c0de-Canary1"})

    assert "Canary1" not in f"{refused.value} {refused.value!r} {refused.value.error}"
