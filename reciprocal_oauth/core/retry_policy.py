"""Computes the pauses before failed requests to a peer are tried again."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: The longest pause, in seconds, that a peer can cause with the header ``Retry-After``.
MAX_PAUSE_SECONDS = 24 * 3600
#: Each pause is made longer or shorter at random, by up to this fraction of the pause. So attempts
#: that failed at the same moment are not all repeated at the same moment.
JITTER = 0.2


@dataclass(frozen=True)
class RetryPolicy:
    """A schedule of attempts, with random variation of the pauses.

    :ivar schedule: the pause, in seconds, before each attempt. For example, ``(0, 5, 300)`` means
        three attempts: the first immediately, the second 5 seconds after the first, and the third 5
        minutes after the second.
    :ivar spread: a function that returns a random number from -1 to 1. Tests replace it.
    """

    schedule: Sequence[float]
    spread: Callable[[], float] = field(default=lambda: random.uniform(-1, 1))  # noqa: S311

    @property
    def limit(self) -> int:
        """Return how many attempts the schedule allows."""
        return len(self.schedule)

    def pause_after(self, attempts: int, retry_after: float | None = None) -> float | None:
        """Return how many seconds to wait before the next attempt, or ``None`` if no attempt is
        left.

        :param attempts: how many attempts have failed.
        :param retry_after: the seconds in the ``Retry-After`` header of the peer (RFC 9110, section
            10.2.3). If this is longer than the pause in the schedule, it is used instead, but at
            most one day.
        """
        if attempts >= self.limit:
            return None
        pause = self.schedule[attempts] * (1 + JITTER * self.spread())
        return max(pause, min(retry_after or 0.0, MAX_PAUSE_SECONDS))
