"""Sends exactly the request that it is told to send. Libraries for HTTP repair what must go out
broken: repeated headers, empty parameters, redirects, credentials."""

import base64
import http.client
import json
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

from .exchanges import SENT, Exchange, Headers, Recorder

FORM = "application/x-www-form-urlencoded"
#: Bytes of a response that are read.
LONGEST = 4 * 1024 * 1024
#: Seconds for a whole response.
DEADLINE = 90.0
Pairs = Iterable[tuple[str, str]]


class NoResponse(Exception):
    """The subject could not be reached, or sent no complete HTTP response."""


@dataclass(frozen=True)
class Request:
    """One request, as it goes out."""

    method: str
    url: str
    headers: Headers = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """One response.

    :ivar seconds: from the begin of the request to the end of the response.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """Return the value of a header, or an empty text. Repeated headers are joined."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the body as JSON, or ``None`` if it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def member(self, name: str) -> Any:
        """Return a member of the JSON object, or ``None``."""
        body = self.json()
        return body.get(name) if isinstance(body, dict) else None

    def __str__(self) -> str:
        error = self.member("error")
        said = f" with error={error}" if isinstance(error, str) else ""
        return f"status {self.status}{said}"


def form(pairs: Pairs) -> bytes:
    """Encode parameters in this order, repeated ones too (RFC 6749, appendix B)."""
    return urlencode(list(pairs)).encode("ascii")


def basic(client_id: str, client_secret: str, *, is_raw: bool = False) -> str:
    """Return the header Authorization of a client (RFC 6749, section 2.3.1).

    :param is_raw: without the form-encoding of ID and secret, as many clients do it wrongly.
    """
    encode = str if is_raw else quote_plus
    both = f"{encode(client_id)}:{encode(client_secret)}"
    return "Basic " + base64.b64encode(both.encode()).decode()


def with_query(url: str, parameters: Mapping[str, str] | Pairs) -> str:
    """Add parameters to those that a URL has."""
    parts = urlsplit(url)
    pairs = parameters.items() if isinstance(parameters, Mapping) else parameters
    query = "&".join(each for each in (parts.query, urlencode(list(pairs))) if each)
    return urlunsplit(parts._replace(query=query))


def retry_after(response: Response) -> float | None:
    """Return the seconds that the subject asks to wait (RFC 9110, section 10.2.3), or ``None``."""
    value = response.header("Retry-After").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


class Client:
    """Sends requests, and keeps them.

    :param tls: how certificates of subjects are verified.
    :param timeout: seconds for connecting, and for each part of the response.
    """

    def __init__(self, recorder: Recorder, tls: ssl.SSLContext, timeout: float = 30.0) -> None:
        self._recorder = recorder
        self._tls = tls
        self._timeout = timeout

    def send(self, request: Request, *, owner: str = "", note: str = "") -> Response:
        """Send a request. Redirects are not followed.

        :param note: what the report says about it.
        :raises NoResponse: there is no complete response.
        """
        exchange = Exchange(
            SENT,
            self._recorder.now(),
            request.method,
            request.url,
            list(request.headers),
            request.body,
            owner=owner or self._recorder.current,
            note=note,
        )
        began = time.monotonic()
        try:
            response = self._send(request, began)
        except (OSError, http.client.HTTPException, ValueError) as error:
            exchange.seconds = time.monotonic() - began
            exchange.error = f"{type(error).__name__}: {error}"
            self._recorder.keep(exchange)
            host = urlsplit(request.url).netloc
            raise NoResponse(f"no response from {host}: {type(error).__name__}: {error}") from error
        exchange.status, exchange.reason = response.status, response.reason
        exchange.response_headers, exchange.response_body = response.headers, response.body
        exchange.seconds = response.seconds
        self._recorder.keep(exchange)
        return response

    def _send(self, request: Request, began: float) -> Response:
        parts = urlsplit(request.url)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=self._timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname or "", parts.port, timeout=self._timeout
            )
        try:
            path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.putrequest(request.method, path, skip_accept_encoding=True)
            for name, value in _with_defaults(request):
                connection.putheader(name, value)
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = _read(answer, began + DEADLINE)
            seconds = time.monotonic() - began
            return Response(answer.status, answer.reason, answer.getheaders(), body, seconds)
        finally:
            connection.close()


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """Read a body that may come byte by byte."""
    body = b""
    while len(body) < LONGEST:
        part = answer.read1(64 * 1024)
        if not part:
            break
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError("the response takes too long")
    return body


def _with_defaults(request: Request) -> Headers:
    given = {name.lower() for name, _ in request.headers}
    headers = list(request.headers)
    if "accept" not in given:
        headers.append(("Accept", "application/json"))
    if "user-agent" not in given:
        headers.append(("User-Agent", "reciprocal-oauth-conformance"))
    if "content-length" not in given and (request.body or request.method in ("POST", "PUT")):
        headers.append(("Content-Length", str(len(request.body))))
    headers.append(("Connection", "close"))
    return headers
