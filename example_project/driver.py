"""Uses the two sites as a user with a browser does. The demo and the tests need this.

::

    alice = Person("alice")
    alice.sign_in(assistant)
    alice.sign_in(music)
    asked = alice.connect(assistant)            # at the music service: the authorization page
    question = alice.authorize(asked)           # back at the assistant: the consent page
    link = alice.answer(question, untick=("now-playing",))
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from .html_tree import Element, parse
from .sites import Site

TIMEOUT_SECONDS = 20


class PageError(Exception):
    """The site showed another page than expected. ``str()`` describes this page."""


@dataclass(frozen=True)
class Event:
    """One line in the history on the page of a link."""

    step: str
    party: str
    outcome: str
    at: datetime
    text: str


class Form:
    """An HTML form of a page, with the values that the page has put into its fields."""

    def __init__(self, page: "Page", element: Element) -> None:
        self.page = page
        self.element = element
        self.action = urljoin(page.url, element.get("action") or page.url)
        self.method = element.get("method", "get").lower()

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the names and values that a browser would send if the user changed nothing. Buttons
        are not included."""
        for control in self.element.all():
            name = control.get("name")
            if not name or control.has("disabled"):
                continue
            if control.tag == "textarea":
                yield name, control.text
            elif control.tag == "select":
                options = list(control.all("option"))
                chosen = [each for each in options if each.has("selected")] or options[:1]
                for option in chosen:
                    yield name, option.get("value", option.text)
            elif control.tag == "input":
                kind = control.get("type", "text")
                if kind in ("submit", "button", "image", "reset", "file"):
                    continue
                if kind in ("checkbox", "radio") and not control.has("checked"):
                    continue
                yield name, control.get("value", "on" if kind == "checkbox" else "")

    def button(self, value: str) -> tuple[str, str] | None:
        """Return the name and the value of a button, or ``None`` if the button has no name.

        :param value: the value, the name or the text of the button.
        :raises PageError: the form has no such button.
        """
        for button in self.element.all("button"):
            if value in (button.get("value"), button.get("name"), button.text):
                return (button.get("name"), button.get("value")) if button.get("name") else None
        raise PageError(f"{self.page} has no button “{value}”.")


class Page:
    """The page that a browser shows after it has followed all redirects.

    :ivar visited: the URLs that the browser has requested, in this order. The last one is the URL
        of the page.
    """

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self.url = response.url
        self.status = response.status_code
        self.visited = [each.url for each in response.history] + [response.url]
        is_html = "html" in response.headers.get("Content-Type", "")
        self.document = parse(response.text if is_html else "")

    def __str__(self) -> str:
        heading = self.document.first("h1") or self.document.first("title")
        said = f" “{heading.text}”" if heading else ""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path} (HTTP {self.status}){said}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def text(self) -> str:
        body = self.document.first("body")
        return body.text if body else self.response.text

    def text_of(self, element_id: str) -> str:
        """Return the text of the element with this id, or an empty text if there is no such
        element."""
        element = self.document.first(id=element_id)
        return element.text if element else ""

    @property
    def account(self) -> str:
        """The account at the other site that the page of a link names, or an empty text."""
        texts = [element.text for element in self.document.all("p")]
        named = [text for text in texts if text.startswith("Account there: ")]
        return named[0].removeprefix("Account there: ") if named else ""

    def alerts(self) -> list[str]:
        """Return the texts of the elements with ``role=alert``."""
        return [element.text for element in self.document.all(role="alert")]

    def query(self, number: int = -1) -> dict[str, str]:
        """Return the parameters in the query of one of the :attr:`visited` URLs.

        :param number: the index of the URL.
        """
        return dict(parse_qsl(urlsplit(self.visited[number]).query))

    def form(self, *, action: str = "", button: str = "") -> Form:
        """Return the first form whose action ends with ``action``, and that contains ``button``.

        :raises PageError: the page has no such form.
        """
        for element in self.document.all("form"):
            form = Form(self, element)
            if action and not urlsplit(form.action).path.endswith(action):
                continue
            try:
                if button:
                    form.button(button)
            except PageError:
                continue
            return form
        wanted = action or f"with the button “{button}”"
        raise PageError(f"{self} has no form {wanted}. It says: {self.text[:300]}")

    def events(self) -> list[Event]:
        """Return the events in the history on the page of a link."""
        found = []
        for row in self.document.all("tr"):
            moment, cells = row.first("time"), list(row.all("td"))
            if moment is None or not row.has("data-step"):
                continue
            found.append(
                Event(
                    step=row.get("data-step"),
                    party=row.get("data-party"),
                    outcome=row.get("data-outcome"),
                    at=datetime.fromisoformat(moment.get("datetime")),
                    text=cells[0].text,
                )
            )
        return found


class Browser:
    """A browser with its cookies. As in a real browser, a cookie of 127.0.0.1 is sent to all ports
    of this address."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False

    def open(self, url: str) -> Page:
        return self._request("GET", url)

    def submit(
        self,
        form: Form,
        values: Mapping[str, str] | None = None,
        *,
        button: str = "",
        untick: Iterable[str] = (),
        more: Iterable[tuple[str, str]] = (),
    ) -> Page:
        """Send ``form``.

        :param values: the values of fields that the user fills in.
        :param button: the value, the name or the text of the button that the user presses.
        :param untick: the values of the checkboxes that the user unticks.
        :param more: additional names and values that the form does not contain. With them, tests
            see how the site reacts.
        """
        given, dropped = dict(values or {}), set(untick)
        ticks = {each.get("value") for each in form.element.all("input", type="checkbox")}
        if dropped - ticks:
            raise PageError(f"{form.page} has no box for {' '.join(sorted(dropped - ticks))}.")
        fields = [
            (name, given.pop(name, value))
            for name, value in form.fields()
            if not (value in dropped and value in ticks)
        ]
        fields += [*given.items(), *more]
        if button and (pressed := form.button(button)):
            fields.append(pressed)
        # As a browser does, send the URL of the page that contains the form. Django's CSRF
        # protection checks this header for HTTPS requests.
        headers = {"Referer": form.page.url}
        if form.method == "post":
            return self._request("POST", form.action, data=fields, headers=headers)
        return self._request("GET", form.action, params=fields, headers=headers)

    def _request(self, method: str, url: str, **options: object) -> Page:
        response = self.session.request(method, url, timeout=TIMEOUT_SECONDS, **options)  # type: ignore[arg-type]
        return Page(response)


@dataclass
class Person:
    """A person who has a browser and an account at each site."""

    name: str = "alice"
    password: str = ""
    browser: Browser = field(default_factory=Browser)

    def sign_in(self, site: Site) -> Page:
        """Sign in at ``site``.

        :raises PageError: the site refused the user name or the password.
        """
        page = self.browser.open(f"{site.url}/accounts/login/")
        return self._sign_in_on(page)

    def sign_out(self, site: Site) -> Page:
        """Sign out at ``site``.

        :raises PageError: nobody is signed in at ``site`` in this browser.
        """
        page = self.browser.open(f"{site.url}/")
        return self.browser.submit(page.form(button="Sign out"))

    def connect(self, site: Site) -> Page:
        """Press “Connect” at ``site``, and sign in at the other site if necessary. Return the
        authorization page of the other site.

        :raises PageError: the other site does not show its authorization page.
        """
        page = self.browser.open(f"{site.url}/connections/")
        form = page.form(action=f"/connections/{site.role.other.slug}/connect/")
        page = self.browser.submit(form)
        if page.path == "/accounts/login/":
            page = self._sign_in_on(page)
        if page.path != "/o/authorize/" or page.status != 200:
            raise PageError(f"Expected the authorization page, got {page}.")
        return page

    def authorize(self, page: Page, *, allow: bool = True) -> Page:
        """Allow or refuse the request on the authorization page. Return the page that follows. It
        belongs to the site where the person pressed “Connect”: the consent page, the page of the
        link, or the list of connections."""
        return self.browser.submit(page.form(button="allow"), button="allow" if allow else "Cancel")

    def answer(self, page: Page, *, allow: bool = True, untick: Iterable[str] = ()) -> Page:
        """Allow or refuse the reverse direction on the consent page. Return the page that follows,
        which is the page of the link.

        :param untick: the scopes that the person does not allow.
        """
        form = page.form(action="/consent/")
        return self.browser.submit(form, button="allow" if allow else "deny", untick=untick)

    def wait_until_two_way(self, link_url: str, *, seconds: float = 60) -> Page:
        """Reload the page of a link until it says that both directions work.

        :raises PageError: the page does not say this within ``seconds``.
        """
        give_up = time.monotonic() + seconds
        while True:
            page = self.browser.open(link_url)
            if "Connected both ways" in page.text:
                return page
            if time.monotonic() > give_up:
                raise PageError(f"{page} does not say that both ways work. It says: {page.text}")
            time.sleep(0.1)

    def wait_for_account(self, link_url: str, *, seconds: float = 60) -> str:
        """Reload the page of a link until it says which account of the other site is connected.
        Return the name of this account.

        :raises PageError: the page does not say this within ``seconds``.
        """
        give_up = time.monotonic() + seconds
        while True:
            page = self.browser.open(link_url)
            if name := page.account:
                return name
            if time.monotonic() > give_up:
                raise PageError(f"{page} names no account. It says: {page.text}")
            time.sleep(0.1)

    def link_page(self, site: Site, *, newest: bool = False) -> Page:
        """Open the page of the person's link at ``site``, and return it.

        :param newest: whether to open the newest link if there are several.
        :raises PageError: the person has no link at ``site``, or several links without ``newest``.
        """
        page = self.browser.open(f"{site.url}/connections/")
        links = [card.get("data-link") for card in page.document.all("li") if card.has("data-link")]
        if not links or (len(links) > 1 and not newest):
            raise PageError(f"{page} lists {len(links)} connections.")
        return self.browser.open(f"{site.url}/connections/links/{links[-1]}/")

    def disconnect(self, site: Site) -> Page:
        """End the person's link at ``site``. Return the page with the list of connections.

        :raises PageError: the person has no link or several links at ``site``.
        """
        page = self.browser.open(f"{self.link_page(site).url}disconnect/")
        return self.browser.submit(page.form(button="Disconnect"))

    def press(self, site: Site, action: str) -> Page:
        """Send the form on the home page of ``site`` whose URL ends with ``action``. Return the
        page that follows.

        :raises PageError: there is no such form, or the next page shows an error.
        """
        page = self.browser.open(f"{site.url}/")
        page = self.browser.submit(page.form(action=action))
        if page.status != 200 or page.alerts():
            raise PageError(f"{page}: {' '.join(page.alerts())}")
        return page

    def _sign_in_on(self, page: Page) -> Page:
        values = {"username": self.name, "password": self.password or self.name}
        page = self.browser.submit(page.form(button="Sign in"), values)
        if page.path == "/accounts/login/":
            raise PageError(f"{self.name} could not sign in at {page}: {' '.join(page.alerts())}")
        return page
