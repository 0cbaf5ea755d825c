"""A small browser without JavaScript, for the drivers ``follow`` and ``forms``.

It keeps cookies, follows redirects (also those of ``<meta http-equiv="refresh">``), and sends the
headers ``Referer`` and ``Origin`` as browsers do. It plays a person at a test system, so it accepts
any certificate: the certificates of the subject are the business of checks. It uses no proxy of the
environment. One request has one connection, so nothing stays open.
"""

import http.client
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.error import URLError
from urllib.parse import quote, urldefrag, urljoin, urlsplit
from urllib.request import (
    HTTPCookieProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from ..._version import __version__
from . import html_pages
from .html_forms import Submission
from .html_pages import Document
from .journeys import JourneyFailed, Outcome

#: Redirects that one visit follows at most.
MAX_REDIRECTS: Final = 20
#: A request may take this long, until the whole page is there.
SECONDS: Final = 30.0
#: The rest of a longer page is left unread.
_MAX_BYTES: Final = 2 * 1024 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
#: What stays as it is in a URL. Other characters, such as blanks, are percent-encoded.
_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Page:
    """The page that a visit has come to.

    :ivar status: its HTTP status, or ``None`` if it is not known.
    """

    url: str
    status: int | None = None
    html: str = ""
    document: Document = field(default_factory=Document)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        status = f" (HTTP {self.status})" if self.status is not None else ""
        heading = f" “{self.document.heading}”" if self.document.heading else ""
        text = self.text if len(self.text) <= 300 else self.text[:300] + "…"
        said = f" It says: {text}" if text and text != self.document.heading else ""
        return f"{parts.scheme}://{parts.netloc}{parts.path}{status}{heading}.{said}"

    @property
    def text(self) -> str:
        return self.document.text

    def outcome(self) -> Outcome:
        return Outcome(self.url, self.status)


class Web:
    """The browser of one user.

    :ivar page: the last page, or ``None``.
    :ivar cookies: they stay until the browser is thrown away.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        """:param seconds: a request may take this long."""
        self.page: Page | None = None
        self.cookies = CookieJar(_Policy())
        self._seconds = seconds
        self._opener = OpenerDirector()
        self._opener.addheaders = [("User-Agent", f"reciprocal_oauth conformance/{__version__}")]
        for handler in (
            HTTPHandler(),
            HTTPSHandler(context=_any_certificate()),
            HTTPCookieProcessor(self.cookies),
        ):
            self._opener.add_handler(handler)

    def open(self, url: str, *, came_from: str = "") -> Page:
        """Open a URL, and follow redirects.

        :param came_from: the URL of the page with the link to it.
        :raises JourneyFailed: there is no page: the server cannot be reached, takes too long, or
            redirects more than ``MAX_REDIRECTS`` times or to what is no web page.
        """
        return self._visit(_Visit("GET", url, came_from=came_from))

    def submit(self, submission: Submission, headers: Mapping[str, str] | None = None) -> Page:
        """Send a form, and follow redirects.

        :param headers: instead of ``Referer`` and ``Origin``.
        :raises JourneyFailed: there is no page.
        """
        came_from = self.page.url if self.page else ""
        body = submission.body.encode() if submission.method == "POST" else None
        visit = _Visit(submission.method, submission.url, body, came_from, headers)
        return self._visit(visit)

    def _visit(self, visit: "_Visit") -> Page:
        """Follow redirects until there is a page."""
        first = visit.url
        visit = replace(visit, url=quote(first, safe=_SAFE))
        for _redirect in range(MAX_REDIRECTS + 1):
            page, location = self._request(visit)
            if location:
                visit = visit.redirected(page.status or 0, location)
            elif (refresh := _refresh(page)) != page.url:
                visit = _Visit("GET", quote(refresh, safe=_SAFE), came_from=page.url)
            else:
                self.page = page
                return page
        raise JourneyFailed(
            f"{_shown(first)} redirects more than {MAX_REDIRECTS} times, at last to "
            f"{_shown(visit.url)}."
        )

    def _request(self, visit: "_Visit") -> tuple[Page, str]:
        """Return a page, and the URL that it redirects to or an empty text."""
        _require_http(visit.url)
        until = time.monotonic() + self._seconds
        try:
            request = Request(visit.url, visit.body, visit.all_headers(), method=visit.method)
            with self._opener.open(request, timeout=self._seconds) as response:
                location = _location(response)
                body = b"" if location else _read(response, until)
        except TimeoutError as error:
            raise JourneyFailed(_too_late(visit.url, self._seconds)) from error
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise JourneyFailed(_too_late(visit.url, self._seconds)) from error
            raise JourneyFailed(_unreachable(visit.url, error.reason)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise JourneyFailed(_unreachable(visit.url, error)) from error
        html = _decoded(response, body)
        if "html" in response.headers.get_content_type():
            document = html_pages.read(html, visit.url)
        else:
            document = Document(text=html_pages.folded(html))
        return Page(visit.url, response.status, html, document), location


@dataclass(frozen=True)
class _Visit:
    """A request that a browser sends because a person does something.

    :ivar came_from: the URL of the page before, or an empty text.
    :ivar headers: in place of those that say where the person came from.
    """

    method: str
    url: str
    body: bytes | None = None
    came_from: str = ""
    headers: Mapping[str, str] | None = None

    def redirected(self, status: int, location: str) -> "_Visit":
        """Return the request that follows a redirect. Only 307 and 308 keep method and body (RFC
        9110, section 15.4)."""
        # http.client reads headers in this encoding.
        url = urljoin(self.url, quote(location, safe=_SAFE, encoding="iso-8859-1"))
        fragment = urldefrag(self.url).fragment
        if fragment and not urldefrag(url).fragment:
            url = f"{url}#{fragment}"
        if status in (307, 308):
            return replace(self, url=url)
        kept = {name: value for name, value in (self.headers or {}).items() if name != "Origin"}
        headers = None if self.headers is None else kept
        return replace(self, method="GET", url=url, body=None, headers=headers)

    def all_headers(self) -> dict[str, str]:
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        if self.body is not None:
            headers["Content-Type"] = _FORM
        if self.headers is not None:
            return {**headers, **self.headers}
        return {**headers, **headers_from(self.came_from, self.url, is_post=self.body is not None)}


class _Policy(DefaultCookiePolicy):
    """Sends cookies marked ``Secure`` to this computer without TLS too, as browsers do."""

    def return_ok_secure(self, cookie: Cookie, request: Request) -> bool:
        host = urlsplit(request.full_url).netloc.rpartition("@")[2]
        is_here = re.sub(r":\d+$", "", host) in _LOOPBACK
        return is_here or super().return_ok_secure(cookie, request)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def headers_from(came_from: str, url: str, *, is_post: bool) -> dict[str, str]:
    """Return ``Referer`` (RFC 9110, section 10.1.3) and ``Origin``, as browsers send them unless a
    page says otherwise: another site gets only the origin.

    :param came_from: the URL of the page, or an empty text.
    :param url: the URL that the page leads to.
    """
    if not came_from:
        return {}
    here, there = urlsplit(came_from), urlsplit(url)
    origin = f"{here.scheme}://{here.netloc}"
    headers = {"Origin": origin} if is_post else {}
    if (here.scheme, here.netloc) == (there.scheme, there.netloc):
        headers["Referer"] = urldefrag(came_from).url
    elif here.scheme == "http" or there.scheme == "https":
        headers["Referer"] = f"{origin}/"
    return headers


def _location(response: http.client.HTTPResponse) -> str:
    if response.status not in (301, 302, 303, 307, 308):
        return ""
    return str(response.headers.get("Location", "")).strip()


def _refresh(page: Page) -> str:
    """Return the URL that the page leads to by itself, or its own. An error page stays."""
    is_error = page.status is not None and page.status >= 400
    return page.url if is_error else page.document.refresh or page.url


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < _MAX_BYTES:
        part = response.read1(64 * 1024)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if time.monotonic() > until:
            raise TimeoutError
    return b"".join(parts)


def _decoded(response: http.client.HTTPResponse, body: bytes) -> str:
    in_page = _CHARSET.search(body[:2048])
    charset = response.headers.get_content_charset()
    charset = charset or (in_page[1].decode() if in_page else "utf-8")
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _require_http(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = _shown(url) if parts.scheme else f'"{url}"'
        raise JourneyFailed(f"{shown} is no URL with http or https, so no browser page opens.")


def _shown(url: str) -> str:
    """Return a URL without its query, where codes and states are."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _too_late(url: str, seconds: float) -> str:
    return f"{_shown(url)} did not answer in {seconds:g} seconds."


def _unreachable(url: str, reason: object) -> str:
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"{_shown(url)} cannot be reached: {said}."
