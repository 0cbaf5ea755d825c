"""An app on the user's own machine that connects a peer through the API of a site (RFC 8252).

It needs only the standard library, so that it can be copied into other projects. Like an app on a
phone, it has an access token of the user, but no session in the browser::

    python manage.py demo
    python -m example_project.phone_app http://127.0.0.1:8001 music

The app opens the browser twice: once to get its access token, and once to connect the peer. With
``--print``, it prints the URLs instead.
"""

import argparse
import base64
import hashlib
import json
import secrets
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

CLIENT_ID = "phone-app"
SCOPE = "reciprocal:read reciprocal:write"
#: The paths at which the app waits. The site knows them without the port (RFC 8252, section 7.3).
SIGNED_IN, CONNECTED = "/signed-in", "/connected"
#: The seconds in which the user can finish in the browser, and the peer can get its access.
PATIENCE_SECONDS = 600
DELIVERY_SECONDS = 60
REQUEST_SECONDS = 30


class AppError(Exception):
    """The app cannot go on. ``str()`` says why."""


class Loopback:
    """Waits at a port of this machine until the browser comes back.

    :ivar url: the base URL, without a slash at the end.
    """

    def __init__(self) -> None:
        self._came_back: tuple[str, dict[str, str]] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            #: Browsers open connections in advance, over which they may send nothing.
            timeout = 5

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                known = parts.path in (SIGNED_IN, CONNECTED)
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"You can close this page and go back to the app.\n")
                if known:
                    outer._came_back = parts.path, dict(parse_qsl(parts.query))

            def log_message(self, *args: Any) -> None:
                """Log nothing: the query contains the authorization code."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.timeout = 1
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait(self, path: str, state: str) -> dict[str, str]:
        """Return the query with which the browser comes back to ``path``.

        :param state: the text of the app that the query must contain. Requests without it are
            ignored, because every page in the browser can send one.
        :raises AppError: the browser does not come back.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            self._came_back = None
            self._server.handle_request()
            if self._came_back and self._came_back[0] == path:
                query = self._came_back[1]
                if secrets.compare_digest(query.get("state", "").encode(), state.encode()):
                    return query
        raise AppError("The browser did not come back.")

    def close(self) -> None:
        self._server.server_close()


class PhoneApp:
    """The app of one user at one site.

    :param site: the base URL of the site, without a slash at the end.
    :param open_browser: opens a URL in the browser of the user.
    :param say: prints a line.
    """

    def __init__(
        self, site: str, open_browser: Callable[[str], object], say: Callable[[str], object]
    ) -> None:
        self.site, self.open_browser, self.say = site, open_browser, say
        self._token = ""

    def run(self, slug: str) -> dict[str, Any]:
        """Sign in, connect the peer, and wait until both directions work. Return the link.

        :raises AppError: the user cancelled, or something failed.
        """
        loopback = Loopback()
        try:
            self._sign_in(loopback)
            said = self._connect(loopback, slug)
        finally:
            loopback.close()
        self.say(f"The browser came back: {said}")
        if "link" not in said:
            raise AppError(f"Not connected: {said.get('problem') or said.get('result')}.")
        return self._wait_for_both_ways(said["link"], said["result"] == "linked")

    def _sign_in(self, loopback: Loopback) -> None:
        """Get an access token (RFC 6749, section 4.1; RFC 7636)."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": loopback.url + SIGNED_IN,
            "scope": SCOPE,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        self.say("Signing in, in the browser …")
        self.open_browser(f"{self.site}/o/authorize/?{urlencode(query)}")
        came_back = loopback.wait(SIGNED_IN, state)
        if "code" not in came_back:
            raise AppError(f"Not signed in: {came_back.get('error')}.")
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": loopback.url + SIGNED_IN,
            "code": came_back["code"],
            "code_verifier": verifier,
        }
        answer = _send(Request(f"{self.site}/o/token/", urlencode(form).encode()))  # noqa: S310
        self._token = answer["access_token"]

    def _connect(self, loopback: Loopback, slug: str) -> dict[str, str]:
        state = secrets.token_urlsafe(24)
        body = {"return_to": loopback.url + CONNECTED, "state": state}
        start = self._call(f"/peers/{slug}/start/", body)
        self.say(f"Connecting {slug}, in the browser …")
        self.open_browser(start["url"])
        return loopback.wait(CONNECTED, state)

    def _wait_for_both_ways(self, link_id: str, expected: bool) -> dict[str, Any]:
        give_up = time.monotonic() + DELIVERY_SECONDS
        while True:
            link: dict[str, Any] = self._call(f"/links/{link_id}/")
            if link["is_two_way"] or not expected or time.monotonic() > give_up:
                return link
            time.sleep(0.5)

    def _call(self, path: str, body: Mapping[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return _send(Request(f"{self.site}/api/reciprocal{path}", data, headers))  # noqa: S310


def _send(request: Request) -> Any:
    """Send ``request``, and return the JSON in the response. The function :func:`main` has checked
    that the scheme is http or https.

    :raises AppError: the response is an error or no JSON, or there is none.
    """
    try:
        with urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
            return json.load(response)
    except HTTPError as error:
        text = error.read().decode(errors="replace")
        raise AppError(f"{request.selector}: {error.code} {text}") from None
    except (OSError, ValueError) as error:
        raise AppError(f"{request.full_url}: {error}") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Connects a peer, as an app on a phone does.")
    parser.add_argument("site", help="the base URL of the site, such as http://127.0.0.1:8001")
    parser.add_argument("peer", help="the short name of the peer, such as music")
    parser.add_argument("--print", action="store_true", help="print the URLs, open no browser")
    options = parser.parse_args()
    if not options.site.startswith(("http://", "https://")):
        parser.error("The URL of the site begins with http:// or https://.")

    def say(line: str) -> None:
        print(line, flush=True)

    app = PhoneApp(options.site.rstrip("/"), say if options.print else webbrowser.open, say)
    try:
        link = app.run(options.peer)
    except AppError as failed:
        print(failed, file=sys.stderr)
        return 1
    say(f"{link['peer']['name']}: {link['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
