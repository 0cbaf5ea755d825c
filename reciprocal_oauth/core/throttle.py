"""How often something may happen in a while, counted in the site's default cache.

A cache that is down must not keep peers out, so everything is allowed then and a log line says so.
A cache in memory (Django's default) counts in each process apart.
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
    """At most ``limit`` times in ``seconds`` for one ``key``, counted from the first time on.

    :ivar name: tells the counters of one purpose from those of another.
    """

    name: str
    limit: int
    seconds: int = 60

    def take(self, key: str) -> bool:
        """Count one time; whether it is still within the limit."""
        return _fail_open(lambda: cache.incr(self._counter(key)) <= self.limit, otherwise=True)

    def give_back(self, key: str) -> None:
        """Uncount a time that turned out not to matter."""
        _fail_open(lambda: cache.decr(self._counter(key)), otherwise=0)

    def _counter(self, key: str) -> str:
        """The counter of the running window; made if need be.

        Its name holds when the window began: several of Django's caches give a key a new life
        whenever it is counted up.
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
    except Exception as error:  # Each backend has errors of its own.
        logger.warning("The cache does not count (%s): no limit is kept", type(error).__name__)
        return otherwise
