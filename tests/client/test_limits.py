"""How much and how long a peer may talk: 64 KiB decoded, and a deadline for the whole exchange."""

import gzip
import socket
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.exceptions import BadResponse, PeerUnreachable

from ..fakes import FakePeer, Reply
from .servers import FUTURE, RawServer, answering, dripping, flooding, resetting

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DEADLINE_SECONDS = 0.4
FIVE_MEGABYTES = 5 * 1024 * 1024

Serve = Callable[..., RawServer]


@pytest.fixture
def short_deadline(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_TOTAL_TIMEOUT_SECONDS": DEADLINE_SECONDS
    }


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Fails the test if it needed more than five megabytes."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < FIVE_MEGABYTES


def _bomb(compress: Callable[[bytes], bytes]) -> bytes:
    return compress(b"\0" * 50 * 1024 * 1024)


@pytest.mark.threat("H8", "R5")
@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"Content-Length: 52428800\r\n\r\n", id="50 MB announced"),
        pytest.param(OK + b"\r\n", id="no length"),
    ],
)
def test_a_big_body_is_cut_and_is_an_error_for_those_who_want_it(
    answer: bytes, serve: Serve
) -> None:
    server = serve(flooding(answer, b"x" * 65536))

    found = http.call("GET", server.url)

    assert found.status == 200
    with pytest.raises(BadResponse, match="more than 65536 bytes"):
        _ = found.body


@pytest.mark.threat("H8")
@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"10000\r\n" + b"x" * 65536 + b"\r\n", id="chunks"),
        pytest.param(b"1\r\nx\r\n" * 1000, id="chunks of one byte"),
    ],
)
def test_endless_chunks_are_cut(piece: bytes, serve: Serve) -> None:
    server = serve(flooding(CHUNKED, piece))

    # urllib3-future reads so slowly what comes in pieces that the deadline may come first.
    cut = (BadResponse, PeerUnreachable) if FUTURE else BadResponse
    with pytest.raises(cut, match="more than 65536 bytes|in time"):
        _ = http.call("GET", server.url).body


@pytest.mark.threat("H8")
@pytest.mark.usefixtures("_little_memory", "short_deadline")
@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        pytest.param(CHUNKED, b"0" * 65536, id="the length of a chunk"),
        pytest.param(CHUNKED + b"1;", b"x" * 65536, id="the extension of a chunk"),
        pytest.param(CHUNKED + b"0\r\nX: ", b"x" * 65536, id="a trailer"),
        pytest.param(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000, id="trailers"),
        pytest.param(b"HTTP/1.1 200 ", b"x" * 65536, id="the status line"),
        pytest.param(OK + b"X: ", b"x" * 65536, id="a header"),
        pytest.param(OK, b"X: y\r\n", id="headers"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, id="interim answers"),
    ],
)
def test_an_endless_part_of_an_answer_fails_it(
    beginning: bytes, piece: bytes, serve: Serve
) -> None:
    server = serve(flooding(beginning, piece))

    with pytest.raises(PeerUnreachable):
        http.call("GET", server.url)


@pytest.mark.threat("H8")
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("gzip, gzip", None)],
)
def test_a_compressed_bomb_is_not_inflated(
    encoding: str, compress: Callable[[bytes], bytes] | None, fake_peer: FakePeer
) -> None:
    bomb = _bomb(compress) if compress else gzip.compress(_bomb(gzip.compress))
    fake_peer.answers["/"] = Reply(200, bomb, {"Content-Encoding": encoding})
    tracemalloc.start()

    response = http.call("GET", f"{fake_peer.url}/")

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than 65536 bytes" in response.problem
    assert peak < FIVE_MEGABYTES


@pytest.mark.parametrize("encoding", ["gzip"] if FUTURE else ["gzip", "X-Gzip"])
def test_a_compressed_body_of_the_right_size_is_read(encoding: str, fake_peer: FakePeer) -> None:
    body = gzip.compress(b"x" * 65536)
    fake_peer.answers["/"] = Reply(200, body, {"Content-Encoding": encoding})

    assert http.call("GET", f"{fake_peer.url}/").body == b"x" * 65536


def test_a_body_that_cannot_be_decoded_is_an_error_for_those_who_want_it(
    fake_peer: FakePeer,
) -> None:
    fake_peer.answers["/"] = Reply(200, b"not gzip", {"Content-Encoding": "gzip"})

    response = http.call("GET", f"{fake_peer.url}/")

    assert response.status == 200
    with pytest.raises(BadResponse, match="decoded"):
        _ = response.body


@pytest.mark.threat("H8")
@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, BR", "zstd,gzip", "x"])
def test_what_is_encoded_in_a_way_that_was_not_asked_for_is_not_decoded(
    encoding: str, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/"] = Reply(200, b"{}", {"Content-Encoding": encoding})

    response = http.call("GET", f"{fake_peer.url}/")

    assert fake_peer.requests[0].headers["Accept-Encoding"] == "gzip, deflate"
    assert (response.status, response.content) == (200, b"")
    with pytest.raises(BadResponse, match="decoded"):
        _ = response.body


@pytest.mark.threat("H8", "T2")
@pytest.mark.usefixtures("short_deadline")
@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        pytest.param(b"", b"", id="silence"),
        pytest.param(b"HTTP/1.1 2", b"0", id="in the status line"),
        pytest.param(OK + b"X-Slow: ", b"x", id="in a header"),
        pytest.param(OK, b"X: y\r\n", id="between headers"),
        pytest.param(OK + b"\r\n", b"x", id="in a body without length"),
        pytest.param(OK + b"Content-Length: 60000\r\n\r\n", b"x", id="in a body with length"),
        pytest.param(CHUNKED, b"1\r\nx\r\n", id="in chunks"),
    ],
)
def test_a_slow_answer_is_cut_at_the_deadline_and_not_taken_for_a_whole_one(
    beginning: bytes, drop: bytes, serve: Serve
) -> None:
    server = serve(dripping(beginning, drop))

    with pytest.raises(PeerUnreachable, match=r"in time\.$"):
        http.call("POST", server.url, data={"code": "c0de"})


@pytest.mark.threat("H8")
@pytest.mark.usefixtures("_little_memory")
@pytest.mark.skipif(FUTURE, reason="counts their bytes, see test_urllib3_future")
def test_more_than_a_hundred_headers_fail_the_answer(serve: Serve) -> None:
    headers = b"".join(b"X-%d: y\r\n" % n for n in range(1000))
    server = serve(answering(OK + headers + b"\r\n"))

    with pytest.raises(PeerUnreachable):
        http.call("GET", server.url)


@pytest.mark.threat("H8")
@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize(
    ("count", "length"),
    [(99, 65_000), (99, 700), (7, 10_000)],
    ids=["all there can be", "many", "long"],
)
@pytest.mark.parametrize("name", [b"X-%d: ", b" %d"], ids=["", "folded"])
@pytest.mark.skipif(FUTURE, reason="has a limit of its own, see test_urllib3_future")
def test_more_headers_than_64_kilobytes_fail_the_answer(
    name: bytes, count: int, length: int, serve: Serve
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(OK + b"X: y\r\n")
        for n in range(count):
            connection.sendall(name % n + b"y" * length + b"\r\n")
        connection.sendall(b"\r\n")

    with pytest.raises(PeerUnreachable, match="LineTooLong"):
        http.call("GET", serve(talk).url)


def test_headers_that_are_long_but_not_too_long_are_read(serve: Serve) -> None:
    server = serve(answering(OK + b"X: " + b"y" * 60_000 + b"\r\nContent-Length: 2\r\n\r\n{}"))

    response = http.call("GET", server.url)

    assert (len(response.headers["X"]), response.body) == (60_000, b"{}")


@pytest.mark.threat("R7")
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"H", id="one byte"),
        pytest.param(OK + b"Content-Length: 100\r\n\r\nhalf", id="half of the body"),
        pytest.param(CHUNKED + b"64\r\nhalf", id="half of a chunk"),
        pytest.param(b"garbage\r\n\r\n", id="garbage in place of a status line"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(part: bytes, serve: Serve) -> None:
    for talk in (resetting(part), answering(part)):
        words = (
            "no response|closed"
            if FUTURE
            else "before the response was complete|not respond with HTTP"
        )
        with pytest.raises(PeerUnreachable, match=words):
            http.call("GET", serve(talk).url)


def test_a_closed_port_is_a_peer_that_is_not_there(serve: Serve) -> None:
    server = serve(answering())
    server.stop()

    with pytest.raises(PeerUnreachable, match="refused: nothing listens there"):
        http.call("GET", server.url)
