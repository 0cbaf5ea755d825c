"""A peer that answers with the bytes a test tells it to, over real HTTP on loopback."""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        """The body's form fields; a repeated one fails the test."""
        fields = parse_qs(self.body, keep_blank_values=True, strict_parsing=True)
        assert all(len(values) == 1 for values in fields.values())
        return {name: values[0] for name, values in fields.items()}


@dataclass
class Reply:
    """What the peer answers: raw bytes, no interpretation."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    def json(cls, status: int = 200, /, **members: Any) -> "Reply":
        return cls(status, json.dumps(members).encode())


Script = Reply | Callable[[Received], Reply]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Whoever has given up no longer listens.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FakePeer:
    """``answers[path]`` is what it says there: one reply, or a list used up one by one, the last
    of which stays. ``requests`` is what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Script | list[Script]] = {}
        self.requests: list[Received] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                received = Received(
                    self.command,
                    self.path.partition("?")[0],
                    dict(self.headers),
                    self.rfile.read(length).decode(),
                )
                peer.requests.append(received)
                reply = peer._reply(received)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = _serve

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def to(self, path: str) -> list[Received]:
        """The requests that arrived at ``path``."""
        return [received for received in self.requests if received.path == path]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, received: Received) -> Reply:
        script = self.answers.get(received.path, Reply(404, b"not here"))
        if isinstance(script, list):
            script = script.pop(0) if len(script) > 1 else script[0]
        return script(received) if callable(script) else script


def token_response(**members: Any) -> Reply:
    """A token response as RFC 6749, section 5.1, has it."""
    return Reply.json(
        **{
            "access_token": "token-of-the-peer",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "refresh-of-the-peer",
            "scope": "play",
            **members,
        }
    )
