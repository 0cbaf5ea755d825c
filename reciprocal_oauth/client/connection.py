"""Connections of the HTTP client: to a checked address, closed at a deadline, with a limit for the
status line and headers of a response."""

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
    # urllib3-future, which niquests and others install, replaces urllib3.
    from urllib3 import HttpVersion  # type: ignore[attr-defined]
except ImportError:
    HttpVersion = None

from ..conf import settings
from ..core.peer_urls import is_loopback_host
from ..exceptions import AddressRefused
from . import racing
from .addresses import resolve

#: Most bytes of a response before its body: status line and headers.
_MAX_HEAD_BYTES = 64 * 1024


class _Deadline:
    """Shuts a connection down when request and response together take too long.

    A read timeout counts from the last byte, so a peer that sends one byte a second would block a
    worker for ever. The deadline keeps a duplicate of the socket, because the TLS layer detaches
    the original.

    :param started_at: when the first request started, including the look-up of the peer's name
        (``time.monotonic()``).
    """

    def __init__(self, connected: socket.socket, started_at: float) -> None:
        self._duplicate = connected.dup()
        self._is_first_request = True
        self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS - (time.monotonic() - started_at))

    def before_request(self) -> None:
        """Restart the clock for a second or later request on the same connection."""
        if not self._is_first_request:
            self._timer.cancel()
            self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS)

    def after_request(self) -> None:
        """Remember that the first request was sent."""
        self._is_first_request = False

    def close(self) -> None:
        """Stop the clock."""
        self._timer.cancel()
        self._duplicate.close()

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(max(seconds, 0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # The connection was closed just before.
            self._duplicate.shutdown(socket.SHUT_RDWR)


class _Response(HTTPResponse):
    """A response with a limit for status line and headers together.

    http.client limits the length of a line and the number of lines. A peer that uses both limits
    makes the parser fill 50 MB. Lines that cannot be parsed are dropped: urllib3 would log them as
    a warning, and they may be our own request, sent back by the peer.
    """

    def begin(self) -> None:
        """Read status line and headers (RFC 9112, sections 4 and 5).

        :raises LineTooLong: they exceed the limit.
        """
        whole = self.fp
        self.fp = _Head(whole)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp:  # It is None if an error has closed it.
                self.fp = whole
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Head:
    """The file that status line and headers are read from; it counts their bytes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _MAX_HEAD_BYTES

    def readline(self, limit: int) -> bytes:
        """Read one line.

        :raises LineTooLong: status line and headers exceed the limit.
        """
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Pinned:
    """A connection to a checked address that is closed at the deadline.

    With urllib3-future it speaks HTTP/1.1 only: HTTP/3 would open another connection, to an address
    that is not checked. urllib3-future has its own limit for status line and headers, about 16 KiB.
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
        started_at = time.monotonic()
        self._remove_deadline()
        connected = self._connect(self._addresses())
        self._deadline = _Deadline(connected, started_at)
        return connected

    def _addresses(self) -> Sequence[str]:
        # ``host`` would have lost a dot at the end of the name. With the dot, a resolver looks up
        # exactly this name and does not append its search domains.
        return resolve(self._dns_host, self.port)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request, with a deadline of its own."""
        if self._deadline:
            self._deadline.before_request()
        sent = super().request(*args, **kwargs)  # type: ignore[misc]
        if self._deadline:
            self._deadline.after_request()
        return sent

    def getresponse(self, **kwargs: Any) -> Any:
        """Read status line and headers."""
        # With "Connection: close" (RFC 9112, section 9.6), http.client calls close() in here. The
        # body is not read yet, and the deadline must hold for it.
        self._is_reading_headers = True
        try:
            return super().getresponse(**kwargs)  # type: ignore[misc]
        finally:
            self._is_reading_headers = False

    def close(self) -> None:
        """Close the connection and stop its deadline."""
        if not self._is_reading_headers:
            self._remove_deadline()
        super().close()  # type: ignore[misc]

    def _remove_deadline(self) -> None:
        if self._deadline:
            self._deadline.close()
            self._deadline = None

    def _connect(self, addresses: Sequence[str]) -> socket.socket:
        # One limit for all addresses together: with a limit each, N addresses could block a worker
        # N times as long.
        limit = min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)
        # With urllib3-future, an option has a fourth part: the kind of socket that it is for.
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
        # The URL was accepted because of its host name. Not every resolver resolves *.localhost to
        # this machine, as RFC 6761, section 6.3, demands.
        addresses = super()._addresses()
        for address in addresses:
            if not is_loopback_host(address):
                raise AddressRefused(
                    f"{self.host} is {address}, which this site does not call without TLS."
                )
        return addresses


class _PinnedHTTPSConnection(_Pinned, HTTPSConnection):
    pass


class PinnedHTTPPool(HTTPConnectionPool):
    """Connections without TLS, to this machine only."""

    ConnectionCls = _PinnedHTTPConnection


class PinnedHTTPSPool(HTTPSConnectionPool):
    """Connections with TLS (RFC 9110, section 4.2.2)."""

    ConnectionCls = _PinnedHTTPSConnection
