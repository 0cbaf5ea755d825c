"""The driver ``ask``: asks you to do what is needed, in a browser of your own.

::

    [driver]
    kind = "ask"

    [driver.urls]                                  # optional: where you begin
    link = "http://127.0.0.1:8002/connections/"

It prints what to do, and the address. It goes on by itself when the tester's server has seen the
result, and else when you press Enter. If nothing happens in ``waits.person`` seconds, the journey
fails. What an attacker's page does (``forge``) cannot be asked of you.
"""

import contextlib
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from ..tables import only_known, table_of
from .journeys import Journey, JourneyFailed, Outcome, Unsupported
from .placeholders import put_in_url, url_templates

_POLL_SECONDS: Final = 0.2

_JOURNEYS: Final = {
    "b": ("authorize", "use", "end"),
    "a": ("link", "update", "end", "open", "authorize"),
}

_TODO: Final = {
    "authorize": "As {user}: open this address, sign in if you are asked to, and allow what is "
    "asked.",
    "use": "As {user}: make the site use its access to the tester, for example by a page that "
    "shows something from there.",
    "end": "As {user}: disconnect the tester.",
    "link": "As {user}: connect the tester.",
    "update": "As {user}: change what the tester may do. Allow exactly: {scopes}.",
    "open": "As {user}: open this address in the browser in which you connected the tester.",
}
_ANSWER: Final = {
    "allow": " When the site asks what the tester may do, allow exactly: {scopes}.",
    "deny": " When the site asks what the tester may do, do not allow it.",
    "look": " When the site asks what the tester may do, stop there: answer nothing.",
}
_ALL: Final = "all that is offered"
_NOTHING: Final = "nothing"


def from_table(
    table: Mapping[str, Any], role: str, person_seconds: float, *, may_ask: bool
) -> "AskDriver":
    """Make the driver of the table ``[driver]``.

    :param may_ask: whether there is a person. If not, the driver supports nothing.
    :raises UsageError: the table is wrong.
    """
    only_known("driver", table, ("kind", "urls"))
    urls = table_of("driver.urls", table.get("urls", {}))
    templates = url_templates("driver.urls", urls, role, ("url", "user"))
    journeys = [name for name in _JOURNEYS[role] if may_ask]
    return AskDriver(journeys, templates, person_seconds)


class AskDriver:
    """Asks a person."""

    def __init__(
        self,
        journeys: list[str],
        templates: Mapping[str, str],
        seconds: float,
        *,
        out: TextIO | None = None,
        keys: TextIO | None = None,
    ) -> None:
        """:param journeys: the names of the journeys that the person can be asked for.
        :param templates: URLs where journeys begin.
        :param seconds: how long the person has.
        :param out: where to print. Default: standard output.
        :param keys: where Enter comes from. Default: standard input.
        """
        self._journeys = journeys
        self._templates = templates
        self._seconds = seconds
        self._out = out
        self._keys = keys
        self._enter: _Enter | None = None

    def supports(self, name: str) -> bool:
        return name in self._journeys

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Ask the person, and wait.

        :raises JourneyFailed: nothing happened in time.
        :raises Unsupported: the person cannot be asked for this.
        """
        if not self.supports(journey.name):
            raise Unsupported("Nobody can be asked to do this.")
        if self._enter is None:
            self._enter = _Enter(self._keys or sys.stdin)
        self._enter.forget()
        self._print(self._request(journey))
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            if is_over():
                self._print("The tester has seen it. Thank you.\n")
                return Outcome()
            typed = self._enter.wait(_POLL_SECONDS)
            if typed is not None:
                return Outcome(consent=_consent(journey, typed))
        raise JourneyFailed(f"Nobody did it in {self._seconds:g} seconds.")

    def close(self) -> None:
        self._enter = None

    def _request(self, journey: Journey) -> str:
        template = _TODO[journey.name]
        if journey.name == "link":
            template += _ANSWER[journey.decision or "allow"]
        scopes = _ALL if journey.scopes is None else " ".join(journey.scopes) or _NOTHING
        lines = [template.format(user=journey.user, scopes=scopes)]
        default = "{url}" if journey.url else ""
        if address := self._templates.get(journey.name, default):
            values = {"url": journey.url, "user": journey.user}
            lines.append(f"    {put_in_url(address, values)}")
        lines.append(self._how_to_go_on(journey))
        return "\n".join(lines)

    def _how_to_go_on(self, journey: Journey) -> str:
        if self._enter is None or not self._enter.can_come:
            return "The tester goes on when it has seen it."
        if journey.decision == "look":
            return "Then press Enter if the site asks, or n and Enter if it does not ask."
        return "The tester goes on when it has seen it, or when you press Enter."

    def _print(self, text: str) -> None:
        print(text, file=self._out or sys.stdout, flush=True)


def _consent(journey: Journey, typed: str) -> bool | None:
    """Return whether the page asks for consent, as the person says."""
    return not typed.lower().startswith("n") if journey.decision == "look" else None


class _Enter:
    """Lines that a person types.

    :ivar can_come: whether one can come: the input is a terminal, and has not ended.
    """

    def __init__(self, keys: TextIO) -> None:
        self._keys = keys
        self._lines: queue.Queue[str] = queue.Queue()
        self.can_come = False
        with contextlib.suppress(ValueError, AttributeError):  # It is closed, or there is none.
            self.can_come = keys.isatty()
        if self.can_come and sys.platform == "win32":
            # There, select knows sockets only.
            threading.Thread(target=self._read, name="driver-ask", daemon=True).start()

    def forget(self) -> None:
        """Forget what was typed before."""
        while self.can_come and self.wait(0) is not None:
            pass

    def wait(self, seconds: float) -> str | None:
        """Return the next line without its end, or ``None`` if there is none in this time."""
        if not self.can_come:
            time.sleep(seconds)
            return None
        if sys.platform == "win32":
            with contextlib.suppress(queue.Empty):
                return self._lines.get(timeout=seconds or 0.01)
            return None
        if not select.select([self._keys], [], [], seconds)[0]:
            return None
        line = self._keys.readline()
        self.can_come = bool(line)
        return line.strip() if line else None

    def _read(self) -> None:
        for line in self._keys:
            self._lines.put(line.strip())
        self.can_come = False
