"""The ways in which the network misbehaves."""

import random
from dataclasses import dataclass
from enum import StrEnum

#: How long a call hangs that nobody gives up on.
HANG_SECONDS = 60
RETRY_AFTER_SECONDS = 1


class How(StrEnum):
    ERROR = "error 500"
    HANG = "hang"
    RESET = "reset"
    GARBAGE = "garbage status line"
    TOO_MANY = "429"
    HALF = "half an answer"
    PAGE = "200 with a page"


@dataclass(frozen=True)
class Fault:
    """What happens to a call.

    :ivar after: the site has seen the request and acted; it is the answer that is lost.
    :ivar weight: how often, beside the others.
    """

    how: How
    after: bool
    weight: int = 2

    def __str__(self) -> str:
        return f"{self.how}, {'after' if self.after else 'before'}"


FAULTS = (
    Fault(How.ERROR, after=False),
    Fault(How.HANG, after=False, weight=1),
    Fault(How.RESET, after=False),
    Fault(How.GARBAGE, after=False),
    Fault(How.TOO_MANY, after=False),
    Fault(How.PAGE, after=False, weight=1),
    Fault(How.ERROR, after=True),
    Fault(How.HANG, after=True, weight=1),
    Fault(How.RESET, after=True),
    Fault(How.GARBAGE, after=True),
    Fault(How.HALF, after=True),
    Fault(How.PAGE, after=True, weight=1),
)


def draw(chance: random.Random, share: float, path: str) -> Fault | None:
    """The fault of a call, if it has one."""
    if chance.random() >= share:
        return None
    # A page in place of an answer says "revoked" where nothing was (RFC 7009, section 2.2): no
    # client can tell.
    possible = [f for f in FAULTS if f.how is not How.PAGE or "revoke" not in path]
    return chance.choices(possible, [fault.weight for fault in possible])[0]
