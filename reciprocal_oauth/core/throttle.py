"""Limits on how often something may happen, counted in the site's default cache.

If the cache is down, everything is allowed, and a warning is logged: peers must not be locked out.
A cache in memory (Django's default) counts in each process separately.
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
    """At most ``limit`` times in ``seconds`` for each key. The time begins with the first use.

    :ivar name: the purpose, which is part of the cache key.
    """

    name: str
    limit: int
    seconds: int = 60

    def count(self, key: str) -> bool:
        """Count one use of ``key``. Return whether it is within the limit."""
        return _fail_open(lambda: cache.incr(self._counter(key)) <= self.limit, otherwise=True)

    def uncount(self, key: str) -> None:
        """Take back one counted use of ``key``."""
        _fail_open(lambda: cache.decr(self._counter(key)), otherwise=0)

    def _counter(self, key: str) -> str:
        """Return the cache key of the current counter, and create the counter if needed.

        The key contains the time at which counting began. It must not rely on the expiry of the
        counter, because some of Django's caches extend that with each increment.
        """
        window = f"reciprocal_oauth:{self.name}:{key}"
        now = int(time.time())
        began = cache.get_or_set(window, now, self.seconds)
        if not isinstance(began, int) or not began <= now < began + self.seconds:
            cache.set(window, now, self.seconds)
            began = now
        counter = f"{window}:{began}"
        cache.add(counter, 0, 2 * self.seconds)
        return counter


def _fail_open(step: Callable[[], _Value], *, otherwise: _Value) -> _Value:
    try:
        return step()
    except Exception as error:  # Each cache backend raises other errors.
        logger.warning("The cache does not work (%s): no limit is applied", type(error).__name__)
        return otherwise
