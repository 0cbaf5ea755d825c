"""Opens connections to peers through the proxy in the setting ``HTTP_PROXY_URL``.

Some sites reach other sites only through such a proxy. This site asks the proxy for a tunnel
(``CONNECT``: RFC 9110, section 9.3.6). In the tunnel it speaks TLS with the peer itself, so the
proxy sees the name of the peer but none of the codes, tokens and secrets.

The proxy looks up the name of the peer, so the proxy must also decide which IP addresses may be
called.
"""

import base64
import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from urllib3.util.ssltransport import SSLTransport

from ..conf import settings
from ..core.networks import is_allowed
from ..core.peer_urls import is_loopback_host
from ..exceptions import AddressRefused, PeerUnreachable, ProxyFailed
from . import failures, racing, tls
from .addresses import look_up

#: The highest number of bytes of the response to ``CONNECT``.
_MAX_HEAD_BYTES = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r?\n)")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_DEFAULT_PORTS = {"http": 3128, "https": 443}


@dataclass(frozen=True, repr=False)
class Proxy:
    """The proxy of this site.

    :ivar credentials: the value of the header ``Proxy-Authorization``; ``""`` without a password.
    """

    scheme: str
    host: str
    port: int
    credentials: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"  # Without the password.


def read(url: str) -> Proxy:
    """Read the URL of a proxy, such as ``http://user:password@proxy.example:3128``.

    :raises ValueError: ``url`` is not such a URL. The text does not contain ``url``, because it can
        contain a password.
    """
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it is not a text of printable ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("its host or its port cannot be read") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it does not begin with http:// or https://")
    if not host or port == 0:
        raise ValueError("its host or its port is missing")
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        raise ValueError("something follows the host and the port")
    credentials = ""
    if parts.username is not None:
        name, password = unquote(parts.username), unquote(parts.password or "")
        if ":" in name:
            raise ValueError("its user name contains a colon (RFC 7617, section 2)")
        encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
        credentials = f"Basic {encoded}"
    return Proxy(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], credentials)


def proxy_for(host: str) -> Proxy | None:
    """Return the proxy through which this site calls ``host``; ``None`` if it calls it directly.

    This machine is always called directly: seen from the proxy, ``localhost`` is the machine of the
    proxy.

    :raises ImproperlyConfigured: the setting ``HTTP_PROXY_URL`` is not the URL of a proxy.
    """
    if not settings.HTTP_PROXY_URL or is_loopback_host(host):
        return None
    try:
        return read(settings.HTTP_PROXY_URL)
    except ValueError as error:
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_PROXY_URL']: {error}.") from None


def refuse_bad_address(host: str) -> None:
    """Refuse ``host`` if it is an IP address that this site must not call. Names are checked by the
    proxy.

    :raises AddressRefused: this site must not call this IP address.
    """
    address = host
    if re.fullmatch(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)\.?", host, re.IGNORECASE):
        # A resolver can read texts such as "127.1" and "0x7f000001" as IPv4 addresses too.
        try:
            address = socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError:
            raise AddressRefused(f"{host} is not a name that this site calls.") from None
    elif ":" not in host:
        return
    if not is_allowed(address):
        raise AddressRefused(f"{host} is an address that this site does not call.")


def connect(proxy: Proxy, limit: float, options: list[tuple[Any, ...]]) -> socket.socket:
    """Connect to the proxy.

    :param limit: the time limit for the connection, in seconds.
    :raises ProxyFailed: the proxy cannot be reached.
    """
    try:
        return racing.connect(
            look_up(proxy.host, proxy.port), proxy.port, limit=limit, options=options
        )
    except PeerUnreachable as error:
        raise ProxyFailed(f"The proxy {proxy} cannot be reached: {error}") from None
    except OSError as error:
        raise ProxyFailed(f"The proxy {proxy}: {failures.describe(error)}") from None


def secure(proxy: Proxy, connected: socket.socket) -> socket.socket:
    """Start TLS with the proxy if its URL begins with https.

    :raises ProxyFailed: the TLS connection failed, or the certificate of the proxy is not valid.
    """
    if proxy.scheme != "https":
        return connected
    try:
        return tls.context().wrap_socket(connected, server_hostname=proxy.host)
    except OSError as error:  # ``ssl.SSLError`` is one.
        raise ProxyFailed(f"The proxy {proxy}: {failures.describe(error)}") from None


def open_tunnel(proxy: Proxy, connected: socket.socket, host: str, port: int) -> None:
    """Ask the proxy for a tunnel to the peer (RFC 9110, section 9.3.6).

    :param connected: the connection to the proxy.
    :raises ProxyFailed: the proxy refuses, or does not respond with HTTP.
    :raises PeerUnreachable: the proxy says that it cannot reach the peer, or does not respond while
        it tries to.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.credentials:
        lines.append(f"Proxy-Authorization: {proxy.credentials}")
    try:
        connected.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        status = _status(proxy, connected)
    except TimeoutError:
        raise PeerUnreachable(
            f"The proxy {proxy} opened no connection to {target} in time."
        ) from None
    except OSError as error:
        raise ProxyFailed(f"The proxy {proxy}: {failures.describe(error)}") from None
    if status >= 500:
        # Most proxies use 502 to 504 (RFC 9110, sections 15.6.3 to 15.6.5) if they accept the
        # request, but cannot reach the peer. Tinyproxy uses 500.
        raise PeerUnreachable(f"The proxy {proxy} cannot reach {target} (HTTP {status}).")
    if not 200 <= status < 300:
        raise ProxyFailed(f"The proxy {proxy} {_refusal(status)} (HTTP {status}) for {target}.")


def _refusal(status: int) -> str:
    if status in (401, 407):
        # Smokescreen responds with 407 to everything that its rules forbid. Tinyproxy responds with
        # 401 to wrong credentials.
        return "refuses the credentials in HTTP_PROXY_URL, or its rules do not allow a connection"
    return "does not allow a connection" if status == 403 else "opens no connection"


def _status(proxy: Proxy, connected: socket.socket) -> int:
    """Read the response to ``CONNECT`` and return its status.

    :raises ProxyFailed: it is not an HTTP response, or it is too long.
    """
    head = b""
    while not _END_OF_HEAD.search(head):
        chunk = connected.recv(4096)
        head += chunk
        if not chunk or len(head) > _MAX_HEAD_BYTES:
            break
    found, end = _STATUS_LINE.match(head), _END_OF_HEAD.search(head)
    if not found or not end:
        raise ProxyFailed(f"The proxy {proxy} did not respond with HTTP.")
    status = int(found[1])
    if 200 <= status < 300 and end.end() != len(head):
        # In a new tunnel, the peer waits for this site. So these bytes are from the proxy.
        raise ProxyFailed(f"The proxy {proxy} sent something before the tunnel was used.")
    return status


def over_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return ``context`` for connections in a tunnel of a proxy with which this site speaks TLS
    too."""
    return cast(ssl.SSLContext, _OverTLS(context))


class _OverTLS:
    """A TLS context that can start TLS inside of TLS.

    Python's ``SSLContext.wrap_socket()`` reads from the operating system's socket, and would find
    the encrypted bytes of the outer connection there.
    """

    def __init__(self, inner: ssl.SSLContext) -> None:
        object.__setattr__(self, "_inner", inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def wrap_socket(self, sock: Any, *, server_hostname: str | None = None, **_: Any) -> Any:
        """Start TLS with the peer inside of the connection ``sock``."""
        try:
            return SSLTransport(sock, self._inner, server_hostname)
        except BaseException:
            with contextlib.suppress(OSError):
                sock.close()
            raise
