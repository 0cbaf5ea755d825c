"""A peer proves who it is with its certificate, or nothing is said to it."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.exceptions import PeerUnreachable

from ..names import Names
from .leaks import nothing_left_behind
from .servers import FUTURE, RawServer, answering, dripping

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NAME = "peer.localhost"
#: As an administrator writes it, and three times as it is sent.
BOOKS = ("bücher.localhost", *["xn--bcher-kva.localhost"] * 3)

Serve = Callable[..., RawServer]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, settings: Settings, names: Names) -> str:
    """The settings trust the authority; gives the path to its certificate."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": bundle}
    names.resolve(NAME, "127.0.0.1")
    return str(bundle)


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _url(server: RawServer) -> str:
    return f"https://{NAME}:{server.port}/token/"


@pytest.mark.usefixtures("trusted")
def test_a_peer_with_a_certificate_of_a_trusted_authority_is_called(
    serve: Serve, authority: trustme.CA
) -> None:
    server = serve(answering(OK), tls=_context(authority.issue_cert(NAME)))

    assert http.call("POST", _url(server), data={"code": "c0de"}).body == b"{}"
    assert b"code=c0de" in server.requests[0]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("host", "looked_up", "on_certificate", "told"),
    [
        pytest.param(NAME, NAME, NAME, NAME, id="a name"),
        pytest.param(NAME.upper(), NAME, NAME, NAME, id="in capitals"),
        pytest.param(f"{NAME}.", f"{NAME}.", NAME, NAME, id="with a dot at the end"),
        pytest.param(*BOOKS, id="not in ASCII"),
        pytest.param(BOOKS[1], *BOOKS[1:], id="not in ASCII, as it is sent"),
        pytest.param("127.0.0.1", None, "127.0.0.1", None, id="an address"),
        pytest.param("[::1]", None, "::1", None, id="an IPv6 address"),
    ],
)
def test_the_certificate_is_checked_against_the_name_although_an_address_is_connected_to(
    host: str,
    looked_up: str | None,
    on_certificate: str,
    told: str | None,
    serve: Serve,
    authority: trustme.CA,
    names: Names,
) -> None:
    if looked_up:
        names.resolve(looked_up, "127.0.0.1")
    heard = []
    context = _context(authority.issue_cert(on_certificate))
    context.sni_callback = lambda connection, name, context: heard.append(name)
    server = serve(
        answering(OK), tls=context, host=host.strip("[]") if told is None else "127.0.0.1"
    )

    assert http.call("GET", f"https://{host}:{server.port}/token/").status == 200

    assert heard == [told]
    assert names.asked == ([looked_up] if looked_up else [])
    shown = f"[{on_certificate}]" if ":" in on_certificate else on_certificate
    if FUTURE and ":" in on_certificate:
        return  # It leaves the brackets out, which is a fault of its own.
    assert f"\r\nHost: {shown}:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.threat("H10")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("host", "certificate"),
    [
        pytest.param(NAME, {"identities": ["127.0.0.1"]}, id="the address that it leads to"),
        pytest.param("127.0.0.1", {"identities": [NAME]}, id="a name for an address"),
        pytest.param(NAME, {"identities": ["*.peer.localhost"]}, id="names below it"),
        pytest.param(
            NAME, {"identities": ["other.localhost"], "common_name": NAME}, id="in the common name"
        ),
    ],
)
def test_a_certificate_for_something_else_is_none(
    host: str, certificate: dict[str, Any], serve: Serve, authority: trustme.CA
) -> None:
    issued = authority.issue_cert(
        *certificate["identities"], common_name=certificate.get("common_name")
    )
    server = serve(answering(OK), tls=_context(issued))

    with pytest.raises(PeerUnreachable, match="is for another name"):
        http.call("POST", f"https://{host}:{server.port}/token/", data={"code": "c0de"})

    assert server.connections == 1
    assert server.requests == []


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("H10", "R8")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("self-signed", "has an unknown issuer"),
        ("wrong name", "is for another name"),
        ("expired", "has expired"),
        ("not valid yet", "is not valid yet"),
    ],
)
def test_nothing_is_said_to_a_peer_with_a_bad_certificate(
    fault: str, reason: str, serve: Serve, authority: trustme.CA
) -> None:
    now = datetime.now(UTC)
    certificate = {
        "self-signed": lambda: trustme.CA().issue_cert(NAME),
        "wrong name": lambda: authority.issue_cert("other.localhost"),
        "expired": lambda: authority.issue_cert(NAME, not_after=now - timedelta(hours=1)),
        "not valid yet": lambda: authority.issue_cert(NAME, not_before=now + timedelta(hours=1)),
    }[fault]()
    server = serve(answering(OK), tls=_context(certificate))

    with pytest.raises(PeerUnreachable, match=f"its certificate {reason}"):
        http.call("POST", _url(server), data={"code": "c0de"})

    assert server.connections == 1
    assert server.requests == []


@pytest.mark.threat("H12")
@pytest.mark.usefixtures("trusted")
def test_a_client_certificate_of_one_session_is_shown_to_no_other_peer(
    serve: Serve, authority: trustme.CA, tmp_path: Path
) -> None:
    context = _context(authority.issue_cert(NAME))
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    shown = []

    def answer(connection: Any) -> None:
        shown.append(connection.getpeercert())
        answering(OK)(connection)

    server = serve(answer, tls=context)
    own = tmp_path / "own.pem"
    authority.issue_cert("us.localhost").private_key_and_cert_chain_pem.write_to_path(str(own))

    session = http.HardenedSession()
    session.cert = str(own)
    session.get(_url(server))
    http.call("GET", _url(server))

    assert [bool(each) for each in shown] == [True, False]


def test_authorities_that_are_replaced_count_from_the_next_call(
    serve: Serve, authority: trustme.CA, trusted: str
) -> None:
    server = serve(answering(OK), tls=_context(authority.issue_cert(NAME)))
    assert http.call("GET", _url(server)).status == 200

    trustme.CA().cert_pem.write_to_path(trusted)
    with pytest.raises(PeerUnreachable, match="has an unknown issuer"):
        http.call("GET", _url(server))

    authority.cert_pem.write_to_path(trusted)
    assert http.call("GET", _url(server)).status == 200


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl names the files of a directory")
def test_a_directory_of_authorities_is_read_as_well(
    serve: Serve, authority: trustme.CA, trusted: str, settings: Settings
) -> None:
    command = ["openssl", "x509", "-hash", "-noout", "-in", trusted]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    directory = Path(trusted).parent / "authorities"
    directory.mkdir()
    Path(trusted).rename(directory / f"{name}.0")
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": directory}
    server = serve(answering(OK), tls=_context(authority.issue_cert(NAME)))

    assert http.call("GET", _url(server)).status == 200


@pytest.mark.threat("H8", "R26")
@pytest.mark.usefixtures("trusted")
def test_neither_threads_nor_files_are_left_behind(serve: Serve, authority: trustme.CA) -> None:
    good = serve(answering(OK), tls=_context(authority.issue_cert(NAME)))
    bad = serve(answering(OK), tls=_context(trustme.CA().issue_cert(NAME)))

    http.call("GET", _url(good))
    with nothing_left_behind():
        for _ in range(50):
            http.call("GET", _url(good))
            with pytest.raises(PeerUnreachable):
                http.call("GET", _url(bad))


@pytest.mark.threat("H10")
def test_a_private_authority_is_not_trusted_unless_the_settings_name_it(
    serve: Serve,
    authority: trustme.CA,
    trusted: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": ""}
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, trusted)
    server = serve(answering(OK), tls=_context(authority.issue_cert(NAME)))

    with pytest.raises(PeerUnreachable, match="has an unknown issuer"):
        http.call("GET", _url(server))


@pytest.mark.threat("H10")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("values", [{"verify": False}, {}], ids=["in the call", "before"])
def test_a_caller_cannot_skip_the_certificate(
    values: dict[str, bool], debug: bool, serve: Serve, settings: Settings
) -> None:
    settings.DEBUG = debug
    server = serve(answering(OK), tls=_context(trustme.CA().issue_cert(NAME)))

    with http.HardenedSession() as session:
        session.verify = False
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY"):
            session.post(_url(server), data={"code": "c0de"}, **values)

    assert server.connections == 1
    assert server.requests == []


@pytest.mark.threat("H10", "R8")
@pytest.mark.usefixtures("trusted")
def test_a_server_that_does_not_speak_tls_learns_nothing(serve: Serve, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CONNECT_TIMEOUT_SECONDS": 0.3}
    server = serve(answering(OK))

    with pytest.raises(PeerUnreachable):
        http.call("POST", _url(server), data={"code": "c0de"})

    assert b"c0de" not in b"".join(server.requests)


@pytest.mark.usefixtures("trusted")
def test_it_is_said_that_there_is_no_https_at_an_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        refusing = threading.Thread(target=refuse)
        refusing.start()
        with pytest.raises(PeerUnreachable, match="does not use https at this address"):
            http.call("GET", f"https://{NAME}:{listening.getsockname()[1]}/token/")
        refusing.join()


@pytest.mark.threat("H8")
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("moment", ["handshake", "headers", "body"])
def test_the_deadline_holds_over_tls(
    moment: str, serve: Serve, authority: trustme.CA, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_TOTAL_TIMEOUT_SECONDS": 0.4,
        "HTTP_CONNECT_TIMEOUT_SECONDS": 0.3,
    }
    context = None if moment == "handshake" else _context(authority.issue_cert(NAME))
    beginning = b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if moment == "body" else b"X: ")
    server = serve(dripping(b"" if context is None else beginning, b"x"), tls=context)

    with pytest.raises(PeerUnreachable):
        http.call("GET", _url(server))


def test_a_bundle_that_is_not_there_is_our_fault_and_not_the_peers(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": "/no/such/file"}

    with pytest.raises(ImproperlyConfigured, match="HTTP_CA_BUNDLE"):
        http.call("GET", "https://localhost/")
