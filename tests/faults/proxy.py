"""The network between the sites: carries their calls, badly, and writes down each.

It runs in a process of its own, with the route table on its command line, and knows nothing of
Django. What it writes down of codes, tokens and client secrets is their SHA-256.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from .kinds import HANG_SECONDS, RETRY_AFTER_SECONDS, Fault, How, draw

HOST = "127.0.0.1"
PAGE = b"<!doctype html><title>Welcome</title><p>Please accept the terms of this network."


@dataclass
class Call:
    """One call as it went by.

    :ivar to: the site that it was for.
    :ivar code: SHA-256 of the code in the request.
    :ivar credentials: the client's id, and the SHA-256 of its secret.
    :ivar fault: what was done to it.
    :ivar status: what the site answered, whether or not that arrived.
    :ivar tokens: SHA-256 of every token that went by.
    """

    to: str
    at: float
    path: str = ""
    grant_type: str = ""
    code: str = ""
    credentials: tuple[str, str] = ("", "")
    fault: str = ""
    status: int = 0
    tokens: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Route:
    to: str
    port: int
    site_port: int


class Proxy:
    """Serves the routes until it is cancelled."""

    def __init__(self, routes: list[Route], *, share: float, seed: int, log: str) -> None:
        self.routes = routes
        self.share = share
        self._chance = random.Random(f"network {seed}")
        self._log = open(log, "a", buffering=1)  # noqa: SIM115  As long as the process.

    async def serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for route in self.routes:
                server = await asyncio.start_server(
                    lambda reader, writer, route=route: self._carry(route, reader, writer),
                    HOST,
                    route.port,
                    backlog=1024,
                )
                await stack.enter_async_context(server)
            await asyncio.Event().wait()

    async def _carry(
        self, route: Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Whoever hangs up first: a worker that was killed, a site that was.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._answer(route, reader, writer)
            finally:
                writer.close()

    async def _answer(
        self, route: Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        call = Call(route.to, time.time())
        head, body = await _read_request(reader)
        _note_request(call, head, body)
        fault = draw(self._chance, self.share, call.path)
        call.fault = str(fault or "")
        answer = b""
        try:
            if fault is None or fault.after:
                answer = await _ask(route.site_port, head, body)
                _note_answer(call, answer)
        finally:
            self._log.write(json.dumps(asdict(call)) + "\n")
        if not answer and (fault is None or fault.after):
            _reset(writer)  # The site was killed while it answered.
        elif fault is None:
            await _send(writer, answer)
        else:
            await _misbehave(fault, answer, reader, writer)


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(_header(head, b"content-length") or 0))


async def _ask(port: int, head: bytes, body: bytes) -> bytes:
    """The whole answer of the site; empty: it broke off."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except ConnectionError:
        return b""
    try:
        lines = [line for line in head.split(b"\r\n") if not _is_header(line, b"connection")]
        writer.write(b"\r\n".join([*lines[:-2], b"Connection: close", b"", b""]) + body)
        answer = await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
    return answer if _is_whole(answer) else b""


async def _misbehave(
    fault: Fault, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    match fault.how:
        case How.ERROR:
            await _send(writer, _made("500 Internal Server Error", PAGE))
        case How.HANG:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), HANG_SECONDS)
        case How.RESET:
            _reset(writer)
        case How.GARBAGE:
            await _send(writer, b"\x00\x17SSH-2.0-HTTP/9 what\r\n\r\n")
        case How.TOO_MANY:
            retry_after = f"Retry-After: {RETRY_AFTER_SECONDS}"
            await _send(writer, _made("429 Too Many Requests", b"", retry_after))
        case How.HALF:
            await _send(writer, answer[: len(answer) // 2])
        case How.PAGE:
            await _send(writer, _made("200 OK", PAGE))


def _made(status: str, body: bytes, *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/html",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST in place of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# What is written down


def _note_request(call: Call, head: bytes, body: bytes) -> None:
    call.path = urlsplit(head.split(b" ", 2)[1].decode()).path
    form = dict(parse_qsl(body.decode()))
    call.grant_type = form.get("grant_type", "")
    call.code = _hash(form.get("code", ""))
    call.credentials = _credentials(_header(head, b"authorization"), form)
    call.tokens += _hashes(form)


def _note_answer(call: Call, answer: bytes) -> None:
    if not answer:
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    call.status = int(head.split(b" ", 2)[1])
    with contextlib.suppress(ValueError):
        members = json.loads(body)
        call.tokens += _hashes(members if isinstance(members, dict) else {})


def _credentials(authorization: bytes, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() == b"basic":
        name, _, secret = base64.b64decode(encoded).decode().partition(":")
        return unquote_plus(name), _hash(unquote_plus(secret))
    return form.get("client_id", ""), _hash(form.get("client_secret", ""))


def _hashes(values: dict[str, Any]) -> Iterator[str]:
    for name in ("access_token", "refresh_token", "token"):
        if isinstance(value := values.get(name), str):
            yield _hash(value)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest() if value else ""


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        if _is_header(line, name):
            return line.partition(b":")[2].strip()
    return b""


def _is_header(line: bytes, name: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() == name


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    return bool(separator) and len(body) >= int(_header(head, b"content-length") or 0)


def read_calls(log: str) -> list[Call]:
    """Every call that went by, as they were written down."""
    with open(log) as lines:
        calls = [Call(**json.loads(line)) for line in lines]
    for call in calls:
        call.credentials = (call.credentials[0], call.credentials[1])
    return calls


def main() -> None:
    config = json.loads(sys.argv[1])
    routes = [Route(**route) for route in config.pop("routes")]

    async def serve() -> None:
        task = asyncio.ensure_future(Proxy(routes, **config).serve())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(serve())


if __name__ == "__main__":
    main()
