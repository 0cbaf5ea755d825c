"""Hand-overs over a network that fails: names, addresses, certificates, redirects, broken lines.

The peer is a TLS server with a certificate of an authority that the settings trust, and its name
leads where a test says. Its deliveries are made by the command, on a clock that stands still.
"""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import time_machine
import trustme
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth.models import Link, OutboxItem, Peer

from ..client.bad_urls import BAD
from ..client.servers import RawServer, Talk, Wire, answering
from ..conftest import OUR_SECRET, PEER_SECRET, always_had, basic, post_form
from ..fakes import FakePeer
from ..names import Names

pytestmark = pytest.mark.django_db(transaction=True)

State = OutboxItem.State
NAME = "music.localhost"
ACCEPTED = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
DOWN = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
STEP = timedelta(minutes=5)

Serve = Callable[..., RawServer]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def good(authority: trustme.CA) -> ssl.SSLContext:
    return _context(authority.issue_cert(NAME))


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(talk: Talk, **options: Any) -> RawServer:
        servers.append(RawServer(talk, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def wire_to() -> Iterator[Callable[[RawServer], Wire]]:
    wires = []

    def make(server: RawServer) -> Wire:
        wires.append(Wire(server))
        return wires[-1]

    yield make
    for wire in wires:
        wire.stop()


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        yield clock


@pytest.fixture
def leads_to(
    clock: Any,
    granted: Link,
    authority: trustme.CA,
    names: Names,
    settings: Settings,
    tmp_path: Path,
) -> Callable[[int], None]:
    """The peer's endpoint is at its name and this port; the name leads to this machine."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_CA_BUNDLE": bundle}
    names.resolve(NAME, "127.0.0.1")
    Link.objects.update(access_token_expires_at=timezone.now() + timedelta(days=7))

    def put(port: int) -> None:
        always_had(reciprocal_endpoint=f"https://{NAME}:{port}/take/")

    return put


def _deliver() -> OutboxItem:
    call_command("reciprocal_deliver", "--once", "--json")
    return OutboxItem.objects.get(kind=OutboxItem.Kind.HANDOVER)


def _deliver_until_accepted(clock: Any) -> OutboxItem:
    for _ in range(60):
        row = _deliver()
        if row.state != State.PENDING:
            break
        clock.shift(STEP)
    assert row.state == State.ACCEPTED
    return row


def _form(request: bytes) -> dict[str, str]:
    fields = parse_qs(request.partition(b"\r\n\r\n")[2].decode(), strict_parsing=True)
    return {name: values[0] for name, values in fields.items()}


BAD_TLS: dict[str, Callable[[trustme.CA], ssl.SSLContext | None]] = {
    "self-signed": lambda authority: _context(trustme.CA().issue_cert(NAME)),
    "wrong name": lambda authority: _context(authority.issue_cert("other.localhost")),
    "expired": lambda authority: _context(
        authority.issue_cert(NAME, not_after=datetime(2020, 1, 1, tzinfo=UTC))
    ),
    "no TLS": lambda authority: None,
}


@pytest.mark.threat("H10", "R8")
@pytest.mark.parametrize("fault", BAD_TLS)
def test_tls_fails_for_an_hour_and_then_is_good(
    fault: str,
    clock: Any,
    leads_to: Callable[[int], None],
    wire_to: Callable[[RawServer], Wire],
    serve: Serve,
    authority: trustme.CA,
    good: ssl.SSLContext,
    settings: Settings,
) -> None:
    if fault == "no TLS":
        short = {"HTTP_CONNECT_TIMEOUT_SECONDS": 0.5}
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | short
    broken, whole = serve(ACCEPTED, tls=BAD_TLS[fault](authority)), serve(ACCEPTED, tls=good)
    wire = wire_to(broken)
    leads_to(wire.port)

    for _ in range(12):
        row = _deliver()
        clock.shift(STEP)
    assert (row.state, row.attempts) == (State.PENDING, len(wire.sent))
    assert row.attempts > 2
    assert "certificate" in row.last_error or fault == "no TLS"
    wire.server = whole
    row = _deliver_until_accepted(clock)

    (delivered,) = whole.requests
    form = _form(delivered)
    assert form["access_token"] == "token-of-the-peer"
    assert row.attempts == len(wire.sent)
    for sent in wire.sent:
        # The name is the one thing that is said in clear, in the first message of TLS.
        assert sent[0] == 0x16
        assert NAME.encode() in sent
        clear = (b"HTTP/1", b"POST /", b"Basic ", form["code"].encode(), OUR_SECRET.encode())
        assert [each for each in (*clear, b"access_token") if each in sent] == []


@pytest.mark.threat("R9")
@pytest.mark.parametrize("fault", ["no such name", "no answer", "an address that is never called"])
def test_a_name_that_does_not_resolve_for_an_hour(
    fault: str,
    clock: Any,
    leads_to: Callable[[int], None],
    names: Names,
    serve: Serve,
    good: ssl.SSLContext,
    settings: Settings,
) -> None:
    server = serve(ACCEPTED, tls=good)
    leads_to(server.port)
    before = settings.RECIPROCAL_OAUTH
    match fault:
        case "no such name":
            names.resolve(NAME, OSError("Name or service not known"))
        case "no answer":
            names.hang(NAME)
            settings.RECIPROCAL_OAUTH = before | {"HTTP_CONNECT_TIMEOUT_SECONDS": 0.05}
        case _:
            names.resolve(NAME, ["127.0.0.1", "10.0.0.1"])

    for _ in range(12):
        row = _deliver()
        clock.shift(STEP)
    assert row.state == State.PENDING
    assert row.attempts > 2
    assert f"{NAME} " in row.last_error
    assert server.connections == 0
    names.let_go()
    names.resolve(NAME, "127.0.0.1")
    settings.RECIPROCAL_OAUTH = before
    _deliver_until_accepted(clock)

    assert len(server.requests) == 1


@pytest.mark.threat("R9", "H1")
def test_the_address_of_a_name_changes_between_two_attempts(
    clock: Any, leads_to: Callable[[int], None], names: Names, serve: Serve, good: ssl.SSLContext
) -> None:
    before = serve(DOWN, tls=good)
    after = serve(ACCEPTED, tls=good, host="::1", port=before.port)
    leads_to(before.port)
    names.resolve(NAME, "127.0.0.1", "::1")

    assert _deliver().state == State.PENDING
    _deliver_until_accepted(clock)

    assert (len(before.requests), len(after.requests)) == (1, 1)
    assert names.asked == [NAME, NAME]
    assert _form(before.requests[0])["code"] != _form(after.requests[0])["code"]


@pytest.mark.threat("H6", "R6")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_second_server_is_a_failure_and_nothing_goes_there(
    status: int, clock: Any, leads_to: Callable[[int], None], serve: Serve, good: ssl.SSLContext
) -> None:
    second = serve(ACCEPTED, tls=good)
    location = f"https://{NAME}:{second.port}/take/"
    redirect = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    answers = [answering(redirect.encode()), ACCEPTED]
    first = serve(lambda connection: answers.pop(0)(connection), tls=good)
    leads_to(first.port)

    row = _deliver()
    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert f"HTTP {status}" in row.last_error
    row = _deliver_until_accepted(clock)

    assert row.attempts == len(first.requests) == 2
    assert second.connections == 0


@pytest.mark.threat("H3")
@pytest.mark.parametrize("fault", BAD)
def test_a_bad_url_that_got_into_the_database_is_not_called(
    fault: str, leads_to: Callable[[int], None], names: Names, fake_peer: FakePeer
) -> None:
    names.resolve("peer.example", "127.0.0.1")
    leads_to(1)
    always_had(reciprocal_endpoint=BAD[fault])

    row = _deliver()

    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert row.last_error
    assert names.asked == []
    assert fake_peer.requests == []


@pytest.mark.threat("R4")
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_peer_that_asks_to_wait_two_minutes_is_not_asked_before(
    form: str, clock: Any, leads_to: Callable[[int], None], serve: Serve, good: ssl.SSLContext
) -> None:
    wait = timedelta(seconds=120)
    then = timezone.now().replace(microsecond=0) + wait
    value = "120" if form == "seconds" else format_datetime(then.astimezone(UTC), usegmt=True)
    busy = f"HTTP/1.1 429 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    answers = [answering(busy.encode()), ACCEPTED]
    server = serve(lambda connection: answers.pop(0)(connection), tls=good)
    leads_to(server.port)

    _deliver()
    clock.shift(wait - timedelta(seconds=5))
    assert _deliver().state == State.PENDING
    assert len(server.requests) == 1
    clock.shift(timedelta(seconds=10))

    assert _deliver().state == State.ACCEPTED


@pytest.mark.threat("R7", "K3", "K4")
@pytest.mark.parametrize("count", [0, 1, 30, "half"])
@pytest.mark.parametrize("direction", ["there", "back"])
@pytest.mark.parametrize("redeems", ["at once", "late"])
def test_the_line_breaks_and_the_peer_redeems_whatever_reaches_it(
    redeems: str,
    direction: str,
    count: Any,
    clock: Any,
    granted: Link,
    leads_to: Callable[[int], None],
    wire_to: Callable[[RawServer], Wire],
    serve: Serve,
) -> None:
    """In clear, over loopback: there a byte that is cut off is one of the request."""
    server = serve(ACCEPTED)
    wire = wire_to(server)
    leads_to(wire.port)
    always_had(reciprocal_endpoint=f"http://127.0.0.1:{wire.port}/take/")
    half = {"there": 200, "back": 20}[direction]
    wire.break_next(**{direction: half if count == "half" else count})

    row = _deliver()
    assert (row.state, len(_codes(server.requests))) == (State.PENDING, direction == "back")
    redeemed = [_redeem(granted.peer, c) for c in _codes(server.requests) if redeems == "at once"]
    clock.shift(STEP)
    row = _deliver()
    redeemed += [_redeem(granted.peer, c) for c in _codes(server.requests)[len(redeemed) :]]
    row.refresh_from_db()

    assert row.state == State.DONE
    granted.refresh_from_db()
    assert granted.is_two_way
    # The code of the first attempt reaches the peer if its request does, and dies with the second.
    assert redeemed == ([400, 200] if (direction, redeems) == ("back", "late") else [200])
    assert len(wire.sent) == (1 if (direction, redeems) == ("back", "at once") else 2)
    live = get_refresh_token_model().objects.filter(revoked=None)
    assert live.values("token_family").distinct().count() == 1


def _codes(requests: list[bytes]) -> list[str]:
    """Of the requests that arrived whole: their last field is the token."""
    return [_form(each)["code"] for each in requests if each.endswith(b"token-of-the-peer")]


def _redeem(peer: Peer, code: str) -> int:
    response = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": code},
        basic(peer.application.client_id, PEER_SECRET),
    )
    return int(response.status_code)
