"""The tester's HTTP server. The party that the tester plays answers the requests."""

import contextlib
import json
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import as_file, files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..errors import UsageError
from .exchanges import RECEIVED, Exchange, Headers, Recorder

#: Bytes of a request body that are read.
LONGEST = 1024 * 1024
#: Seconds in which a TLS handshake and each part of a request must come.
TIMEOUT = 30.0


@dataclass(frozen=True)
class Received:
    """A request to the tester.

    :ivar at: seconds since the run began.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    at: float

    @cached_property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        return _pairs(urlsplit(self.url).query)

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        return _pairs(self.body.decode("utf-8", errors="replace"))

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    def first(self, name: str) -> str:
        """Return the first value of a parameter of the body, or an empty text."""
        return next((value for key, value in self.form if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter of the body."""
        return [value for key, value in self.form if key == name]

    @cached_property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True)
    except ValueError:
        return []


@dataclass(frozen=True)
class Reply:
    """What the tester answers.

    :ivar delay: seconds before the response begins.
    :ivar is_reset: close the connection in place of a response.
    :ivar note: for the reports.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    delay: float = 0.0
    is_reset: bool = False
    note: str = ""

    @classmethod
    def json(cls, status: int = 200, /, **members: Any) -> "Reply":
        """A JSON object that must not be kept (RFC 6749, section 5.1)."""
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return cls(status, headers, json.dumps(members).encode())

    @classmethod
    def error(cls, error: str, status: int = 400) -> "Reply":
        """An error of the token endpoint (RFC 6749, section 5.2)."""
        return cls.json(status, error=error)

    @classmethod
    def text(cls, text: str, status: int = 200) -> "Reply":
        return cls(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> "Reply":
        return cls(status, [("Location", url)])


class Server:
    """Listens, and gives requests to a function, each in a thread of its own.

    :param answer: gets the request and its exchange. The exchange is kept if it has an owner or
        another check runs; the function may set :attr:`Exchange.owner`.
    """

    def __init__(
        self,
        address: tuple[str, int],
        recorder: Recorder,
        answer: Callable[[Received, Exchange], Reply],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.recorder = recorder
        self.answer = answer
        self.tls = tls
        #: Set when the tester stops, so that delayed responses do not hold it back.
        self.is_stopping = threading.Event()
        #: TLS handshakes that a client ended.
        self.refused_handshakes = 0
        try:
            self._http = _Http(address, _Handler, self)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"The tester cannot listen at {address[0]}:{address[1]}: {error}."
            ) from error
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_stopping.set()
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def wrong_certificate(self) -> Iterator[None]:
        """Show a certificate that nobody may trust, for a while."""
        right = self.tls
        self.show_wrong_certificate()
        try:
            yield
        finally:
            self.tls = right

    def show_wrong_certificate(self) -> None:
        """Show a certificate that nobody may trust. It is for another host, and self-signed."""
        wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with as_file(files(__package__).joinpath("wrong_certificate.pem")) as path:
            wrong.load_cert_chain(path)
        self.tls = wrong


def tls_of(certificate: str, key: str) -> ssl.SSLContext | None:
    """Return the TLS of the tester's server, or ``None`` without a certificate.

    :raises UsageError: the files cannot be used.
    """
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{certificate} and {key} are no certificate and key: {error}.") from error
    return context


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # Many requests at once may come from a subject that is tested for it.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any, server: Server) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.tester = server
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # The base class looks the name of the host up, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(TIMEOUT)
        if self.tester.tls is not None:
            try:
                request = self.tester.tls.wrap_socket(request, server_side=True)
            except OSError:
                self.tester.refused_handshakes += 1
                return
        try:
            super().finish_request(request, client_address)
        finally:
            if self.tester.tls is not None:
                with contextlib.suppress(OSError):
                    request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the tester."""


class _Handler(BaseHTTPRequestHandler):
    # So that a client that sends "Expect: 100-continue" gets its answer.
    protocol_version = "HTTP/1.1"
    server_version = "reciprocal-oauth-conformance"
    sys_version = ""
    server: _Http

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _handle(self) -> None:
        tester = self.server.tester
        began = time.monotonic()
        length = self.headers.get("Content-Length", "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
        body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else b""
        body = body or self.rfile.read(min(size, LONGEST))
        at = tester.recorder.now()
        received = Received(self.command, self.path, list(self.headers.items()), body, at)
        exchange = Exchange(
            RECEIVED, at, received.method, received.url, received.headers, received.body
        )
        exchange.owner = tester.recorder.current
        reply = tester.answer(received, exchange)
        exchange.note = reply.note
        exchange.status = None if reply.is_reset else reply.status
        exchange.error = "The tester closed the connection on purpose." if reply.is_reset else ""
        exchange.response_headers, exchange.response_body = reply.headers, reply.body
        tester.recorder.keep(exchange)
        if reply.delay:
            tester.is_stopping.wait(reply.delay)
        self._reply(reply)
        exchange.seconds = time.monotonic() - began

    def _chunks(self) -> bytes:
        body = b""
        while len(body) < LONGEST:
            size = int(self.rfile.readline(64).split(b";")[0].strip() or b"0", 16)
            if not size:
                self.rfile.readline(64)
                break
            body += self.rfile.read(min(size, LONGEST))
            self.rfile.readline(64)
        return body

    def _reply(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.is_reset:
            # A reset, not an orderly end: the client must not take it for an empty response.
            with contextlib.suppress(OSError):
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            return
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle

    def log_message(self, format: str, *args: object) -> None:
        """The recorder keeps what passes."""
