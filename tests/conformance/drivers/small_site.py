"""Small sites on the loopback interface, for the drivers to visit."""

import html
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlsplit

from example_project.servers import free_ports

LOGIN = """<h1>Sign in</h1><form method="post" action="/login?next={next}">
<input name="username"><input name="password" type="password"><button>Sign in</button></form>
<form action="/search"><input name="q"><button>Search</button></form>"""
CONNECT = """<h1>Connections</h1>
<form method="post" action="/start"><button>Connect the tester</button></form>
<form method="post" action="/end"><button>Disconnect</button></form>"""
QUESTION = """<h1>What may the tester do?</h1><form method="post" action="/answer">
<input type="hidden" name="token" value="token-of-{user}">
<input type="checkbox" name="scopes" value="read">
<input type="checkbox" name="scopes" value="write">
<input name="note" value="none">
<button name="answer" value="allow">Allow</button>
<button name="answer" value="deny">Do not allow</button></form>"""


@dataclass
class Request:
    """:ivar fields: those of the body, or of the query if there is no body."""

    method: str
    path: str
    headers: dict[str, str]
    fields: list[tuple[str, str]]
    cookies: dict[str, str]

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each == name]


@dataclass
class Response:
    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})


def redirect(to: str, status: int = 302, **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response("", status, {"Location": to, **given})


class SmallSite:
    """A site whose pages the test defines.

    :ivar pages: a function for each path.
    :ivar requests: what came, but for icons.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[Request], Response]] = {}
        self.requests: list[Request] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.serve(self)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def page(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        """Define a page that is always the same."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        response = Response(body, status, {"Content-Type": "text/html", **given})
        self.pages[path] = lambda request: response

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        fields = parse_qsl(body or parts.query, keep_blank_values=True)
        cookies = {
            name: each.value for name, each in SimpleCookie(handler.headers["Cookie"]).items()
        }
        request = Request(
            handler.command, parts.path, dict(handler.headers.items()), fields, cookies
        )
        if parts.path != "/favicon.ico":
            self.requests.append(request)
        page = self.pages.get(parts.path)
        response = page(request) if page else Response("There is no such page.", 404)
        content = response.body.encode() if isinstance(response.body, str) else response.body
        handler.send_response(response.status)
        for name, value in response.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


class PartyA(SmallSite):
    """A site where users sign in, connect the tester, and are asked what it may do.

    :ivar answers: user, answer, and scopes of each answer that was taken.
    :ivar checks_token: whether it protects the form of the question.
    :ivar takes_get: whether it takes an answer by GET.
    :ivar asks: whether it asks at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[str, str, tuple[str, ...]]] = []
        self.sign_ins: list[str] = []
        self.ended: list[str] = []
        self.checks_token = True
        self.takes_get = False
        self.asks = True
        self.question = QUESTION
        self.pages.update(
            {
                "/login": self._login,
                "/connect": self._for_user(lambda user, request: Response(CONNECT)),
                "/start": self._for_user(self._start),
                "/question": self._for_user(self._question),
                "/answer": self._for_user(self._answer),
                "/end": self._for_user(self._end),
            }
        )
        self.page("/done", "<h1>Done</h1>")

    def _for_user(self, page: Callable[[str, Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if user := request.cookies.get("user"):
                return page(user, request)
            return redirect(f"/login?next={quote(request.path)}")

        return answer

    def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(LOGIN.format(next=html.escape(request.values("next")[0])))
        (user,), (password,) = request.values("username"), request.values("password")
        if password != f"secret of {user}":
            return Response("<h1>Wrong password</h1>", 403)
        self.sign_ins.append(user)
        return redirect("/connect", Set_Cookie=f"user={user}; Path=/")

    def _start(self, user: str, request: Request) -> Response:
        return redirect("/question" if self.asks else "/done")

    def _question(self, user: str, request: Request) -> Response:
        return Response(self.question.format(user=user))

    def _answer(self, user: str, request: Request) -> Response:
        if request.method == "GET" and not self.takes_get:
            return Response("By POST only.", 405)
        if self.checks_token and request.values("token") != [f"token-of-{user}"]:
            return Response("Your form is not yours.", 403)
        scopes = tuple(request.values("scopes"))
        self.answers.append((user, request.values("answer")[0], scopes))
        return redirect("/done")

    def _end(self, user: str, request: Request) -> Response:
        self.ended.append(user)
        return redirect("/done")
