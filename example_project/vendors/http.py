"""The HTTP server of a stand-in. It needs only the standard library."""

import base64
import binascii
import html
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..servers import HOST


@dataclass(frozen=True)
class Request:
    """A request that a stand-in has received.

    :ivar path: the path without the query.
    :ivar headers: the header fields, with names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Return the form fields in the body."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body; an empty one if the body is anything else."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def bearer(self) -> str:
        """Return the access token in the header ``Authorization`` (RFC 6750, section 2.1)."""
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    @property
    def credentials(self) -> tuple[str, str]:
        """Return the client ID and the client secret, from HTTP Basic or from the form fields
        (RFC 6749, section 2.3.1)."""
        scheme, _space, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return self.form.get("client_id", ""), self.form.get("client_secret", "")
        try:
            client_id, _colon, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(client_id), unquote(secret)


@dataclass(frozen=True)
class Response:
    """The response of a stand-in.

    :ivar body: a text is sent as HTML; anything else is sent as JSON.
    """

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def redirect(url: str) -> Response:
    return Response("", 302, {"Location": url})


def page(title: str, *paragraphs: str, buttons: Mapping[str, str] | None = None) -> Response:
    """Return an HTML page.

    :param buttons: the paths to which the buttons of the page send a POST request, with the texts
        of the buttons.
    """
    texts = "".join(f"<p>{html.escape(each)}</p>" for each in paragraphs)
    forms = "".join(
        f'<form method="post" action="{html.escape(path)}"><button>{html.escape(text)}</button>'
        "</form>"
        for path, text in (buttons or {}).items()
    )
    name = html.escape(title)
    return Response(
        f'<!doctype html><html lang="en"><title>{name}</title><h1>{name}</h1>{texts}{forms}</html>'
    )


#: The views of a stand-in. The keys are a method and a regular expression for the whole path.
Routes = Mapping[tuple[str, str], Callable[[Request], Response]]


def serve(port: int, routes: Routes) -> None:
    """Serve requests at ``port`` of the loopback address until the process ends. Each request runs
    in a thread of its own, because a site can call back before it responds."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
            )
            response = _response_to(request, routes)
            is_page = isinstance(response.body, str)
            body = (response.body if is_page else json.dumps(response.body)).encode()
            self.send_response(response.status)
            kind = "text/html; charset=utf-8" if is_page else "application/json"
            fields = {"Content-Type": kind, "Content-Length": str(len(body)), **response.headers}
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = respond

        def log_message(self, format: str, *args: Any) -> None:
            # Log no query: it can contain a code.
            print(self.command, urlsplit(self.path).path, *args[1:2], file=sys.stderr)

    ThreadingHTTPServer((HOST, port), Handler).serve_forever()


def _response_to(request: Request, routes: Routes) -> Response:
    for (method, pattern), view in routes.items():
        if method == request.method and re.fullmatch(pattern, request.path):
            try:
                return view(request)
            except Exception:
                # The log of the stand-in shows what is wrong; the demo prints its end.
                traceback.print_exc()
                return replace(page("The stand-in has failed"), status=500)
    return Response({"error": "not_found"}, 404)
