"""What is believed of a token response (RFC 6749, section 5.1), whatever its shape."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.client.token_endpoint import TokenResponse
from reciprocal_oauth.exceptions import BadResponse
from reciprocal_oauth.links import outgoing_access
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply, token_response

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEN_YEARS = 10 * 365 * 24 * 3600

Ask = Callable[[Reply], TokenResponse]


@pytest.fixture
def ask(fake_peer: FakePeer, music: Callable[..., Peer]) -> Ask:
    """What comes of a token request that is answered so."""

    def request(reply: Reply) -> TokenResponse:
        fake_peer.answers["/token/"] = reply
        return token_endpoint.request_token(music(fake_peer.url), {"grant_type": "refresh_token"})

    return request


def _raw(**members: str) -> Reply:
    """A token response in which some members stand as JSON text."""
    good = {"access_token": '"at"', "token_type": '"Bearer"', **members}
    return Reply(200, ("{" + ", ".join(f'"{k}": {v}' for k, v in good.items()) + "}").encode())


@pytest.mark.rfc("6749", "5.1")
def test_a_token_response_is_read(ask: Ask) -> None:
    with time_machine.travel(NOON, tick=False):
        response = ask(token_response(reciprocal="playback", id_token="a.b.c"))

    assert response.access_token.reveal() == "token-of-the-peer"
    assert response.refresh_token == Secret("refresh-of-the-peer")
    assert response.scope == "play"
    assert response.id_token == Secret("a.b.c")
    assert (response.has_reciprocal, response.reciprocal) == (True, "playback")
    margin = timedelta(seconds=token_endpoint.EXPIRY_MARGIN_SECONDS)
    assert response.expires_at == NOON + timedelta(hours=1) - margin


@pytest.mark.parametrize("body", [b'{"access_token": "at", "token_type": "Bearer"}',
                                  b'{"access_token": "at", "token_type": null}',
                                  b'{"access_token": "at"}'])  # fmt: skip
def test_only_the_access_token_is_needed(body: bytes, ask: Ask) -> None:
    """``token_type`` is REQUIRED, but servers leave it out that know no type but Bearer."""
    response = ask(Reply(200, body))

    assert response.access_token.reveal() == "at"
    assert (response.refresh_token, response.scope, response.expires_at, response.id_token) == (
        None,
    ) * 4
    assert not response.has_reciprocal


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.threat("T60")
@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
def test_any_2xx_with_a_token_response_is_one(status: int, ask: Ask) -> None:
    good = token_response()

    assert ask(Reply(status, good.body)).refresh_token == Secret("refresh-of-the-peer")


@pytest.mark.rfc("8259", "8.1")
@pytest.mark.threat("T60")
def test_a_byte_order_mark_before_the_json_is_passed_over(ask: Ask) -> None:
    assert ask(Reply(200, b"\xef\xbb\xbf" + token_response().body)).access_token


BAD = {
    "blank token": _raw(access_token='""'),
    "token of spaces": _raw(access_token='"   "'),
    "token that is a number": _raw(access_token="5"),
    "token that is null": _raw(access_token="null"),
    "token that is a list": _raw(access_token='["at"]'),
    "token of more than 8 KiB": _raw(access_token=f'"{"x" * 8193}"'),
    "token with a line break": _raw(access_token='"a\\r\\nX-Evil: 1"'),
    "token with NUL": _raw(access_token='"a\\u0000b"'),
    "token with DEL": _raw(access_token='"a\\u007fb"'),
    "token with a letter outside ASCII": _raw(access_token='"tökén"'),
    "token with a lone surrogate": _raw(access_token='"\\ud800"'),
    "no token": Reply(200, b'{"token_type": "Bearer"}'),
    "other token type": _raw(token_type='"mac"'),
    "blank token type": _raw(token_type='""'),
    "token type that is a list": _raw(token_type='["Bearer"]'),
    "empty body": Reply(200, b""),
    "201 without a token": Reply(201, b"{}"),
    "204": Reply(204, b""),
    "HTML": Reply(200, b"<html>ok</html>"),
    "half of the JSON": Reply(200, b'{"access_token": "at", "token_type": "Bea'),
    "a list": Reply(200, b'[{"access_token": "at"}]'),
    "a string": Reply(200, b'"at"'),
    "form-encoded": Reply(200, b"access_token=at&token_type=bearer"),
    "UTF-16": Reply(200, '{"access_token": "at", "token_type": "Bearer"}'.encode("utf-16")),
    "not UTF-8": Reply(200, b'{"access_token": "\xff", "token_type": "Bearer"}'),
    "5,000-digit number": _raw(expires_in="9" * 5000),
    "200,000 brackets": _raw(x="[" * 200_000),
    "too long a body": _raw(x=f'"{"x" * 70_000}"'),
    "broken compression": Reply(200, b"x", {"Content-Encoding": "gzip"}),
}


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.threat("T6", "F21")
@pytest.mark.parametrize("fault", BAD)
def test_a_response_that_cannot_be_used_is_a_bad_response(
    fault: str, ask: Ask, settings: Settings
) -> None:
    with pytest.raises(BadResponse):
        ask(BAD[fault])

    # Where more is read, the parser itself must hold.
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_MAX_RESPONSE_BYTES": 10**6}
    if fault != "too long a body":
        with pytest.raises(BadResponse):
            ask(BAD[fault])


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_token_type_is_read_without_regard_to_case(token_type: str, ask: Ask) -> None:
    assert ask(token_response(token_type=token_type)).access_token


@pytest.mark.threat("T6")
def test_a_token_of_eight_kibibytes_is_taken(ask: Ask) -> None:
    assert ask(token_response(access_token="x" * 8192)).access_token.reveal() == "x" * 8192


@pytest.mark.threat("T6", "T64")
def test_a_refresh_token_of_eight_kibibytes_is_taken(ask: Ask) -> None:
    assert ask(token_response(refresh_token="x" * 8192)).refresh_token == Secret("x" * 8192)


@pytest.mark.threat("T6", "T64")
def test_a_refresh_token_that_is_too_long_is_not_dropped_unseen(ask: Ask) -> None:
    with pytest.raises(BadResponse, match="refresh_token of more than 8192 characters"):
        ask(token_response(refresh_token="x" * 8193))


@pytest.mark.threat("T64", "X2")
@pytest.mark.parametrize("value", ["töken", "a\nb", ["x"]])
def test_one_that_is_no_token_is_named_in_the_log(
    value: Any, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(token_response(refresh_token=value)).refresh_token is None

    assert "music sent a refresh_token that cannot be used" in caplog.text
    assert str(value) not in caplog.text


EXPIRIES = [
    ("3600", 3570.0),
    ("3600.9", 3570.9),
    ('"3600"', 3570.0),
    ("61", 31.0),
    ("60", 30.0),
    ("20", 10.0),
    ("1", 0.5),
    ("0", 0.0),
    ("-1", None),
    ('"-1"', None),
    ('"3600s"', None),
    ('""', None),
    ('"\\u00b2"', None),
    ('"\\u0661\\u0662"', None),
    ("null", None),
    ("true", None),
    ("[3600]", None),
    ("{}", None),
    ("1e999", None),
    ("-1e999", None),
    ("NaN", None),
    ("1e300", TEN_YEARS - 30),
    ("9" * 400, TEN_YEARS - 30),
    ('"' + "9" * 400 + '"', None),
]


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.threat("F21", "Y5")
@pytest.mark.parametrize(("value", "seconds"), EXPIRIES, ids=lambda each: str(each)[:20])
def test_what_expires_in_means(value: str, seconds: float | None, ask: Ask) -> None:
    with time_machine.travel(NOON, tick=False):
        expires_at = ask(_raw(expires_in=value)).expires_at

    assert expires_at == (None if seconds is None else NOON + timedelta(seconds=seconds))


@pytest.mark.threat("T63")
@pytest.mark.parametrize("expires_in", [20, 3600])
def test_a_token_that_cannot_be_renewed_works_to_its_end(expires_in: int, ask: Ask) -> None:
    link = Link()
    with time_machine.travel(NOON, tick=False):
        outgoing_access.set_tokens(link, ask(_raw(expires_in=str(expires_in))), asked_scope="play")

    assert link.access_token_expires_at == NOON + timedelta(seconds=expires_in)


@pytest.mark.threat("Y5")
def test_the_life_of_a_token_counts_from_the_request_and_not_from_the_answer(
    fake_peer: FakePeer, music: Callable[..., Peer]
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:

        def answer_late(received: object) -> Reply:
            clock.shift(10)
            return token_response(expires_in=100)

        fake_peer.answers["/token/"] = answer_late
        response = token_endpoint.request_token(music(fake_peer.url), {})

    assert response.expires_at == NOON + timedelta(seconds=70)


@pytest.mark.rfc("6749", "3.3")
@pytest.mark.parametrize(
    ("value", "scope"),
    [
        ("play", "play"),
        ("play  read play", "play read"),
        ("", ""),
        ("play,read", "play read"),
        ("play, read", "play read"),
        (["play", "read"], "play read"),
        (["play", 5], None),
        ({"play": True}, None),
        (None, None),
        (5, None),
        ("pl\u00e4y", None),
        ('pl"ay', None),
        ("play\tread", None),
        ("x" * 5000, None),
    ],
)
def test_what_scope_means(value: Any, scope: str | None, ask: Ask) -> None:
    assert ask(token_response(scope=value)).scope == scope


@pytest.mark.rfc("6749", "6")
@pytest.mark.threat("T6")
@pytest.mark.parametrize(
    "members",
    [{}, {"refresh_token": '""'}, {"refresh_token": "null"}, {"refresh_token": '"a\\nb"'}],
    ids=["left out", "blank", "null", "unusable"],
)
def test_without_a_usable_new_refresh_token_the_old_one_is_kept(
    members: dict[str, str], ask: Ask
) -> None:
    link = Link(refresh_token=Secret("old-refresh"))

    outgoing_access.set_tokens(link, ask(_raw(**members)), asked_scope="play")

    assert link.refresh_token.reveal() == "old-refresh"
    assert link.access_token.reveal() == "at"


@pytest.mark.rfc("6749", "5.1")
def test_without_a_scope_it_is_the_one_asked_for(ask: Ask) -> None:
    link = Link()

    outgoing_access.set_tokens(link, ask(_raw()), asked_scope="play read")
    assert link.outgoing_scope == "play read"
    outgoing_access.set_tokens(link, ask(_raw(scope='"read"')), asked_scope="play read")
    assert link.outgoing_scope == "read"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_members = ("access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token")


@pytest.mark.threat("F21", "R5")
@hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.dictionaries(st.sampled_from(_members), _json))
def test_no_json_makes_reading_it_fail_in_another_way(ask: Ask, changes: dict[str, Any]) -> None:
    body = json.dumps({"access_token": "at", "token_type": "Bearer", **changes}).encode()
    try:
        response = ask(Reply(200, body))
    except BadResponse:
        return
    response.access_token.reveal().encode("ascii")
    assert response.expires_at is None or response.expires_at.year > 2000


@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.3")
@pytest.mark.parametrize("id_token", ["x" * 40_000, "a b", 5, ["x"], ""])
def test_an_id_token_that_cannot_be_read_is_not_taken_for_none(
    peer: Peer, fake_peer: FakePeer, id_token: Any
) -> None:
    """It would have to be checked, and says whose account it is."""
    fake_peer.answers["/token/"] = token_response(id_token=id_token)

    with pytest.raises(BadResponse, match="id_token"):
        token_endpoint.request_token(peer, {"grant_type": "authorization_code", "code": "x"})
