"""Carries out the steps of the drivers ``forms`` and ``playwright``. They differ only in the
browser that a user has."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from .html_forms import Control, Form, NotThere, Submission, choose
from .html_pages import Link
from .journeys import Journey, JourneyFailed, Outcome, Unsupported, arrived
from .placeholders import has, put_in, put_in_url
from .steps import Plan, Step
from .web import Page, headers_from

#: What a browser says about a form that a page of another site has sent. No page can keep back
#: ``Origin`` of a POST, so a party may rely on it.
FORGED: Final = {"Sec-Fetch-Site": "cross-site"}
FORGED_POST: Final = {**FORGED, "Origin": "null"}

Found = TypeVar("Found")


class Visitor(ABC):
    """The browser of one user.

    :ivar seconds: how long a page may take to get what a step needs. 0: what is not there at once
        never comes.
    """

    seconds: float = 0

    @abstractmethod
    def open(self, url: str) -> None:
        """Open a URL."""

    @abstractmethod
    def look(self) -> Page | None:
        """Return the page as it is now, or ``None`` before the first one."""

    @abstractmethod
    def fill(self, form: Form, name: str, value: str) -> None:
        """Fill in a field of the page that :meth:`look` has returned last."""

    @abstractmethod
    def tick(self, form: Form, name: str, values: Collection[str] | None) -> None:
        """Tick these checkboxes, and no others with this name. ``None``: all."""

    @abstractmethod
    def press(self, form: Form, button: Control) -> None:
        """Press a button."""

    @abstractmethod
    def follow(self, link: Link) -> None:
        """Follow a link."""

    @abstractmethod
    def send(self, submission: Submission, headers: Mapping[str, str]) -> Page:
        """Send a form with the cookies of this browser, whatever page it shows.

        :param headers: in place of ``Referer`` and ``Origin``.
        """

    @abstractmethod
    def pause(self) -> None:
        """Wait a moment for the page to change."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until the page has loaded all that it needs."""

    @abstractmethod
    def close(self) -> None:
        """Throw the browser away, with its cookies."""


class Walk:
    """One journey of one user."""

    def __init__(
        self, visitor: Visitor, values: Mapping[str, str], scopes: tuple[str, ...] | None
    ) -> None:
        """:param values: for the placeholders.
        :param scopes: what the user allows. ``None``: all that is offered.
        """
        self.visitor = visitor
        self._values = values
        self._scopes = scopes

    def do(self, steps: tuple[Step, ...]) -> None:
        """Carry out steps.

        :raises JourneyFailed: a step cannot be done.
        """
        for step in steps:
            if self._is_wanted(step):
                self._do(step)

    def up_to(self, last: Step, steps: tuple[Step, ...]) -> tuple[Page, Form, Control]:
        """Carry out steps up to the one that presses the button of the question, and fill in its
        form. Return the page, the form and the button, which is not pressed.

        :raises JourneyFailed: a step cannot be done.
        """
        self.do(steps[: steps.index(last)])
        self._prepare(last)
        return self._find(last, lambda page: (page, *self._button(last, page)))

    def asks(self, question: Step) -> bool:
        """Whether the page has the form whose button the step presses."""
        part, button = self._text(question.form), self._text(question.press)
        try:
            self._wait_for(lambda page: choose(page.document.forms, part=part, button=button))
        except NotThere:
            return False
        return True

    def page(self) -> Page:
        """Return the page that the journey has come to.

        :raises JourneyFailed: none was opened.
        """
        self.visitor.settle()
        page = self.visitor.look()
        if page is None:
            raise JourneyFailed("No page was opened: every step has an if that was not true.")
        return page

    # --- A step ---------------------------------------------------------------------------------

    def _is_wanted(self, step: Step) -> bool:
        if not step.only_if:
            return True
        wanted = self._text(step.only_if)
        if self._has(wanted):
            return True
        self.visitor.settle()
        return self._has(wanted)

    def _has(self, wanted: str) -> bool:
        page = self.visitor.look()
        return page is not None and (wanted in page.document.names or page.document.says(wanted))

    def _do(self, step: Step) -> None:
        self._prepare(step)
        if step.press:
            self._find(step, lambda page: self._press(step, page))
        if step.expect:
            self._find(step, lambda page: self._expect(step, page))

    def _prepare(self, step: Step) -> None:
        """Carry out all that comes before ``press``."""
        if step.open:
            try:
                self.visitor.open(put_in_url(step.open, self._values))
            except JourneyFailed as error:
                raise JourneyFailed(f"{step.where}: {error}", error.outcome) from error
        if step.follow:
            text = self._text(step.follow)
            self._find(step, lambda page: self.visitor.follow(page.document.link(text)))
        for name, template in step.fill.items():
            self._fill(step, name, self._text(template))
        for name, template in step.tick.items():
            self._tick(step, name, self._boxes(template))

    def _fill(self, step: Step, name: str, value: str) -> None:
        self._find(step, lambda page: self.visitor.fill(self._form(step, page), name, value))

    def _tick(self, step: Step, name: str, values: list[str] | None) -> None:
        self._find(step, lambda page: self.visitor.tick(self._form(step, page), name, values))

    def _form(self, step: Step, page: Page) -> Form:
        return choose(
            page.document.forms,
            part=self._text(step.form),
            fields=step.fill,
            boxes=step.tick,
            button=self._text(step.press),
        )

    def _button(self, step: Step, page: Page) -> tuple[Form, Control]:
        form = self._form(step, page)
        button = form.button(self._text(step.press))
        assert button is not None  # noqa: S101 - the form was chosen because it has it
        return form, button

    def _press(self, step: Step, page: Page) -> None:
        self.visitor.press(*self._button(step, page))

    def _expect(self, step: Step, page: Page) -> None:
        text = self._text(step.expect)
        if not (page.document.says(text) or text in page.url):
            raise NotThere(f'Neither the page nor its URL has "{text}".')

    def _boxes(self, template: str) -> list[str] | None:
        if self._scopes is None and has(template, "scopes"):
            return None
        return self._text(template).split()

    def _text(self, template: str) -> str:
        return put_in(template, self._values)

    # --- Waiting --------------------------------------------------------------------------------

    def _find(self, step: Step, what: Callable[[Page], Found]) -> Found:
        """Do something with the page, once it has what is needed for it.

        :raises JourneyFailed: the page does not get it.
        """
        try:
            return self._wait_for(what)
        except NotThere as error:
            page = self.visitor.look()
            shown = f" The page is {page}" if page else ""
            text, outcome = f"{step.where}: {error}{shown}", page.outcome() if page else None
            raise JourneyFailed(text, outcome) from error
        except JourneyFailed as error:
            raise JourneyFailed(f"{step.where}: {error}", error.outcome) from error

    def _wait_for(self, what: Callable[[Page], Found]) -> Found:
        until = time.monotonic() + self.visitor.seconds
        while True:
            page = self.visitor.look()
            try:
                if page is None:
                    raise NotThere("No page is open.")
                return what(page)
            except NotThere:
                if time.monotonic() >= until:
                    raise
            self.visitor.pause()


class StepDriver:
    """A driver that carries out the steps of the configuration."""

    def __init__(self, plan: Plan, role: str, new_visitor: Callable[[], Visitor]) -> None:
        """:param role: ``a`` or ``b``.
        :param new_visitor: makes a browser without cookies.
        """
        self._plan = plan
        self._role = role
        self._new_visitor = new_visitor
        #: The browser of each user. It stays signed in from journey to journey.
        self._visitors: dict[str, Visitor] = {}

    def supports(self, name: str) -> bool:
        """``open`` needs no steps, and ``forge`` is made of those of ``link`` and ``allow``."""
        if self._role == "a" and name == "open":
            return True
        if self._role == "a" and name == "forge":
            return "link" in self._plan.steps and self._plan.question() is not None
        return name in self._plan.steps and name not in ("sign_in", "allow", "deny")

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Carry out a journey.

        :raises JourneyFailed: a step cannot be done, or the last page is an error page.
        :raises Unsupported: there are no steps for it.
        """
        if not self.supports(journey.name):
            raise Unsupported(f"driver.steps.{journey.name} is missing.")
        self._require_steps(journey)
        walk = Walk(self._visitor(journey.user), self._values(journey), journey.scopes)
        if journey.name == "open":
            walk.visitor.open(journey.url)
            return walk.page().outcome()
        if journey.name == "forge":
            return self._forge(journey, walk)
        walk.do(self._plan.steps[journey.name])
        consent = self._decide(journey, walk) if journey.name == "link" else None
        page = walk.page()
        return arrived(journey, Outcome(page.url, page.status, consent), str(page))

    def close(self) -> None:
        while self._visitors:
            self._visitors.popitem()[1].close()

    def _require_steps(self, journey: Journey) -> None:
        if journey.decision == "deny" and "deny" not in self._plan.steps:
            raise Unsupported("driver.steps.deny is missing.")
        if journey.decision == "look" and self._plan.question() is None:
            raise Unsupported(
                "No step of driver.steps.allow presses a button, so it is not known "
                "what the question looks like."
            )
        if journey.how == "other" and "sign_in" not in self._plan.steps:
            raise Unsupported("driver.steps.sign_in is missing, which signs the other user in.")

    def _visitor(self, user: str) -> Visitor:
        if user not in self._visitors:
            visitor = self._new_visitor()
            try:
                journey = Journey("sign_in", user)
                walk = Walk(visitor, self._values(journey), None)
                walk.do(self._plan.steps.get("sign_in", ()))
            except BaseException:
                visitor.close()
                raise
            self._visitors[user] = visitor
        return self._visitors[user]

    def _values(self, journey: Journey) -> dict[str, str]:
        own = self._plan.users.get(journey.user, {})
        scopes = " ".join(journey.scopes or ())
        return {**own, "user": journey.user, "url": journey.url, "scopes": scopes}

    def _decide(self, journey: Journey, walk: Walk) -> bool | None:
        """Answer the question. Return whether there is one, if the user only looks."""
        if journey.decision != "look":
            walk.do(self._plan.steps[journey.decision or "allow"])
            return None
        question = self._plan.question()
        return question is not None and walk.asks(question)

    def _forge(self, journey: Journey, walk: Walk) -> Outcome:
        """Send the form of the question as an attacker's page does. The attributes ``SameSite`` of
        cookies are left out of account: a browser may keep back a cookie that is sent here."""
        walk.do(self._plan.steps["link"])
        question = self._plan.question()
        assert question is not None  # noqa: S101 - else it is not supported
        page, form, button = walk.up_to(question, self._plan.steps["allow"])
        try:
            sent = form.submission(button, without_hidden=journey.how == "post")
        except NotThere as error:
            raise Unsupported(f"{question.where}: {error}") from error
        if journey.how == "other":
            headers = headers_from(page.url, sent.url, is_post=sent.method == "POST")
            page = self._visitor(journey.other_user).send(sent, headers)
        elif journey.how == "get":
            page = walk.visitor.send(sent.by_get(), FORGED)
        else:
            page = walk.visitor.send(sent, FORGED_POST)
        return page.outcome()
