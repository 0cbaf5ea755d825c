"""Limits how often an action, such as a request with a wrong client secret, may happen in a period.
The site's default cache stores the counters.

If the cache does not work, nothing is limited and a warning is logged, because a broken cache must
not lock peers out. With Django's default cache, which is in memory, each process counts separately.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.core.cache import cache

logger = logging.getLogger("reciprocal_oauth")

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Throttle:
    """A limit: an action may happen at most ``limit`` times in a period. Each key, for example a
    person or a client, is counted separately. The period of a key begins with its first action, and
    lasts ``seconds``.

    :ivar name: the purpose of the limit. It is part of the cache key.
    """

    name: str
    limit: int
    seconds: int = 60

    def count(self, key: str) -> bool:
        """Count one use of ``key``, and return whether this use is within the limit."""
        return _fail_open(lambda: cache.incr(self._counter(key)) <= self.limit, otherwise=True)

    def is_reached(self, key: str) -> bool:
        """Return whether ``key`` has reached the limit. Count nothing."""
        return _fail_open(lambda: cache.get(self._counter(key), 0) >= self.limit, otherwise=False)

    def uncount(self, key: str) -> None:
        """Reduce the count of ``key`` by one, for a use that should not have been counted."""
        _fail_open(lambda: cache.decr(self._counter(key)), otherwise=0)

    def _counter(self, key: str) -> str:
        """Return the cache key of the counter for the current period, and create the counter if it
        does not exist.

        The cache key contains the time at which the period began, so each period has a new counter.
        Waiting for the counter to expire is not enough, because some of Django's caches postpone
        the expiry at each increment. There, a counter that is used often would never expire.
        """
        window = f"reciprocal_oauth:{self.name}:{key}"
        now = int(time.time())
        began = cache.get_or_set(window, now, self.seconds)
        # Another process can have begun the period a moment ago, in the next second.
        if not isinstance(began, int) or not began - 1 <= now < began + self.seconds:
            cache.set(window, now, self.seconds)
            began = now
        counter = f"{window}:{began}"
        cache.add(counter, 0, 2 * self.seconds)
        return counter


def _fail_open(step: Callable[[], _Value], *, otherwise: _Value) -> _Value:
    try:
        return step()
    except Exception as error:  # Each cache backend raises its own kinds of exceptions.
        logger.warning("The cache does not work (%s): no limit is applied", type(error).__name__)
        return otherwise
