"""A site that reaches the world only through a proxy calls every peer through it."""

import base64
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.client.proxy import read
from reciprocal_oauth.exceptions import AddressRefused, PeerUnreachable, ProxyFailed

from ..fakes import FakePeer
from ..names import Names
from .connect_proxy import ConnectProxy
from .servers import RawServer, answering, dripping

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PEER = "music.example"
PROXY = "proxy.localhost"

Serve = Callable[..., RawServer]
Through = Callable[..., ConnectProxy]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve_tls(serve: Serve, authority: trustme.CA) -> Callable[..., RawServer]:
    def start(talk: object = None, name: str = PEER) -> RawServer:
        return serve(talk or answering(OK), tls=_context(authority, name))

    return start


def _context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def through(
    authority: trustme.CA, tmp_path: Path, settings: Settings, names: Names
) -> Iterator[Through]:
    """Starts a proxy and names it in the settings."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    names.resolve(PROXY, "127.0.0.1")
    started: list[ConnectProxy] = []

    def start(
        server: RawServer | None, *, user: str = "", tls: bool = False, response: bytes = b""
    ) -> ConnectProxy:
        options = {"response": response} if response else {}
        context = _context(authority, PROXY) if tls else None
        proxy = ConnectProxy(server.port if server else 1, tls=context, **options)
        started.append(proxy)
        url = f"http{'s' if tls else ''}://{user}{PROXY}:{proxy.port}"
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
            "HTTP_CA_BUNDLE": bundle,
            "HTTP_PROXY_URL": url,
        }
        return proxy

    yield start
    for proxy in started:
        proxy.stop()


@pytest.mark.threat("H84")
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_peer_is_called_through_a_tunnel(
    tls: bool, serve_tls: Serve, through: Through, names: Names
) -> None:
    """RFC 9110, section 9.3.6: the name of the peer is never looked up here."""
    server = serve_tls()
    proxy = through(server, tls=tls)
    names.resolve(PEER, "10.0.0.1")

    response = http.call("POST", f"https://{PEER}/token/", data={"code": "c0de"})

    assert response.body == b"{}"
    assert proxy.heads == [f"CONNECT {PEER}:443 HTTP/1.1\r\nHost: {PEER}:443\r\n\r\n"]
    assert b"code=c0de" in server.requests[0]
    assert names.asked == [PROXY]


@pytest.mark.threat("H84")
def test_the_proxy_sees_nothing_of_what_is_said_to_the_peer(
    serve_tls: Serve, through: Through
) -> None:
    proxy = through(serve_tls())

    http.call("POST", f"https://{PEER}/token/", data={"code": "c0de"})

    assert len(proxy.carried) > 100
    assert b"c0de" not in proxy.carried


@pytest.mark.threat("H84")
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_proxy_cannot_put_another_server_in_the_place_of_the_peer(
    tls: bool, serve_tls: Serve, through: Through
) -> None:
    server = serve_tls(name="other.example")
    through(server, tls=tls)

    with pytest.raises(PeerUnreachable, match=f"https://{PEER}: its certificate is for another"):
        http.call("POST", f"https://{PEER}/token/", data={"code": "c0de"})

    assert server.requests == []


def test_a_session_of_the_site_uses_the_proxy_for_all_its_requests(
    serve_tls: Serve, through: Through
) -> None:
    proxy = through(serve_tls())

    with http.HardenedSession() as session:
        assert session.get(f"https://{PEER}/api/").json() == {}
        assert session.get(f"https://{PEER}:8443/api/").json() == {}

    assert [head.split()[1] for head in proxy.heads] == [f"{PEER}:443", f"{PEER}:8443"]


def test_user_name_and_password_go_to_the_proxy_only(serve_tls: Serve, through: Through) -> None:
    """RFC 9110, section 11.7.1; percent-encoded in the URL."""
    server = serve_tls()
    proxy = through(server, user="site:p%40ss@")

    http.call("GET", f"https://{PEER}/")

    credentials = base64.b64encode(b"site:p@ss").decode()
    assert f"\r\nProxy-Authorization: Basic {credentials}\r\n" in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.requests[0]


def test_this_machine_is_called_directly(fake_peer: FakePeer, through: Through) -> None:
    proxy = through(None)

    http.call("POST", f"{fake_peer.url}/token/", data={"code": "c0de"})

    assert len(fake_peer.requests) == 1
    assert proxy.heads == []


@pytest.mark.threat("H1", "H84")
def test_the_proxy_of_the_environment_is_not_used_instead(
    serve_tls: Serve, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = through(serve_tls())
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", PEER)

    http.call("GET", f"https://{PEER}/")

    assert len(proxy.heads) == 1


@pytest.mark.threat("H1", "H84")
@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "2852039166", "0xa9fea9fe"],
)
def test_a_private_address_is_refused_here_and_not_sent_to_the_proxy(
    host: str, through: Through
) -> None:
    proxy = through(None)

    with pytest.raises(AddressRefused):
        http.call("GET", f"https://{host}/")

    assert proxy.heads == []


@pytest.mark.threat("H84")
@pytest.mark.parametrize(
    ("response", "kind", "says"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ProxyFailed, "HTTP_PROXY_URL"),
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n", ProxyFailed, "HTTP_PROXY_URL"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", ProxyFailed, "does not allow a connection"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://x.example/\r\n\r\n", ProxyFailed, "HTTP 302"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", PeerUnreachable, f"cannot reach {PEER}:443"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ProxyFailed, "did not respond with HTTP"),
        (b"", ProxyFailed, "did not respond with HTTP"),
        (b"HTTP/1.1 400 x\r\n" + b"X: y\r\n" * 20000, ProxyFailed, "did not respond with HTTP"),
    ],
)
def test_an_error_says_whether_the_proxy_or_the_peer_is_the_cause(
    response: bytes, kind: type[Exception], says: str, through: Through
) -> None:
    through(None, user="site:pa55word@", response=response or b"\r\n")

    with pytest.raises(PeerUnreachable, match=says) as caught:
        http.call("POST", f"https://{PEER}/token/", data={"code": "c0de"})

    assert type(caught.value) is kind
    assert f"The proxy http://{PROXY}" in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_a_proxy_that_does_not_listen_is_named(settings: Settings, names: Names) -> None:
    names.resolve(PROXY, "127.0.0.1")
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_PROXY_URL": f"http://u:pa55word@{PROXY}:1"
    }

    with pytest.raises(ProxyFailed) as caught:
        http.call("GET", f"https://{PEER}/")

    assert str(caught.value) == (
        f"The proxy http://{PROXY}:1: the connection was refused: nothing listens there."
    )


def test_a_proxy_with_a_wrong_certificate_gets_no_password(
    serve_tls: Serve, through: Through, settings: Settings, names: Names
) -> None:
    proxy = through(serve_tls(), user="site:pa55word@", tls=True)
    names.resolve("other.localhost", "127.0.0.1")
    url = f"https://site:pa55word@other.localhost:{proxy.port}"
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_PROXY_URL": url}

    with pytest.raises(ProxyFailed, match="its certificate is for another name"):
        http.call("GET", f"https://{PEER}/")

    assert proxy.heads == []


@pytest.mark.threat("H8", "H84")
def test_the_deadline_holds_in_the_tunnel(
    serve_tls: Serve, through: Through, settings: Settings
) -> None:
    through(serve_tls(dripping(OK[:-2], b"")), tls=True)
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.5}

    with pytest.raises(PeerUnreachable, match="in time"):
        http.call("GET", f"https://{PEER}/")


@pytest.mark.threat("H84")
def test_the_limit_of_the_body_holds_in_the_tunnel(
    serve_tls: Serve, through: Through, settings: Settings
) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000
    through(serve_tls(answering(long)))

    assert "more than" in http.call("GET", f"https://{PEER}/").problem


def test_a_wrong_setting_is_not_an_error_of_the_peer(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_PROXY_URL": "socks5://u:pa55word@proxy.example"
    }

    with pytest.raises(ImproperlyConfigured, match="does not begin with http") as caught:
        http.call("GET", f"https://{PEER}/")

    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy.example", "http://proxy.example:3128"),
        ("https://u:pa55word@proxy.example/", "https://proxy.example:443"),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
    ],
)
def test_a_proxy_is_shown_without_its_password(url: str, shown: str) -> None:
    assert str(read(url)) == shown
    assert repr(read(url)) == f"Proxy({shown})"


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128",
        "http://",
        "http://proxy.example:port",
        "http://proxy.example:0",
        "http://proxy.example/path",
        "http://proxy.example?q",
        "http://proxy.example#",
        "http://proxy.example\r\nX: y",
        "http://us%3Aer:pa55word@proxy.example",
        "http://prøxy.example",
        7,
    ],
)
def test_what_is_not_the_url_of_a_proxy_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="it|its|something") as caught:
        read(url)

    assert "pa55word" not in str(caught.value)
    assert str(url) not in str(caught.value)
