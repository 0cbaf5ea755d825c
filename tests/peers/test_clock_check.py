"""The connection check reads the time at the peer from its responses."""

import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest

from reciprocal_oauth.models import Peer
from tests.fakes import FakePeer, Reply

from .conftest import findings

SetAhead = Callable[[float], None]


@pytest.fixture
def set_ahead(good_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> SetAhead:
    """Sets the clock of the peer some seconds later than the clock of this site."""

    def change(seconds: float) -> None:
        def written(_handler: object, _timestamp: object = None) -> str:
            return formatdate(time.time() + seconds, usegmt=True)

        monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", written)

    return change


@pytest.mark.rfc("9110", "6.6.1")
@pytest.mark.parametrize("seconds", [0, 20, -20])
def test_a_small_difference_is_none(set_ahead: SetAhead, seconds: float) -> None:
    set_ahead(seconds)

    assert findings()["clock"] == ("passed", "They differ by at most 30 seconds.")


@pytest.mark.parametrize(("seconds", "way"), [(600, "ahead of"), (-600, "behind")])
def test_it_says_by_how_much_and_in_which_direction(
    set_ahead: SetAhead, seconds: float, way: str
) -> None:
    set_ahead(seconds)

    state, reason = findings()["clock"]

    assert state == "advice"
    amount = int(reason.split(" is ")[1].split(" seconds")[0])
    assert abs(seconds) - 60 < amount <= abs(seconds) + 1
    assert f"seconds {way} the clock here." in reason


@pytest.mark.threat("RV3")
@pytest.mark.parametrize(
    "written",
    [
        "",
        "soon",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT",
    ],
)
def test_a_time_that_is_none_breaks_nothing(
    good_peer: FakePeer, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: written)

    assert findings()["clock"] == (
        "unknown",
        "No response of the peer says what time it is there.",
    )


@pytest.mark.rfc("7523", "3")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
@pytest.mark.parametrize(
    ("values", "seconds", "state"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, 90, "failed"),
        ({"authenticates_here_by": "private_key_jwt"}, 90, "failed"),
        ({"scope": "openid play"}, 90, "advice"),
        ({"scope": "openid play"}, 300, "failed"),
        ({}, 300, "advice"),
    ],
)
def test_it_fails_where_something_signed_is_refused(
    set_ahead: SetAhead, values: dict[str, str], seconds: float, state: str
) -> None:
    set_ahead(seconds)
    Peer.objects.update(**values)

    assert findings()["clock"][0] == state


@pytest.mark.rfc("9111", "5.1")
def test_a_response_from_a_cache_tells_no_time(set_ahead: SetAhead, good_peer: FakePeer) -> None:
    set_ahead(-600)
    json = {"Content-Type": "application/json", "Age": "600"}
    good_peer.answers["/token/"] = Reply(400, b'{"error": "invalid_grant"}', json)
    good_peer.answers["/authorize/"] = Reply(200, b"Sign in", {"Age": "600"})

    assert findings()["clock"][0] == "unknown"


def test_a_time_that_nobody_can_read_is_none(
    good_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda _handler: "noon")

    assert findings()["clock"][0] == "unknown"
