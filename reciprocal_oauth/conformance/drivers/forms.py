"""The driver ``forms``: fills in HTML forms, without JavaScript. It needs the standard library.

::

    [driver]
    kind = "forms"

    [driver.users.alice]
    password = "env:PASSWORD_OF_ALICE"

    [driver.steps]
    authorize = [
        {open = "{url}"},
        {if = "password", fill = {username = "{user}", password = "{password}"}, press = "Sign in"},
        {press = "Allow"},
    ]

The steps are those of :mod:`.steps`. The lists for a party B are ``authorize``, ``use`` and
``end``; for a party A ``link`` (up to the question whether to allow access), ``allow`` and ``deny``
(from the question on), ``update``, ``end`` and ``authorize``. The list ``sign_in`` is done before
the first journey of each user.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ..tables import only_known
from . import steps
from .html_forms import Control, Form, Submission
from .html_pages import Link
from .step_runner import StepDriver, Visitor
from .web import SECONDS, Page, Web


def from_table(table: Mapping[str, Any], role: str, patience: float) -> StepDriver:
    """Make the driver of the table ``[driver]``.

    :param patience: a factor for the time that a request may take.
    :raises UsageError: the table is wrong.
    """
    only_known("driver", table, ("kind", "steps", "users"))
    plan = steps.read(table, role)
    return StepDriver(plan, role, lambda: _Visitor(SECONDS * patience))


class _Visitor(Visitor):
    """A user with the small browser of :mod:`.web`."""

    def __init__(self, seconds: float) -> None:
        self._web = Web(seconds)

    def open(self, url: str) -> None:
        self._web.open(url)

    def look(self) -> Page | None:
        return self._web.page

    def fill(self, form: Form, name: str, value: str) -> None:
        form.fill(name, value)

    def tick(self, form: Form, name: str, values: Collection[str] | None) -> None:
        form.tick(name, values)

    def press(self, form: Form, button: Control) -> None:
        self._web.submit(form.submission(button))

    def follow(self, link: Link) -> None:
        came_from = self._web.page.url if self._web.page else ""
        self._web.open(link.url, came_from=came_from)

    def pause(self) -> None:
        pass  # Nothing changes by itself.

    def settle(self) -> None:
        pass  # A page is whole when it is there.

    def close(self) -> None:
        pass  # Nothing is open.

    def send(self, submission: Submission, headers: Mapping[str, str]) -> Page:
        return self._web.submit(submission, headers)
