"""The connections of the HTTP client.

A connection goes to a checked IP address or through the proxy of this site, and is closed at a
deadline. The status line and the
headers of a response have a limit in bytes.
"""

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
    # This import succeeds only if the package urllib3-future is installed (by niquests, for
    # example). It replaces the package urllib3 under the same name.
    from urllib3 import HttpVersion  # type: ignore[attr-defined]
except ImportError:
    HttpVersion = None

from ..conf import settings
from ..core.peer_urls import is_loopback_host
from ..exceptions import AddressRefused
from . import proxy, racing, tls
from .addresses import resolve

#: The highest number of bytes that the status line and the headers of a response have together.
_MAX_HEAD_BYTES = 64 * 1024


class _Deadline:
    """Shuts a connection down if a request and its response together take too long.

    A timer shuts the connection down. A read timeout is not enough, because it starts again with
    each byte: a peer that sends one byte per second would block a worker for ever.

    The timer uses a duplicate of the socket object, for the same connection. The original object
    becomes unusable when TLS starts, because the TLS layer takes over the connection.

    :param connected: the socket of the connection, before TLS starts.
    :param started_at: when this site began to look up the host name for the first request, as a
        value of ``time.monotonic()``.
    """

    def __init__(self, connected: socket.socket, started_at: float) -> None:
        self._duplicate = connected.dup()
        self._is_first_request = True
        self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS - (time.monotonic() - started_at))

    def before_request(self) -> None:
        """Restart the time limit if an earlier request has used this connection.

        For the first request, the limit is already running: it includes the time to connect.
        """
        if not self._is_first_request:
            self._timer.cancel()
            self._start(settings.HTTP_TOTAL_TIMEOUT_SECONDS)

    def after_request(self) -> None:
        """Remember that a request was sent, so that :meth:`before_request` restarts the time limit
        for the next request on this connection."""
        self._is_first_request = False

    def close(self) -> None:
        """Cancel the timer that would shut the connection down at the deadline. Also close the
        duplicate of the socket, which only this timer uses. The connection itself stays open."""
        self._timer.cancel()
        self._duplicate.close()

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(max(seconds, 0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # Raised if the connection is already closed.
            self._duplicate.shutdown(socket.SHUT_RDWR)


class _Response(HTTPResponse):
    """A response with one limit for the status line and all headers together.

    http.client limits only the length of each line and the number of lines. With long lines and
    many lines, a peer could make the parser use 50 MB.

    Header lines that cannot be parsed are deleted. Otherwise, urllib3 would write them to the log,
    and a peer could put our own request, with its secrets, into such a line.
    """

    def begin(self) -> None:
        """Read the status line and the headers (RFC 9112, sections 4 and 5).

        :raises LineTooLong: the status line and the headers exceed the limit.
        """
        whole = self.fp
        self.fp = _Head(whole)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp:  # It is None after an error, which closes the file.
                self.fp = whole
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Head:
    """Wraps the file object from which http.client reads the status line and the headers of a
    response. It counts their bytes and raises an error if there are too many.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _MAX_HEAD_BYTES

    def readline(self, limit: int) -> bytes:
        """Read one line, which is the status line or a line of the headers.

        :raises LineTooLong: all lines that were read so far have together more than
            ``_MAX_HEAD_BYTES`` bytes.
        """
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line

    def close(self) -> None:
        """Close the file object. http.client calls this after an error."""
        self._file.close()


class _Pinned:
    """Mixin for a connection that goes to a checked IP address and is closed at the deadline.

    If urllib3-future replaces urllib3, the connection uses HTTP/1.1 only, because HTTP/3 would open
    another connection to an address that is not checked. urllib3-future has its own limit for the
    status line and the headers: about 16 KiB.
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
        # Use ``_dns_host``, because ``host`` lacks the dot that a name can end with. With the dot,
        # a resolver looks up exactly this name and does not append its search domains.
        return resolve(self._dns_host, self.port)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request. Each request on the connection has its own deadline."""
        if self._deadline:
            self._deadline.before_request()
        sent = super().request(*args, **kwargs)  # type: ignore[misc]
        if self._deadline:
            self._deadline.after_request()
        return sent

    def getresponse(self, **kwargs: Any) -> Any:
        """Read the status line and the headers of the response."""
        # If the response has the header "Connection: close" (RFC 9112, section 9.6), http.client
        # calls close() inside this method. Keep the deadline in that case, because the deadline
        # also applies to the body, which is read later.
        self._is_reading_headers = True
        try:
            return super().getresponse(**kwargs)  # type: ignore[misc]
        finally:
            self._is_reading_headers = False

    def close(self) -> None:
        """Close the connection and stop the timer of its deadline.

        There is one exception: http.client can call this method while it reads the headers, for
        example after ``Connection: close``. The timer then continues, because the body is read
        later and has the same deadline.
        """
        if not self._is_reading_headers:
            self._remove_deadline()
        super().close()  # type: ignore[misc]

    def _remove_deadline(self) -> None:
        if self._deadline:
            self._deadline.close()
            self._deadline = None

    def _connect(self, addresses: Sequence[str]) -> socket.socket:
        limit, options = _connect_limit(), _options(self.socket_options)
        try:
            return racing.connect(addresses, self.port, limit=limit, options=options)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "Connecting took too long.") from error
        except OSError as error:
            text = f"Cannot connect: {error}"
            raise NewConnectionError(self, text) from error  # type: ignore[arg-type]


def _connect_limit() -> float:
    """Return how many seconds connecting may take. All addresses together have one time limit. If
    each address had a limit of its own, a host name with many addresses could block a worker for a
    long time."""
    return min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)


def _options(given: Any) -> list[tuple[Any, ...]]:
    # setsockopt() takes three values. urllib3-future adds a fourth value to an option: the kind of
    # socket for which the option is, such as "udp".
    return [each[:3] for each in given or () if "udp" not in each[3:]]


class _PinnedHTTPConnection(_Pinned, HTTPConnection):
    def _addresses(self) -> Sequence[str]:
        # Without TLS, this site calls only servers on this machine. Check the addresses, because
        # some resolvers return the address of another machine for a name that ends in .localhost.
        # Such a name should always mean this machine (RFC 6761, section 6.3).
        addresses = super()._addresses()
        for address in addresses:
            if not is_loopback_host(address):
                raise AddressRefused(
                    f"{self.host} is {address}, which this site does not call without TLS."
                )
        return addresses


class _PinnedHTTPSConnection(_Pinned, HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        way = proxy.proxy_for(self.host)
        return super()._new_conn() if way is None else self._tunnelled(way)

    def _tunnelled(self, way: proxy.Proxy) -> socket.socket:
        """Return a connection to the peer through the proxy. It has the same deadline as a direct
        connection, which includes the time to connect to the proxy.

        :raises AddressRefused: the host is an IP address that this site must not call.
        :raises ProxyFailed: the proxy cannot be reached, or refuses.
        :raises PeerUnreachable: the proxy cannot reach the peer.
        """
        started_at = time.monotonic()
        self._remove_deadline()
        proxy.refuse_bad_address(self._dns_host)
        connected = proxy.connect(way, _connect_limit(), _options(self.socket_options))
        self._deadline = _Deadline(connected, started_at)
        try:
            tunnel = proxy.secure(way, connected)
            proxy.open_tunnel(way, tunnel, self._dns_host, self.port)
        except BaseException:
            self._remove_deadline()
            connected.close()
            raise
        if tunnel is not connected:
            self.ssl_context = proxy.over_tls(self.ssl_context or tls.context())
        return tunnel


class PinnedHTTPPool(HTTPConnectionPool):
    """A connection pool for plain HTTP. Its connections go only to servers on this machine."""

    ConnectionCls = _PinnedHTTPConnection


class PinnedHTTPSPool(HTTPSConnectionPool):
    """A connection pool for https (RFC 9110, section 4.2.2). Its connections go only to checked IP
    addresses, or through the proxy of this site."""

    ConnectionCls = _PinnedHTTPSConnection
