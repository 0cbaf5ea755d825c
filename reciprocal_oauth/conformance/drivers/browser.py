"""The driver ``playwright``: the steps of the driver ``forms``, done in Chromium. It is for
subjects whose pages need JavaScript. It needs Playwright: ``pip install playwright``. ::

    [driver]
    kind = "playwright"
    executable = "/usr/bin/chromium"   # optional
    headless = false                   # optional, to watch it

    [driver.steps]
    authorize = [{open = "{url}"}, {press = "Allow"}]

Without ``executable`` it takes the Chromium in ``PATH``, else that of Playwright. A step waits up
to ten seconds until the page has what it needs. Frames are not looked into.
"""

import contextlib
import importlib.util
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from ..errors import UsageError
from ..tables import flag_of, only_known, text_of
from . import steps
from .html_forms import Control, Form, NotThere, Option, Submission
from .html_pages import Document, Link, folded, kind_of
from .journeys import Journey, JourneyFailed, Outcome
from .step_runner import StepDriver, Visitor
from .web import MAX_REDIRECTS, SECONDS, Page

#: How long a page may take to get what a step needs.
_PATIENCE_SECONDS: Final = 10.0
#: The time after a click in which a page begins to load the next one.
_AFTER_CLICK_MS: Final = 100
_PAUSE_MS: Final = 100
#: A page that has requested nothing for this long has come to rest.
_QUIET_SECONDS: Final = 0.5
_EXECUTABLES: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = ("--disable-gpu", "--disable-background-networking", "--no-first-run")
_MISSING: Final = (
    "The driver playwright needs Playwright: pip install reciprocal-oauth[conformance], or "
    "pip install playwright."
)

#: The controls and the links of the page that is shown.
_PARTS: Final = """() => ({
  controls: [...document.querySelectorAll("input, textarea, select, button, [role=button]")]
    .filter(each => !each.matches(":disabled")),
  links: [...document.querySelectorAll("a[href]")],
})"""
#: The same in words.
_DESCRIBED: Final = """parts => {
  const seen = each => !each.checkVisibility || each.checkVisibility();
  const forms = [...document.forms];
  const changed = window.changedByReciprocal || new WeakSet();
  const heading = document.querySelector("h1");
  return {
    url: location.href,
    base: document.baseURI,
    text: document.title + " " + (document.body ? document.body.innerText : ""),
    heading: heading ? heading.textContent : document.title,
    forms: forms.map(each => ({
      action: each.getAttribute("action") || "",
      method: (each.getAttribute("method") || "get").toLowerCase(),
      encoding: each.getAttribute("enctype") || "",
      changed: changed.has(each),
    })),
    controls: parts.controls.map(each => ({
      form: forms.indexOf(each.form),
      tag: each.tagName.toLowerCase(),
      type: (each.type || "").toLowerCase(),
      role: each.getAttribute("role") || "",
      name: each.name || "",
      value: typeof each.value === "string" ? each.value : "",
      text: each.textContent,
      seen: seen(each),
      checked: !!each.checked,
      multiple: !!each.multiple,
      action: each.getAttribute("formaction") || "",
      method: each.getAttribute("formmethod") || "",
      options: each.tagName === "SELECT" ? [...each.options].filter(one => !one.disabled).map(
        one => ({value: one.value, text: one.text, selected: one.selected})) : [],
    })),
    links: parts.links.map(each => ({text: each.textContent, url: each.href})),
  };
}"""
_PART: Final = "(parts, [list, position]) => parts[list][position]"
#: Notes that the person has changed something in the form of a control.
_CHANGED: Final = """each => {
  window.changedByReciprocal = window.changedByReciprocal || new WeakSet();
  if (each.form) window.changedByReciprocal.add(each.form);
}"""


def from_table(table: Mapping[str, Any], role: str, patience: float) -> "BrowserDriver":
    """Make the driver of the table ``[driver]``, and start Chromium.

    :param patience: a factor for the times that a page may take.
    :raises UsageError: the table is wrong, Playwright is not installed, or Chromium does not start.
    """
    only_known("driver", table, ("kind", "steps", "users", "executable", "headless"))
    plan = steps.read(table, role)
    executable = text_of("driver", table, "executable")
    if executable and not Path(executable).is_file():
        raise UsageError(f"driver.executable is {executable}, which does not exist.")
    if importlib.util.find_spec("playwright") is None:
        raise UsageError(_MISSING)
    is_headless = flag_of("driver", table, "headless", default=True)
    return BrowserDriver(plan, role, executable, patience, is_headless=is_headless)


class BrowserDriver:
    """Carries out steps in Chromium.

    Playwright must always be called from the thread that started it, and runs an event loop in it.
    So it has a thread of its own.
    """

    def __init__(
        self,
        plan: steps.Plan,
        role: str,
        executable: str = "",
        patience: float = 1.0,
        *,
        is_headless: bool = True,
    ) -> None:
        """:raises UsageError: Chromium does not start."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="playwright")
        self._ends = contextlib.ExitStack()
        self._driver = StepDriver(plan, role, lambda: _Visitor(self._chromium, patience))
        try:
            starting = self._thread.submit(self._start, executable, is_headless)
            self._chromium: Any = starting.result()
        except BaseException:
            self.close()
            raise

    def supports(self, name: str) -> bool:
        return self._driver.supports(name)

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Carry out a journey.

        :raises JourneyFailed: a step cannot be done, or the last page is an error page.
        :raises Unsupported: there are no steps for it.
        """
        return self._thread.submit(self._go, journey, is_over).result()

    def close(self) -> None:
        """End Chromium."""
        with contextlib.suppress(RuntimeError):  # It is closed already.
            self._thread.submit(self._end).result()
        self._thread.shutdown()

    def _start(self, executable: str, is_headless: bool) -> Any:
        # Only this driver needs it.
        from playwright.sync_api import Error, sync_playwright

        found = executable or next(filter(None, map(shutil.which, _EXECUTABLES)), None)
        try:
            started = self._ends.enter_context(sync_playwright())
            chromium = started.chromium.launch(
                executable_path=found, headless=is_headless, args=list(_ARGUMENTS)
            )
        except Error as error:
            name = found or "Playwright's Chromium (playwright install chromium)"
            raise UsageError(f"{name} does not start: {_first_line(error)}") from error
        self._ends.callback(chromium.close)
        return chromium

    def _go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        from playwright.sync_api import Error

        try:
            return self._driver.go(journey, is_over)
        except Error as error:
            raise JourneyFailed(f"Chromium: {_first_line(error)}") from error

    def _end(self) -> None:
        # What has broken down already cannot be ended in order.
        for end in (self._driver.close, self._ends.close):
            with contextlib.suppress(Exception):
                end()


class _Visitor(Visitor):
    """A user with a browser context in Chromium."""

    def __init__(self, chromium: Any, patience: float) -> None:
        self.seconds = _PATIENCE_SECONDS * patience
        self._limit = SECONDS * 1000 * patience
        from playwright.sync_api import Error

        self._error = Error
        self._context = chromium.new_context(ignore_https_errors=True)
        self._context.set_default_timeout(self._limit)
        self._context.on("page", self._watch)
        self._page: Any = None
        self._parts: Any = None
        self._status: int | None = None
        #: Requests without a response, and when the last one began or ended.
        self._running: set[Any] = set()
        self._last_activity = time.monotonic()

    def open(self, url: str) -> None:
        page = self._context.new_page()
        for other in self._context.pages:
            if other is not page:
                other.close()
        self._page, self._parts = page, None
        self._running.clear()
        try:
            self._page.goto(url, wait_until="load")
        except self._error as error:
            shown = url.split("?")[0]
            raise JourneyFailed(f"{shown} cannot be opened: {_first_line(error)}") from error

    def look(self) -> Page | None:
        if self._page is None:
            return None
        self._page = self._context.pages[-1] if self._context.pages else self._page
        until = time.monotonic() + self.seconds
        while True:
            try:
                parts = self._page.evaluate_handle(_PARTS)
                described = parts.evaluate(_DESCRIBED)
                break
            except self._error:
                # The page was left while it was looked at.
                if time.monotonic() > until:
                    raise
                self.pause()
        if self._parts is not None:
            with contextlib.suppress(self._error):
                self._parts.dispose()
        self._parts = parts
        return Page(described["url"], self._status, document=_document(described))

    def fill(self, form: Form, name: str, value: str) -> None:
        control = form.field_for(name, value)
        element = self._element("controls", control.position)
        if control.kind == "select":
            element.select_option(value=control.option(value).value)
        elif control.kind == "radio":
            element.evaluate("each => each.click()")
        else:
            element.fill(value)
        element.evaluate(_CHANGED)

    def tick(self, form: Form, name: str, values: Collection[str] | None) -> None:
        for box, is_ticked in form.ticks(name, values):
            element = self._element("controls", box.position)
            if box.is_checked != is_ticked:
                # Not a click with the mouse: pages often hide the box behind a drawing of it.
                element.evaluate("each => each.click()")
            element.evaluate(_CHANGED)

    def press(self, form: Form, button: Control) -> None:
        self._click("controls", button.position)

    def follow(self, link: Link) -> None:
        self._click("links", link.position)

    def send(self, submission: Submission, headers: Mapping[str, str]) -> Page:
        is_post = submission.method == "POST"
        given = dict(headers)
        if is_post:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            response = self._context.request.fetch(
                submission.url,
                method=submission.method,
                data=submission.body if is_post else None,
                headers=given,
                max_redirects=MAX_REDIRECTS,
            )
            page = Page(response.url, response.status)
            response.dispose()
        except self._error as error:
            shown = submission.url.split("?")[0]
            raise JourneyFailed(f"{shown} cannot be opened: {_first_line(error)}") from error
        return page

    def pause(self) -> None:
        self._page.wait_for_timeout(_PAUSE_MS)

    def settle(self) -> None:
        if self._page is None:
            return
        self._wait_until_loaded()
        # Some pages never stop to load something.
        until = time.monotonic() + self.seconds / 3
        while time.monotonic() < until and not self._page.is_closed():
            if not self._running and time.monotonic() - self._last_activity > _QUIET_SECONDS:
                break
            self.pause()
        self._wait_until_loaded()

    def close(self) -> None:
        self._context.close()

    # --- Chromium -------------------------------------------------------------------------------

    def _element(self, kind: str, position: int) -> Any:
        return self._parts.evaluate_handle(_PART, [kind, position]).as_element()

    def _click(self, kind: str, position: int) -> None:
        try:
            self._element(kind, position).click(timeout=self.seconds * 1000)
        except self._error as error:
            raise NotThere(f"It cannot be clicked: {_first_line(error)}.") from error
        self._page.wait_for_timeout(_AFTER_CLICK_MS)
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        with contextlib.suppress(self._error):
            self._page.wait_for_load_state("load")

    def _watch(self, page: Any) -> None:
        """Note what a page loads. What the page asks (``confirm``) is answered with yes."""
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("request", self._begin)
        page.on("requestfinished", self._finish)
        page.on("requestfailed", self._finish)
        page.on("response", lambda response: self._note_status(page, response))

    def _begin(self, request: Any) -> None:
        self._running.add(request)
        self._last_activity = time.monotonic()

    def _finish(self, request: Any) -> None:
        self._running.discard(request)
        self._last_activity = time.monotonic()

    def _note_status(self, page: Any, response: Any) -> None:
        """Note the status of the page itself, not of a part of it."""
        request = response.request
        with contextlib.suppress(self._error):  # The page of the request is not there yet.
            if request.is_navigation_request() and request.frame == page.main_frame:
                self._status = response.status


def _document(described: Mapping[str, Any]) -> Document:
    """Return what a page in Chromium shows."""
    forms = [
        Form(
            action=urljoin(described["base"], each["action"])
            if each["action"]
            else described["url"],
            method=each["method"] if each["method"] in ("post", "dialog") else "get",
            encoding=each["encoding"],
            is_changed=each["changed"],
        )
        for each in described["forms"]
    ]
    outside = Form(action=described["url"], is_form=False)
    for position, each in enumerate(described["controls"]):
        form = forms[each["form"]] if each["form"] >= 0 else outside
        control = _control(each, position, described["base"])
        if control is not None:
            form.controls.append(control)
    links = [
        Link(folded(each["text"]), each["url"], position)
        for position, each in enumerate(described["links"])
    ]
    return Document(
        folded(described["text"]), folded(described["heading"]), [*forms, outside], links
    )


def _control(each: Mapping[str, Any], position: int, base: str) -> Control | None:
    """Return a control, or ``None`` for one that nobody sees and that sends nothing."""
    kind = "button" if each["role"] == "button" else kind_of(each["tag"], each["type"])
    if not each["seen"] and kind == "button":
        return None
    if not each["seen"] and kind in ("text", "select"):
        kind = "hidden"
    shown = each["text"] if each["tag"] != "input" else each["value"]
    return Control(
        kind=kind,
        name=each["name"],
        value=each["value"],
        text=folded(shown) if kind == "button" else "",
        is_checked=each["checked"],
        takes_several=each["multiple"],
        options=[Option(one["value"], one["text"], one["selected"]) for one in each["options"]],
        action=urljoin(base, each["action"]) if each["action"] else "",
        method=each["method"],
        position=position,
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "unknown error"
