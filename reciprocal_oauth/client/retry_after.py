"""Reads the ``Retry-After`` header, which contains a number of seconds or a date (RFC 9110,
section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.utils import timezone

_MAX_SECONDS = 24 * 3600
#: How many digits of the header are read. Python refuses to convert a text of more than 4,300
#: digits to a number.
_MAX_DIGITS = 4000


def seconds(value: str | None, now: datetime) -> float | None:
    """Return how many seconds the peer asks this site to wait, counted from ``now``. The result is
    at most one day.

    :param value: the value of the header: seconds or a date (RFC 9110, section 5.6.7); ``None`` if
        the response has no such header.
    :returns: ``None`` if there is no header or if its value cannot be read.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:_MAX_DIGITS]), _MAX_SECONDS))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    if timezone.is_naive(now):
        now = timezone.make_aware(now)
    return min(max((until - now).total_seconds(), 0.0), float(_MAX_SECONDS))
