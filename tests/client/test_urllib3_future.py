"""What holds for what leaves this server, also where urllib3-future is in the place of urllib3.

niquests, caldav and others bring it along. The other tests of this folder run there too.
"""

import importlib.metadata
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.client.addresses import resolve
from reciprocal_oauth.exceptions import AddressRefused, PeerUnreachable

from ..fakes import FakePeer, Reply
from ..names import Names
from .servers import RawServer, Talk, answering, flooding

Serve = Callable[..., RawServer]
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def datagrams(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every socket that is none of TCP."""
    made: list[object] = []
    create = socket.socket.__init__

    def noting(self: socket.socket, *args: Any, **options: Any) -> None:
        create(self, *args, **options)
        if self.type == socket.SOCK_DGRAM:
            made.append(self)

    monkeypatch.setattr(socket.socket, "__init__", noting)
    return made


@pytest.mark.threat("H83")
def test_this_run_is_beside_the_library_that_it_is_meant_for(
    record_property: Callable[[str, object], None],
) -> None:
    record_property("urllib3", urllib3.__version__)
    try:
        wanted = importlib.metadata.version("urllib3-future")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("urllib3-future is not installed")

    assert urllib3.__version__ == wanted


@pytest.mark.threat("H83", "H1")
def test_the_checked_address_is_connected_to_and_no_other(
    names: Names, fake_peer: FakePeer, settings: Settings
) -> None:
    names.resolve("peer.localhost", "127.0.0.1", "10.0.0.1")
    url = f"http://peer.localhost:{fake_peer.url.rpartition(':')[2]}/token/"
    fake_peer.answers["/token/"] = Reply.json(a=1)

    assert http.call("POST", url, data={"code": "c0de"}).body == b'{"a": 1}'
    assert names.asked == ["peer.localhost"]
    with pytest.raises(AddressRefused):
        http.call("POST", url, data={"code": "c0de"})
    assert len(fake_peer.requests) == 1


@pytest.fixture
def serve_as_peer(
    serve: Serve, names: Names, settings: Settings, tmp_path: Path
) -> Callable[[Talk], RawServer]:
    """Serves https under the name ``peer.example``, and offers every version of HTTP."""

    def begin(talk: Talk) -> RawServer:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("peer.example").configure_cert(context)
        context.set_alpn_protocols(["h3", "h2", "http/1.1"])
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_CA_BUNDLE": str(bundle)}
        names.resolve("peer.example", "127.0.0.1")
        return serve(talk, tls=context)

    return begin


@pytest.mark.threat("H83")
def test_an_offer_of_http_3_is_not_followed(
    serve_as_peer: Callable[[Talk], RawServer], datagrams: list[object]
) -> None:
    offer = b'Alt-Svc: h3=":443"; ma=86400\r\nConnection: close\r\n'
    server = serve_as_peer(answering(OK + offer + b"Content-Length: 2\r\n\r\n{}"))

    with http.HardenedSession() as session:
        url = f"https://peer.example:{server.port}/api/"
        answers = [session.get(url).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert server.connections == 3
    assert datagrams == []


@pytest.mark.threat("H83")
def test_http_1_1_alone_is_spoken_where_the_peer_could_do_more(
    serve_as_peer: Callable[[Talk], RawServer],
) -> None:
    chosen: list[str | None] = []

    def talk(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        chosen.append(connection.selected_alpn_protocol())
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    server = serve_as_peer(talk)

    assert http.call("GET", f"https://peer.example:{server.port}/").body == b"{}"
    assert set(chosen) <= {"http/1.1", None}
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.threat("H83", "H8")
@pytest.mark.parametrize(
    ("beginning", "piece"),
    [(OK + b"X: ", b"y" * 4096), (OK, b"X: y\r\n" * 500)],
    ids=["in a header", "headers"],
)
def test_a_head_without_end_is_no_answer_and_takes_little_memory(
    serve: Serve, beginning: bytes, piece: bytes
) -> None:
    server = serve(flooding(beginning, piece))
    tracemalloc.start()
    try:
        with pytest.raises(PeerUnreachable):
            http.call("GET", server.url)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 4 * 1024 * 1024


@pytest.mark.threat("H83", "H8")
def test_an_answer_that_drips_is_cut_at_the_deadline(serve: Serve, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_TOTAL_TIMEOUT_SECONDS": 0.4}
    hanging = threading.Event()
    server = serve(lambda connection: (connection.sendall(OK), hanging.wait(10)))

    with pytest.raises(PeerUnreachable, match="in time"):
        http.call("GET", server.url)
    with http.HardenedSession() as session, pytest.raises(requests.Timeout):
        session.get(server.url, timeout=60)
    hanging.set()


@pytest.mark.threat("H83", "H8")
def test_a_body_is_read_to_its_limit_alone(serve: Serve) -> None:
    server = serve(answering(OK + b"\r\n" + b"x" * 70_000))

    assert http.call("GET", server.url).problem.endswith("sent more than 65536 bytes.")


def test_a_name_is_looked_up_by_our_own_resolver(names: Names) -> None:
    names.resolve("peer.example", "93.184.216.34")

    assert list(resolve("peer.example", 443)) == ["93.184.216.34"]
