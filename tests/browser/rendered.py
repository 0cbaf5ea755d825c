"""Shows in Chromium what Django's test client was answered, without a running site."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.contrib.staticfiles import finders

from .people import faults_of

HOST = "http://testserver"
STATIC = "/static/"
#: Widths in CSS pixels, each with the colour scheme in which the page is shown. axe looks at the
#: narrowest and the widest, so that it sees both schemes.
VIEWS = ((320, "dark"), (768, "light"), (1440, "light"))
_WIDER = "document.documentElement.scrollWidth > window.innerWidth"
#: Shows what is folded away, so that axe sees it too.
_UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
#: In the admin of Django, a new colour scheme takes a moment to come.
_END_TRANSITIONS = "document.getAnimations().forEach(each => each.finish())"


class Screen:
    """One page of Chromium, for many responses in turn. It gets the response and static files, and
    nothing else.

    :ivar page: the page of Playwright.
    """

    def __init__(self, chromium: Any, **options: Any) -> None:
        self._context = chromium.new_context(**options)
        self._context.route("**/*", self._serve)
        self.page = self._context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", self._note)
        self._complaints: list[str] = []
        self._response: Any = None
        self._url = ""

    def close(self) -> None:
        self._context.close()

    def show(self, response: Any) -> list[str]:
        """Show ``response`` at its own address. Return what its content security policy has kept
        out, and which static files there are not."""
        assert response.content, f"status {response.status_code} without a page"
        self._response = response
        self._url = f"{HOST}{response.wsgi_request.get_full_path()}"
        self._complaints.clear()
        self.page.goto(self._url)
        self.page.evaluate(_UNFOLD)
        return list(self._complaints)

    def faults(self, part: str) -> list[str]:
        """Return what axe finds in the ``part`` of the page with this selector, and where the page
        scrolls sideways."""
        found = []
        for width, scheme in VIEWS:
            self.look(width, scheme)
            seen = faults_of(self.page, part) if width != 768 else []
            if self.page.evaluate(_WIDER):
                seen.append("scrolls sideways")
            found += [f"{width} px, {scheme}: {fault}" for fault in seen]
        return found

    def look(self, width: int, scheme: str) -> None:
        """Show the page with this width, in this colour scheme."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate(_END_TRANSITIONS)

    def _note(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self._complaints.append(message.text)

    def _serve(self, route: Any) -> None:
        url, response = route.request.url, self._response
        if unquote(url) == unquote(self._url):
            headers = dict(response.headers)
            route.fulfill(status=response.status_code, headers=headers, body=response.content)
        elif route.request.is_navigation_request():
            route.fulfill(status=204)  # The page leads on by itself. With this status it stays.
        elif path := _static_file(url):
            route.fulfill(path=path)
        else:
            if url.startswith(f"{HOST}{STATIC}"):
                self._complaints.append(f"no file for {url}")
            route.abort()


def _static_file(url: str) -> Path | None:
    path = unquote(urlsplit(url).path)
    if not url.startswith(f"{HOST}{STATIC}"):
        return None
    found = finders.find(path.removeprefix(STATIC))
    return Path(found) if found else None
