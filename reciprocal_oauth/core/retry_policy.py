"""When to try again: a pure policy."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: Longest pause that a peer can ask for, in seconds.
MAX_PAUSE_SECONDS = 24 * 3600
#: Each pause is spread by this share up and down, so that peers are not called in step.
JITTER = 0.2


@dataclass(frozen=True)
class RetryPolicy:
    """Attempt ``n`` (from 1) comes ``schedule[n - 1]`` seconds after the one before.

    With ``(0, 5, 300)`` there are three attempts: at once, after 5 seconds, after 5 minutes more.

    :ivar spread: gives a number from -1 to 1; replaced in tests.
    """

    schedule: Sequence[float]
    spread: Callable[[], float] = field(default=lambda: random.uniform(-1, 1))  # noqa: S311

    @property
    def limit(self) -> int:
        """How many attempts there are."""
        return len(self.schedule)

    def pause_after(self, attempts: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after ``attempts`` attempts; ``None``: there are no more.

        What the peer asked for is obeyed where it is longer than the schedule, up to a day.
        """
        if attempts >= self.limit:
            return None
        pause = self.schedule[attempts] * (1 + JITTER * self.spread())
        return max(pause, min(retry_after or 0.0, MAX_PAUSE_SECONDS))
