"""Egress proxies that others wrote lead to a peer, or say why not."""

import shutil
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from pytest_django import Settings

from example_project.sites import free_ports
from reciprocal_oauth.client import http
from reciprocal_oauth.exceptions import PeerUnreachable, ProxyFailed

from ..client.servers import RawServer, answering
from ..delivery.processes import Process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#: The name of this machine: the proxy must look it up, and ``localhost`` is called directly.
HOST = socket.gethostname()

Start = Callable[[int], str]


def _address() -> str:
    try:
        return str(socket.getaddrinfo(HOST, 443, family=socket.AF_INET)[0][4][0])
    except OSError:
        pytest.skip("the name of this machine does not resolve")


@pytest.fixture
def peer(tmp_path: Path, settings: Settings) -> Iterator[RawServer]:
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": bundle}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    server = RawServer(answering(OK), tls=context, host=_address())
    yield server
    server.stop()


def _command(kind: str, port: int, folder: Path) -> list[str]:
    match kind:
        case "tinyproxy":
            config = f"Port {port}\nListen 127.0.0.1\nTimeout 30\nBasicAuth site pa55word\n"
            options = ["-d", "-c"]
        case "squid":
            folder.chmod(0o777)
            config = (
                f"http_port 127.0.0.1:{port}\nhttp_access allow all\ncache deny all\n"
                f"pid_filename {folder}/squid.pid\naccess_log none\ncache_log /dev/null\n"
                f"coredump_dir {folder}\npinger_enable off\nshutdown_lifetime 0 seconds\n"
            )
            options = ["-N", "-f"]
        case _:
            auth = ["--basic-auth", "site:pa55word"]
            return [sys.executable, "-m", "proxy", "--port", str(port), *auth]
    file = folder / f"{kind}.conf"
    file.write_text(config)
    return [kind, *options, str(file)]


@pytest.fixture(params=["tinyproxy", "squid", "proxy.py"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Gives the port of the proxy."""
    if request.param == "proxy.py":
        pytest.importorskip("proxy")
    elif not shutil.which(request.param):
        pytest.skip(f"Debian's {request.param} is missing")
    port, _other = free_ports()
    process = Process(_command(request.param, port, tmp_path), {}, tmp_path / "proxy.log")
    try:
        process.until(lambda: _listens(port))
        yield port
    finally:
        process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def _use(settings: Settings, port: int, user: str = "site:pa55word@") -> None:
    url = f"http://{user}127.0.0.1:{port}"
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_PROXY_URL": url}


def test_a_peer_is_called_through_it(peer: RawServer, proxy: int, settings: Settings) -> None:
    _use(settings, proxy)

    response = http.call("POST", f"https://{HOST}:{peer.port}/token/", data={"code": "c0de"})

    assert response.body == b"{}"
    assert b"code=c0de" in peer.requests[0]


def test_it_says_that_it_cannot_reach_the_peer(proxy: int, settings: Settings) -> None:
    _use(settings, proxy)
    nobody, _other = free_ports()

    with pytest.raises(PeerUnreachable, match="cannot reach") as caught:
        http.call("GET", f"https://{HOST}:{nobody}/")

    assert not isinstance(caught.value, ProxyFailed)


def test_it_refuses_a_wrong_password(
    peer: RawServer, proxy: int, settings: Settings, request: pytest.FixtureRequest
) -> None:
    if "squid" in request.node.name:
        pytest.skip("it is set up without a password")
    _use(settings, proxy, "site:wr0ng@")

    with pytest.raises(ProxyFailed, match="HTTP_PROXY_URL") as caught:
        http.call("GET", f"https://{HOST}:{peer.port}/")

    assert "wr0ng" not in str(caught.value)
    assert peer.requests == []
