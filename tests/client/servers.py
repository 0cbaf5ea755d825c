"""Servers that misbehave below HTTP: they send whatever bytes a test tells them to."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

import urllib3

Talk = Callable[[socket.socket], None]

#: Whether urllib3-future is in the place of urllib3: it reads answers itself, without http.client.
FUTURE = hasattr(urllib3, "HttpVersion")

#: Has ``close`` reset a connection.
_RESET = struct.pack("ii", 1, 0)


class RawServer:
    """Listens on loopback, reads one request from each connection and lets ``talk`` answer.

    :ivar connections: how many there were.
    :ivar requests: what was asked, as bytes; over TLS, what came out of it.
    """

    def __init__(
        self,
        talk: Talk,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._talk = talk
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family)
        self.port: int = self._listening.getsockname()[1]
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        # Closing alone does not wake the thread on Linux. It would wait on, at a file descriptor
        # that the next socket of this process gets, and take the connections of that one.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self.requests.append(_read_request(connection))
                self._talk(connection)


class Wire:
    """A line to a server, from a port of its own, which is told where to break.

    :ivar server: what it leads to now.
    :ivar sent: for each connection, every byte that was sent over it to the server.
    """

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.sent: list[bytearray] = []
        self._limits: tuple[int | None, int | None] = (None, None)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_next(self, *, there: int | None = None, back: int | None = None) -> None:
        """Reset the next connection when more than so many bytes come in one of the directions."""
        self._limits = (there, back)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server.port))
            sent = bytearray()
            self.sent.append(sent)
            (there, back), self._limits = self._limits, (None, None)
            for ends, limit, note in (
                ((client, server), there, sent),
                ((server, client), back, bytearray()),
            ):
                threading.Thread(target=carry, args=(*ends, limit, note), daemon=True).start()


def carry(source: socket.socket, target: socket.socket, limit: int | None, note: bytearray) -> None:
    with contextlib.suppress(OSError):
        while limit is None or len(note) <= limit:
            data = source.recv(65536)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data if limit is None else data[: max(limit - len(note), 0)])
            note += data
        for end in (source, target):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.shutdown(socket.SHUT_RD)  # Wakes the other direction.
            end.close()


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return received
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    is_chunked = b"\ntransfer-encoding: chunked" in head.lower()
    while len(body) < length or (is_chunked and not body.endswith(b"0\r\n\r\n")):
        # If the server closes while the client still sends, the connection is reset, and the client
        # may lose the answer.
        if not (more := connection.recv(65536)):
            break
        body += more
    return head + b"\r\n\r\n" + body


def answering(*parts: bytes, pause: float = 0.0) -> Talk:
    """Sends ``parts`` one after the other and hangs up."""

    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return talk


def dripping(beginning: bytes, drop: bytes, pause: float = 0.02) -> Talk:
    """Sends ``beginning``, and then ``drop`` again and again until the other side is gone, at most
    for 20 seconds."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(beginning)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection.sendall(drop)
            time.sleep(pause)

    return talk


def flooding(beginning: bytes, piece: bytes) -> Talk:
    """Sends ``piece`` without pause until the other side is gone."""
    return dripping(beginning, piece, pause=0)


def resetting(part: bytes = b"") -> Talk:
    """Sends ``part`` and resets the connection."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(part)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    return talk


@contextlib.contextmanager
def serving(talk: Talk, **options: object) -> Iterator[RawServer]:
    server = RawServer(talk, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.stop()
