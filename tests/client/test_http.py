"""The HTTP client: what goes out, what errors say, and what is left behind afterwards."""

import contextlib
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable

import pytest
import requests
from django.views.debug import ExceptionReporter
from pytest_django import Settings
from requests.auth import HTTPBasicAuth

from reciprocal_oauth.client import http
from reciprocal_oauth.exceptions import AddressRefused, PeerError, PeerUnreachable

from ..fakes import FakePeer, Reply
from ..names import Names
from .leaks import nothing_left_behind
from .servers import FUTURE, RawServer, answering, dripping, resetting

SENT = {"code": "c0de-canary", "access_token": "t0ken-canary", "client_secret": "s3cret-canary"}
CANARIES = [*SENT.values(), "qu3ry-canary", "b4sic-canary"]

Serve = Callable[..., RawServer]


def connections_tried(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that a connection is tried to from now on."""
    tried: list[object] = []
    connect = socket.socket.connect

    def noting(self: socket.socket, address: object) -> None:
        tried.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", noting)
    return tried


def _call(url: str) -> http.PeerResponse:
    return http.call(
        "POST", f"{url}?q=qu3ry-canary", data=SENT, auth=HTTPBasicAuth("us", "b4sic-canary")
    )


@pytest.mark.rfc("6749", "B")
def test_form_fields_go_out_as_utf_8(fake_peer: FakePeer) -> None:
    http.call("POST", f"{fake_peer.url}/token/", data={"client_id": "Müller & Söhne=1"})

    sent = fake_peer.requests[0]
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent.body == "client_id=M%C3%BCller+%26+S%C3%B6hne%3D1"
    assert sent.headers["User-Agent"].startswith("reciprocal_oauth/")


def test_a_response_with_an_error_status_is_returned(fake_peer: FakePeer) -> None:
    fake_peer.answers["/"] = Reply(503, b"down", {"Retry-After": "120"})

    response = http.call("GET", f"{fake_peer.url}/")

    assert (response.status, response.body, response.headers["retry-after"]) == (
        503,
        b"down",
        "120",
    )


@pytest.mark.threat("X2")
def test_the_repr_of_a_response_does_not_show_its_body(fake_peer: FakePeer) -> None:
    fake_peer.answers["/"] = Reply(200, b"t0ken-canary")

    assert "canary" not in repr(http.call("GET", f"{fake_peer.url}/"))


def _failures() -> dict[str, Callable[[Serve], object]]:
    return {
        "refused address": lambda serve: _call("https://10.0.0.1/token/"),
        "bad URL": lambda serve: _call("http://peer.example/s3cret-canary/"),
        "URL that requests refuses": lambda serve: _call("https://.example/token/"),
        "unknown name": lambda serve: _call("https://no-such-name.invalid/token/"),
        "closed port": lambda serve: _call("http://127.0.0.1:9/token/"),
        "no TLS": lambda serve: _call(
            serve(answering(b"x")).url.replace("http:", "https:") + "/token/"
        ),
        "reset": lambda serve: _call(serve(resetting()).url),
        "garbage": lambda serve: _call(serve(answering(b"c0de-canary\r\n\r\n")).url),
        "half a body": lambda serve: _call(
            serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nt0ken-canary")).url
        ),
        "slow": lambda serve: _call(serve(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y")).url),
    }


@pytest.mark.threat("X2", "X3")
@pytest.mark.parametrize("failure", _failures())
def test_no_error_shows_what_was_sent(failure: str, serve: Serve, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.4}

    with pytest.raises(PeerError) as caught:
        _failures()[failure](serve)

    # What an error report says, with the local variables of every frame but those of this test.
    report = ExceptionReporter(None, caught.type, caught.value, caught.tb).get_traceback_data()
    frames = [frame for frame in report["frames"] if frame["filename"] != __file__]
    shown = str([report["exception_value"], repr(caught.value), [f["vars"] for f in frames]])
    assert not [canary for canary in CANARIES if canary in shown]
    assert frames[-1]["function"] == "call"


@pytest.mark.threat("X2")
def test_an_unexpected_fault_below_is_not_raised_with_what_it_holds(
    fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"can't start new thread for {SENT}")

    monkeypatch.setattr(threading.Thread, "start", fail)

    with pytest.raises(PeerUnreachable, match="RuntimeError") as caught:
        _call(f"{fake_peer.url}/token/")

    assert "canary" not in str(caught.value)
    assert "start" not in [frame.name for frame in traceback.extract_tb(caught.tb)]


@pytest.mark.threat("X2")
@pytest.mark.parametrize(
    "before",
    [b"X: y\r\n", b"Content-Type: multipart/mixed; boundary=x\r\n", b" "],
    ids=["a line without a colon", "in an answer of parts", "a first line that goes on"],
)
def test_a_request_that_comes_back_among_the_headers_is_not_logged(
    before: bytes, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(connection: socket.socket) -> None:
        body = server.requests[0].partition(b"\r\n\r\n")[2]
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + before + body + b"\r\n\r\n")

    server = serve(echo)
    caplog.set_level(logging.DEBUG)

    if FUTURE:
        with pytest.raises(PeerUnreachable, match="InvalidHeader|ProtocolError"):
            http.call("POST", f"{server.url}/token/", data=SENT)
    else:
        assert http.call("POST", f"{server.url}/token/", data=SENT).status == 200

    assert b"c0de-canary" in server.requests[0]
    assert "canary" not in caplog.text


@pytest.mark.threat("H8", "R26")
def test_neither_threads_nor_files_are_left_behind(serve: Serve, fake_peer: FakePeer) -> None:
    targets = [f"{fake_peer.url}/token/", serve(answering(b"garbage\r\n\r\n")).url]
    targets.append(serve(answering(b"HTTP/1.0 200 OK\r\n\r\nno length")).url)
    targets.append(serve(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)).url)

    def call_each() -> None:
        for url in targets:
            with contextlib.suppress(PeerUnreachable):
                http.call("POST", url)

    call_each()
    with nothing_left_behind():
        for _ in range(250):
            call_each()


def test_each_exchange_on_a_kept_connection_has_its_own_deadline(
    fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 2}

    def slow(received: object) -> Reply:
        time.sleep(0.8)
        return Reply()

    fake_peer.answers["/"] = slow

    with http.HardenedSession() as session:
        assert [session.get(fake_peer.url).status_code for _ in range(3)] == [200, 200, 200]


def test_a_kept_connection_that_the_deadline_has_closed_is_replaced(
    fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 1}
    fake_peer.answers["/"] = Reply()

    with http.HardenedSession() as session:
        session.get(fake_peer.url)
        time.sleep(1.2)
        assert session.get(fake_peer.url).status_code == 200


def test_a_session_says_with_requests_errors_that_the_deadline_has_passed(
    serve: Serve, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.3}
    server = serve(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"))

    with http.HardenedSession() as session, pytest.raises(requests.exceptions.Timeout):
        session.get(server.url, timeout=60)


@pytest.mark.threat("H1", "H81")
@pytest.mark.allow_hosts(["127.0.0.0/8"])
def test_connecting_has_one_limit_over_all_addresses(
    names: Names,
    swallow: Callable[..., int],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.RECIPROCAL_OAUTH = {
        "HTTP_CONNECT_TIMEOUT_SECONDS": 1.2,
        "HTTP_ALLOW_LOOPBACK": True,
    }
    names.resolve("peer.localhost", [f"127.0.0.{n}" for n in range(2, 50)])
    port = swallow("0.0.0.0")
    tried = connections_tried(monkeypatch)
    begun = time.monotonic()

    with nothing_left_behind(), pytest.raises(PeerUnreachable, match="did not respond in time"):
        http.call("GET", f"http://peer.localhost:{port}/")

    assert time.monotonic() - begun >= 1.2
    assert 2 <= len(tried) <= 6


@pytest.mark.threat("H81")
@pytest.mark.allow_hosts(["127.0.0.0/8"])
@pytest.mark.rfc("8305", "5")
def test_an_address_that_swallows_packets_does_not_hide_the_next(
    names: Names, fake_peer: FakePeer, swallow: Callable[..., int]
) -> None:
    names.resolve("peer.localhost", ["127.0.0.2", "127.0.0.1"])
    port = swallow("127.0.0.2", int(fake_peer.url.rpartition(":")[2]))

    with nothing_left_behind():
        assert http.call("POST", f"http://peer.localhost:{port}/token/").status == 200


@pytest.mark.rfc("8305", "4")
def test_the_families_of_addresses_take_turns(
    names: Names, connected_to: list[object], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {}
    v6 = ["2a00::1", "2a00::2", "2a00::3"]
    names.resolve("peer.example", [*v6, "93.184.216.34"])

    with pytest.raises(PeerUnreachable, match="nothing listens there"):
        http.call("GET", "https://peer.example/")

    tried = [address for address, _port in connected_to]  # type: ignore[misc]
    assert tried == ["2a00::1", "93.184.216.34", "2a00::2", "2a00::3"]


def test_a_second_address_is_tried_when_the_first_does_not_answer(
    names: Names, fake_peer: FakePeer
) -> None:
    names.resolve("peer.localhost", ["::1", "127.0.0.1"])
    port = fake_peer.url.rpartition(":")[2]

    assert http.call("POST", f"http://peer.localhost:{port}/token/").status == 200


def test_the_adapter_refuses_a_bad_url_whoever_calls_it() -> None:
    with http.HardenedSession() as session, pytest.raises(AddressRefused):
        session.get("http://peer.example/")
