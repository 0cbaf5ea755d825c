"""HTTP for the two small parties: a server, and a client that follows no redirects."""

import base64
import http.client
import json
import os
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, quote_plus, unquote_plus, urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"
#: The longest body that is accepted, in bytes: of a request, and of a response.
MAX_BODY = 64 * 1024
#: How much of a longer request is read, so that its sender gets to read the answer.
MAX_DISCARDED = 4 * 1024 * 1024


class Refused(Exception):
    """Ends a request with an error (RFC 6749, section 5.2)."""

    def __init__(self, error: str, status: int = 400, **headers: str) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.headers = headers


class NoResponse(Exception):
    """The other party cannot be reached, does not answer in time, or speaks no HTTP."""


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """:ivar query: the query of its URL, as it came."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes

    def arguments(self) -> dict[str, str]:
        """Return the parameters of the query. One that comes twice counts for nothing."""
        values = parse_qs(self.query, keep_blank_values=True)
        return {name: each[0] for name, each in values.items() if len(each) == 1}

    def form(self, *, several: tuple[str, ...] = ()) -> dict[str, str]:
        """Return the parameters of the body. Empty ones are left out (RFC 6749, section 3.2).

        :param several: parameters that may come several times. Their values are joined by blanks.
        :raises Refused: the body is no form, or a parameter comes twice.
        """
        if "Content-Type" not in self.headers or self.headers.get_content_type() != FORM:
            raise Refused("invalid_request")
        try:
            text = self.body.decode("ascii")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            raise Refused("invalid_request") from None
        form: dict[str, str] = {}
        for name, value in pairs:
            if name in form and name not in several:
                raise Refused("invalid_request")
            form[name] = f"{form[name]} {value}" if name in form else value
        return {name: value for name, value in form.items() if value}

    def basic(self) -> tuple[str, str] | None:
        """Return client ID and secret of the header Authorization (RFC 6749, section 2.3.1)."""
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            client_id, _, secret = base64.b64decode(credentials).decode().partition(":")
        except ValueError:
            return None
        return unquote_plus(client_id), unquote_plus(secret)

    def bearer(self) -> str:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def cookie(self, name: str) -> str:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return ""
        return cookies[name].value if name in cookies else ""


def json_response(members: Mapping[str, object], status: int = 200, **headers: str) -> Response:
    """Return a JSON object that no cache keeps (RFC 6749, section 5.1)."""
    kept = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(status, json.dumps(members).encode(), {**kept, **headers})


def error_response(refused: Refused) -> Response:
    return json_response({"error": refused.error}, refused.status, **refused.headers)


def redirect(url: str, **parameters: str) -> Response:
    """Return a redirect by GET. Empty parameters are left out."""
    given = {name: value for name, value in parameters.items() if value}
    joint = "&" if "?" in url else "?"
    return Response(303, b"", {"Location": f"{url}{joint}{urlencode(given)}" if given else url})


#: What answers a request: by the path, then by the method. A path with ``*`` at its end stands for
#: all paths that begin so.
Routes = Mapping[str, Mapping[str, Callable[[Request], Response]]]


def respond(routes: Routes, request: Request) -> Response:
    """Return the response. An error of the program is a 500 that tells nothing."""
    methods = routes.get(request.path)
    for path, others in routes.items():
        if methods is None and path.endswith("*") and request.path.startswith(path[:-1]):
            methods = others
    if methods is None:
        return Response(404)
    if request.method not in methods:
        return Response(405, b"", {"Allow": ", ".join(methods)})
    try:
        if len(request.body) > MAX_BODY:
            raise Refused("invalid_request", 413)
        return methods[request.method](request)
    except Refused as refused:
        return error_response(refused)
    except Exception:
        traceback.print_exc()
        return json_response({"error": "server_error"}, 500)


def end_with_parent() -> None:
    """End this process when the one that started it has ended: it may be killed."""
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def serve(port: int, routes: Routes) -> None:
    """Answer requests at a port of the loopback address until the process, or the one that started
    it, ends."""
    end_with_parent()

    class Handler(BaseHTTPRequestHandler):
        timeout = 60

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(min(self._length(), MAX_DISCARDED))
            response = respond(routes, Request(self.command, path, query, self.headers, body))
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

        def _length(self) -> int:
            text = self.headers.get("Content-Length", "0")
            return int(text) if text.isdigit() else 0

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing: an address can hold a code."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


# --- The client --------------------------------------------------------------------------------


@dataclass
class Received:
    """What another party answered."""

    status: int
    headers: Message
    body: bytes

    def members(self) -> dict[str, object]:
        """Return the JSON object, or an empty one if the body is anything else."""
        try:
            members = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return members if isinstance(members, dict) else {}

    @property
    def is_temporary(self) -> bool:
        """Whether the same can work later."""
        return self.status == 429 or self.status >= 500

    @property
    def retry_after(self) -> float:
        """How long the other party asks to wait, in seconds."""
        text = self.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit():
            return min(float(text), 120)
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return 0
        return min(max(seconds, 0), 120)


def basic_header(client_id: str, secret: str) -> str:
    """Return the value of the header Authorization (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Client:
    """Sends requests.

    :param ca: a file with the certificates that are trusted, or an empty text for those of the
        system.
    """

    def __init__(self, *, ca: str = "", timeout: float = 5) -> None:
        self._context = ssl.create_default_context(cafile=ca or None)
        self._timeout = timeout

    def get(self, url: str, **headers: str) -> Received:
        """:raises NoResponse: there is no response."""
        return self._send("GET", url, None, headers)

    def post(self, url: str, form: Mapping[str, str], **headers: str) -> Received:
        """:raises NoResponse: there is no response."""
        body = urlencode(form).encode()
        return self._send("POST", url, body, {"Content-Type": FORM, **headers})

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Received:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = self._connection(parts.scheme, parts.netloc)
        try:
            connection.request(method, path or "/", body, {"Accept": "application/json", **headers})
            response = connection.getresponse()
            received = response.read(MAX_BODY + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoResponse(type(error).__name__) from error
        finally:
            connection.close()
        if len(received) > MAX_BODY:
            received = b""
        return Received(response.status, response.headers, received)

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(netloc, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(netloc, timeout=self._timeout)


def config_of_command_line() -> dict[str, object]:
    """Read the JSON file that the command line names.

    :raises SystemExit: it names none.
    """
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} CONFIG.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        return dict(json.load(file))
