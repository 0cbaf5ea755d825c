"""Connections of the hardened door: to a checked address, cut at the deadline, and with an answer
whose head is short."""

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from http.client import HTTPResponse, LineTooLong
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

try:
    # urllib3-future, which comes with niquests and others, puts itself in the place of urllib3.
    from urllib3 import HttpVersion  # type: ignore[attr-defined]
except ImportError:
    HttpVersion = None

from ..conf import settings
from ..core.peer_urls import is_loopback_host
from ..exceptions import AddressRefused
from . import racing
from .addresses import resolve

#: Longest head of an answer, from the status line to the empty line.
_MAX_HEAD_BYTES = 64 * 1024


class _Deadline:
    """Shuts a connection down when an exchange takes too long.

    A read timeout counts from the last byte, so a peer that sends one byte a second would hold a
    worker for ever. The watch keeps a duplicate, because the TLS layer detaches the original.

    :param begun: when the first exchange began, with the look-up of the peer's name
        (``time.monotonic()``).
    """

    def __init__(self, connected: socket.socket, begun: float) -> None:
        self._duplicate = connected.dup()
        self._is_first_exchange = True
        self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS - (time.monotonic() - begun))

    def exchange_begins(self) -> None:
        """Count anew for every exchange on a connection that was kept."""
        if not self._is_first_exchange:
            self._timer.cancel()
            self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS)

    def request_is_sent(self) -> None:
        """Whatever is asked on the connection after this is another exchange."""
        self._is_first_exchange = False

    def close(self) -> None:
        self._timer.cancel()
        self._duplicate.close()

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(max(seconds, 0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # The exchange has just ended by itself.
            self._duplicate.shutdown(socket.SHUT_RDWR)


class _Response(HTTPResponse):
    """An answer whose head is short. http.client has limits for a line and for the number of lines,
    which let a peer fill 50 MB while they are parsed.

    What cannot be read of it is forgotten: urllib3 would log it as a warning, and it may be our own
    request, sent back.
    """

    def begin(self) -> None:
        whole = self.fp
        self.fp = _Head(whole)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp:  # Else it was closed.
                self.fp = whole
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Head:
    """The file that an answer is read from, until its head is over."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _MAX_HEAD_BYTES

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line

    def close(self) -> None:
        self._file.close()


class _Pinned:
    """Connection that goes to a checked address, and is cut at the deadline.

    With urllib3-future it speaks HTTP/1.1 alone: HTTP/3 would open a connection of its own, to an
    address that nobody has checked. Its head of an answer has a limit there as well, of 16 KiB and
    what came with them.
    """

    host: str
    _dns_host: str
    port: int
    socket_options: Any
    response_class: Any = _Response
    _deadline: _Deadline | None = None
    _is_reading_headers = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if HttpVersion:
            kwargs["disabled_svn"] = {HttpVersion.h2, HttpVersion.h3}
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        begun = time.monotonic()
        self._forget_deadline()
        connected = self._connect_to_first(self._addresses())
        self._deadline = _Deadline(connected, begun)
        return connected

    def _addresses(self) -> Sequence[str]:
        # Not ``host``, which has lost a dot at the end: with it, a resolver looks for this name
        # alone, and not for one of its search domains too.
        return resolve(self._dns_host, self.port)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        if self._deadline:
            self._deadline.exchange_begins()
        sent = super().request(*args, **kwargs)  # type: ignore[misc]
        if self._deadline:
            self._deadline.request_is_sent()
        return sent

    def getresponse(self, **kwargs: Any) -> Any:
        # http.client closes the connection in here where the body ends with it ("Connection:
        # close"). The body is still to come then, and the deadline holds for it.
        self._is_reading_headers = True
        try:
            return super().getresponse(**kwargs)  # type: ignore[misc]
        finally:
            self._is_reading_headers = False

    def close(self) -> None:
        if not self._is_reading_headers:
            self._forget_deadline()
        super().close()  # type: ignore[misc]

    def _forget_deadline(self) -> None:
        if self._deadline:
            self._deadline.close()
            self._deadline = None

    def _connect_to_first(self, addresses: Sequence[str]) -> socket.socket:
        # One limit over all addresses: each with its own would let N addresses hold a worker for
        # N times as long.
        limit = min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)
        # urllib3-future says as a fourth for which kind of socket an option is.
        options = [each[:3] for each in self.socket_options or () if "udp" not in each[3:]]
        try:
            return racing.connect(addresses, self.port, limit=limit, options=options)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "Connecting took too long.") from error
        except OSError as error:
            text = f"Cannot connect: {error}"
            raise NewConnectionError(self, text) from error  # type: ignore[arg-type]


class _PinnedHTTPConnection(_Pinned, HTTPConnection):
    def _addresses(self) -> Sequence[str]:
        # The URL was judged by its name, and not every resolver keeps *.localhost (RFC 6761,
        # section 6.3) on this machine.
        addresses = super()._addresses()
        for address in addresses:
            if not is_loopback_host(address):
                raise AddressRefused(f"{self.host} is {address}, which is not called in clear.")
        return addresses


class _PinnedHTTPSConnection(_Pinned, HTTPSConnection):
    pass


class PinnedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PinnedHTTPConnection


class PinnedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedHTTPSConnection
