"""Servers that misbehave, connections that do not come about, a peer without a database."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reciprocal_oauth.models import Peer
from reciprocal_oauth.secret import Secret

from .servers import RawServer, Talk


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Starts a server that answers as it is told, see :class:`RawServer`."""
    servers = []

    def start(talk: Talk, **options: Any) -> RawServer:
        servers.append(RawServer(talk, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def swallow() -> Iterator[Callable[..., int]]:
    """Has an address of this machine swallow what comes, as a dead route does: its queue is full,
    so that the system drops every packet that asks for a connection. Gives the port."""
    with contextlib.ExitStack() as stack:

        def begin(host: str, port: int = 0) -> int:
            listening = stack.enter_context(socket.socket())
            listening.bind((host, port))
            listening.listen(0)
            taken: int = listening.getsockname()[1]
            for _ in range(4):
                filling = stack.enter_context(socket.socket())
                filling.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filling.connect(("127.0.0.2", taken))
            return taken

        yield begin


@pytest.fixture
def connected_to(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that a connection was tried to; none comes about."""
    tried: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.fixture
def music() -> Callable[..., Peer]:
    """Makes the peer "Music", not saved, with its endpoints at a URL."""

    def make(url: str, **values: Any) -> Peer:
        return Peer(
            **{
                "slug": "music",
                "name": "Music",
                "token_endpoint": f"{url}/token/",
                "client_id": "us-at-music",
                "client_secret": Secret("our-secret-at-the-peer"),
                **values,
            }
        )

    return make
