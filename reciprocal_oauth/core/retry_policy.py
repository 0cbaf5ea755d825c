"""When a failed attempt is repeated."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: The longest pause that a peer can ask for with ``Retry-After``, in seconds.
MAX_PAUSE_SECONDS = 24 * 3600
#: Each pause is changed at random by up to this fraction, so that attempts do not coincide.
JITTER = 0.2


@dataclass(frozen=True)
class RetryPolicy:
    """``schedule`` has the pause, in seconds, before each attempt.

    With ``(0, 5, 300)`` there are three attempts: at once, 5 seconds later, 5 minutes later.

    :ivar spread: returns a random number from -1 to 1. Tests replace it.
    """

    schedule: Sequence[float]
    spread: Callable[[], float] = field(default=lambda: random.uniform(-1, 1))  # noqa: S311

    @property
    def limit(self) -> int:
        """The number of attempts."""
        return len(self.schedule)

    def pause_after(self, attempts: int, retry_after: float | None = None) -> float | None:
        """Return the seconds to wait after ``attempts`` attempts; ``None`` if there are no more.

        :param retry_after: what the peer asked for (RFC 9110, section 10.2.3). If it is longer than
            the pause of the schedule, it is used, up to a day.
        """
        if attempts >= self.limit:
            return None
        pause = self.schedule[attempts] * (1 + JITTER * self.spread())
        return max(pause, min(retry_after or 0.0, MAX_PAUSE_SECONDS))
