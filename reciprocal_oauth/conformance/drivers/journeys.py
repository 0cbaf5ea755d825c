"""What a person does at the subject. The tester asks a driver for it, and learns the results from
its own server: the driver says only whether the person got through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

#: Journeys at a party B, and at a party A. ``forge`` is what an attacker's page does.
NAMES: Final = {
    "b": ("authorize", "use", "end"),
    "a": ("link", "update", "end", "open", "forge", "authorize"),
}
#: Journeys that may end at an error page: the checks look at its status.
MAY_END_IN_AN_ERROR: Final = ("open", "forge")


@dataclass(frozen=True)
class Journey:
    """One visit.

    :ivar name: one of :data:`NAMES`.
    :ivar user: the user of the subject who is signed in.
    :ivar url: ``authorize``: the authorization request to open and to allow. ``open``: the URL to
        open in the user's browser.
    :ivar decision: ``link``: what the user answers when party A asks for consent. ``look`` leaves
        the question open.
    :ivar scopes: ``link``, ``update``, ``forge``: the scopes that the user allows. ``None`` are all
        that the page offers.
    :ivar how: ``forge``: how the consent that waits is sent. ``get``: by GET. ``post``: by POST
        without what protects the form. ``other``: from the browser of :attr:`other_user`.
    """

    name: str
    user: str = ""
    url: str = ""
    decision: str = ""
    scopes: tuple[str, ...] | None = None
    how: str = ""
    other_user: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the members that say something, as the driver ``command`` sends them."""
        members = {
            "journey": self.name,
            "user": self.user,
            "url": self.url,
            "decision": self.decision,
            "how": self.how,
            "other_user": self.other_user,
        }
        said: dict[str, object] = {name: value for name, value in members.items() if value}
        if self.scopes is not None:
            said["scopes"] = list(self.scopes)
        return said


@dataclass(frozen=True)
class Outcome:
    """Where the visit ended.

    :ivar url: the URL of the last page, or an empty text if the driver does not know it.
    :ivar status: its HTTP status, or ``None``.
    :ivar consent: whether that page asks for consent, or ``None`` if the driver does not know.
    """

    url: str = ""
    status: int | None = None
    consent: bool | None = None


class JourneyFailed(Exception):
    """The person did not get through. ``str()`` says where, and what the page was.

    :ivar outcome: the page where the person stopped, or ``None`` if the driver knows none. A check
        that allows an error page looks at its status.
    """

    def __init__(self, text: str, outcome: Outcome | None = None) -> None:
        super().__init__(text)
        self.outcome = outcome


def arrived(journey: Journey, outcome: Outcome, page: str = "") -> Outcome:
    """Return the outcome of a journey that has come to its last page.

    :param page: the last page in words, for the text of the error.
    :raises JourneyFailed: the last page is an error page, and the journey must not end there.
    """
    if outcome.status is None or outcome.status < 400 or journey.name in MAY_END_IN_AN_ERROR:
        return outcome
    shown = page or outcome.url or "an unknown page"
    raise JourneyFailed(
        f"The last page is an error page, status {outcome.status}: {shown}", outcome
    )


class Unsupported(Exception):
    """The driver is not configured for this journey."""


class Driver(Protocol):
    """Carries out journeys. One journey runs at a time."""

    def supports(self, name: str) -> bool:
        """Whether the driver is configured for the journey with this name."""

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Carry out a journey.

        :param is_over: whether the tester's server has seen what the journey leads to. A driver
            that waits for a person stops waiting then.
        :raises JourneyFailed: the person did not get through.
        :raises Unsupported: the driver cannot do this.
        """

    def close(self) -> None:
        """End what the driver has started."""
