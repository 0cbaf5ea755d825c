"""Servers that misbehave, names that resolve to whatever a test says, a peer without a database."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reciprocal_oauth.models import Peer
from reciprocal_oauth.secret import Secret

from .servers import RawServer, Talk

_getaddrinfo = socket.getaddrinfo


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


class Names:
    """Stands in for DNS: ``resolve(name, answer, answer...)`` gives one answer per look-up, the
    last of which stays; each is one address or a list. ``asked`` is what was looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, list[list[str]]] = {}

    def resolve(self, name: str, *answers: str | list[str]) -> None:
        self._answers[name] = [[each] if isinstance(each, str) else each for each in answers]

    def getaddrinfo(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in self._answers:
            return _getaddrinfo(host, port, *args, **kwargs)
        self.asked.append(host)
        answers = self._answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


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
