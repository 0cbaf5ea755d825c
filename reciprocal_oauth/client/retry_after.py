"""The ``Retry-After`` header (RFC 9110, section 10.2.3): seconds, or an HTTP date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.utils import timezone

_MAX_SECONDS = 24 * 3600
#: Python refuses to convert numbers with more than 4,300 digits.
_MAX_DIGITS = 4000


def seconds(value: str | None, now: datetime) -> float | None:
    """Return how many seconds to wait from ``now``, at most a day.

    :param value: the header's value: seconds, or a date (RFC 9110, section 5.6.7).
    :returns: ``None`` if there is no header, or its value cannot be read.
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
