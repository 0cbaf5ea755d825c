"""A small HTTP server for tests, on the loopback interface. The test defines its responses."""

import json
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from django.conf import settings
from django.test import override_settings


@dataclass
class ReceivedRequest:
    """A request that the fake server received.

    :ivar query: the part of the URL after ``?``, not decoded.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: str
    query: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters in the query."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The form fields of the body.

        :raises ValueError: the body is not form-encoded, or a field is repeated.
        """
        pairs = parse_qsl(self.body, keep_blank_values=True, strict_parsing=True)
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise ValueError("A field is repeated.")
        return fields


@dataclass
class FakeResponse:
    """A response of the fake server, which sends ``body`` without any change."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    def json(cls, status: int = 200, /, **members: Any) -> Self:
        """Return a response whose body is a JSON object."""
        return cls(status, json.dumps(members).encode())


#: A response, or a function that returns the response to a given request.
Responder = FakeResponse | Callable[[ReceivedRequest], FakeResponse]


class FakeServer:
    """An HTTP server that starts when the object is created.

    In a ``with`` block, the app can call the server, because the setting ``HTTP_ALLOW_LOOPBACK`` is
    on. The server stops at the end of the block.

    :ivar responses: a mapping from each path to its response, or to a function that returns it. The
        value can also be a list of these: each request to the path gets the next response of the
        list. After the end of the list, every request gets the last response again.
    :ivar requests: the requests that the server received, in order.
    """

    def __init__(self) -> None:
        self.responses: dict[str, Responder | list[Responder]] = {}
        self.requests: list[ReceivedRequest] = []
        self._settings = ExitStack()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        ours = {**getattr(settings, "RECIPROCAL_OAUTH", {}), "HTTP_ALLOW_LOOPBACK": True}
        self._settings.enter_context(override_settings(RECIPROCAL_OAUTH=ours))
        return self

    def __exit__(self, *error: object) -> None:
        self._settings.close()
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def to(self, path: str) -> list[ReceivedRequest]:
        """Return the requests that the server received at ``path``."""
        return [request for request in self.requests if request.path == path]

    def stop(self) -> None:
        """Stop the server and free its port."""
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: ReceivedRequest) -> FakeResponse:
        """Record ``request`` and return the response for its path. If the test defined no response
        for this path, return a response with status 404."""
        self.requests.append(request)
        responder = self.responses.get(request.path, FakeResponse(404, b"not here"))
        if isinstance(responder, list):
            responder = responder.pop(0) if len(responder) > 1 else responder[0]
        return responder(request) if callable(responder) else responder


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Do not print an error if the client has closed the connection, for example after a
        # timeout. A test can cause this on purpose.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            path, _mark, query = self.path.partition("?")
            received = ReceivedRequest(self.command, path, dict(self.headers), body, query)
            response = server.respond(received)
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
