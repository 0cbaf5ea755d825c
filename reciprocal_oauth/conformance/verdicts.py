"""What a check can find out, and how a check says so."""

from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What a check found. A check starts as :attr:`INCONCLUSIVE`, never as :attr:`PASS`."""

    PASS = "pass"  # noqa: S105
    #: A SHOULD is not followed, or the sentence leaves room for what was seen.
    WARN = "warn"
    #: A MUST is not followed, or an attack works.
    FAIL = "fail"
    #: The control, the browser part or the tester itself failed: nothing is known.
    INCONCLUSIVE = "inconclusive"
    #: The configuration does not give what the check needs.
    NOT_TESTED = "not tested"


#: A sentence or threat that several checks test gets the first of these that one of them has.
WORST_FIRST: Final = (
    Verdict.FAIL,
    Verdict.WARN,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTED,
    Verdict.PASS,
)


class Severity(StrEnum):
    """What it means that a check finds a fault."""

    MUST = "must"
    #: An attack works. The draft has no security section, so RFC 9700 and the catalogue of threats
    #: say what must hold.
    SECURITY = "security"
    SHOULD = "should"
    #: Nothing is demanded. The check only reports what it saw.
    INFORMATION = "information"

    @property
    def at_fault(self) -> Verdict:
        """The verdict on a check of this severity that finds a fault."""
        if self in (Severity.MUST, Severity.SECURITY):
            return Verdict.FAIL
        return Verdict.WARN if self is Severity.SHOULD else Verdict.PASS


class Finding(Exception):
    """Ends a check. ``str()`` is what was observed."""


class Broken(Finding):
    """The subject does not do what the check expects.

    :param at_worst: limits the verdict, where what was seen is less bad than the check's severity.
    """

    def __init__(self, expected: str, observed: str, *, at_worst: Verdict = Verdict.FAIL) -> None:
        super().__init__(observed)
        self.expected = expected
        self.at_worst = at_worst


class Unclear(Finding):
    """The check could not be carried out, so it says nothing about the subject."""


class NotGiven(Finding):
    """The configuration does not give what the check needs."""


def worst(verdicts: "list[Verdict]") -> Verdict:
    """Return the verdict on what several checks test. Without a check it is not tested."""
    return next((each for each in WORST_FIRST if each in verdicts), Verdict.NOT_TESTED)
