"""Writes a date or a time as text, in the current time zone of Django. Templates convert times by
themselves; ``date_format()`` of Django does not."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


def local_time(value: datetime) -> datetime:
    """Return ``value`` in the current time zone. Without ``USE_TZ``, times are stored in the time
    zone of the setting ``TIME_ZONE``."""
    if timezone.is_naive(value):
        value = timezone.make_aware(value, timezone.get_default_timezone())
    return timezone.localtime(value)


def with_seconds(value: datetime) -> str:
    """Return the date and the time with seconds, such as ``2026-11-30 09:15:02``. The formats of
    Django show only hours and minutes."""
    return f"{local_time(value):%Y-%m-%d %H:%M:%S}"


def in_words(value: datetime, form: str = "DATE_FORMAT") -> str:
    """Return the date, or the date and the time, in the form and language of the reader.

    :param form: a format of Django, such as ``DATETIME_FORMAT``.
    """
    return date_format(local_time(value), form)
