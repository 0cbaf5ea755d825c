"""The network does to a call what it says, and writes down what the site did."""

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from example_project.sites import free_ports
from reciprocal_oauth.core.hashing import hash_of

from . import proxy
from .kinds import FAULTS, Fault, How
from .proxy import Call, Proxy, Route, read_calls

BODY = b"grant_type=authorization_code&code=the-code"
REQUEST = (
    b"POST /o/token/ HTTP/1.1\r\nHost: music\r\nAuthorization: Basic dXM6c2VjcmV0\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%s" % (len(BODY), BODY)
)
TOKENS = b'{"access_token": "the-token"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(TOKENS), TOKENS)
#: How long a call is waited for that is never answered, and any other one.
HANGING_SECONDS, PATIENCE_SECONDS = 0.3, 20

#: What the caller gets: how it begins; ``None``: nothing, however long it waits.
SEEN = {
    How.ERROR: b"HTTP/1.1 500 ",
    How.HANG: None,
    How.RESET: ConnectionResetError,
    How.GARBAGE: b"\x00",
    How.TOO_MANY: b"HTTP/1.1 429 ",
    How.HALF: ANSWER[: len(ANSWER) // 2],
    How.PAGE: b"HTTP/1.1 200 OK\r\nContent-Type: text/html",
}


class Site:
    """Answers every request alike."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"the-code"))
        writer.write(ANSWER)
        writer.close()


async def call(port: int, patience: float) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST)
        return await asyncio.wait_for(reader.read(), patience)
    except TimeoutError:
        return None
    except ConnectionError as error:
        return type(error)
    finally:
        writer.close()


async def call_through(
    site: Site, log: Path, *, site_is_there: bool = True, patience: float = PATIENCE_SECONDS
) -> Any:
    port, site_port = free_ports(2)
    network = Proxy([Route("music", port, site_port)], share=0.3, seed=1, log=str(log))
    serving = asyncio.ensure_future(network.serve())
    server = await asyncio.start_server(site.answer, "127.0.0.1", site_port)
    if not site_is_there:
        server.close()
    try:
        while not await _listens(port):
            await asyncio.sleep(0.01)
        return await call(port, patience)
    finally:
        await asyncio.sleep(0.05)
        serving.cancel()
        server.close()


async def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def meet(monkeypatch: pytest.MonkeyPatch, fault: Fault | None) -> None:
    monkeypatch.setattr(proxy, "draw", lambda *arguments: fault)


def test_a_call_without_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meet(monkeypatch, None)
    site, log = Site(), tmp_path / "calls"

    assert run(call_through(site, log)) == ANSWER

    assert b"Connection: close" in site.requests[0]
    (written,) = read_calls(str(log))
    assert written == Call(
        to="music",
        at=written.at,
        path="/o/token/",
        grant_type="authorization_code",
        code=hash_of("the-code"),
        credentials=("us", hash_of("secret")),
        status=200,
        tokens=[hash_of("the-token")],
    )
    assert not any(word in log.read_text() for word in ("the-code", "the-token", '"secret"'))


@pytest.mark.threat("R23")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_call_with_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault) -> None:
    meet(monkeypatch, fault)
    site, log = Site(), tmp_path / "calls"

    wanted = SEEN[fault.how]
    patience = HANGING_SECONDS if wanted is None else PATIENCE_SECONDS
    seen = run(call_through(site, log, patience=patience))

    assert seen.startswith(wanted) if isinstance(wanted, bytes) else seen is wanted
    assert len(site.requests) == fault.after
    (written,) = read_calls(str(log))
    assert (written.fault, written.status) == (str(fault), 200 if fault.after else 0)


def test_a_site_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meet(monkeypatch, None)

    assert run(call_through(Site(), tmp_path / "calls", site_is_there=False)) in (
        b"",
        ConnectionResetError,
    )
    assert [call.status for call in read_calls(str(tmp_path / "calls"))] == [0]
