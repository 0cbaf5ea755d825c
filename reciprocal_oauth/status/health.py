"""Says in a few codes whether this site delivers. Monitors ask for it often, so it is cheap."""

import logging
import time
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from ..core.database import log_exception
from .problems import Code
from .queues import is_anything_overdue
from .workers import present_absence

logger = logging.getLogger("reciprocal_oauth")

#: For how many seconds a process keeps the result. A monitor that asks more often, or somebody who
#: wants to disturb the site, causes no more queries than that.
KEPT_SECONDS = 1.0


class _Kept(NamedTuple):
    until: float
    problems: tuple[Code, ...]


_kept = _Kept(float("-inf"), ())


def problems() -> tuple[Code, ...]:
    """Return the codes of what keeps this site from delivering: ``no_worker``, ``overdue``,
    ``database`` or ``settings``. The result is empty if the site delivers. It is up to a second
    old."""
    global _kept
    kept, now = _kept, time.monotonic()
    if now < kept.until:
        return kept.problems
    found = _look()
    _kept = _Kept(time.monotonic() + KEPT_SECONDS, found)
    return found


def _look() -> tuple[Code, ...]:
    try:
        if present_absence():
            return (Code.NO_WORKER,)
        return (Code.OVERDUE,) if is_anything_overdue() else ()
    except (DatabaseError, InterfaceError):
        log_exception(logger, "The health of this site cannot be told")
        return (Code.DATABASE,)
    except (ImproperlyConfigured, TypeError, ValueError):
        log_exception(logger, "The health of this site cannot be told: a setting is wrong")
        return (Code.SETTINGS,)
