"""Shows a time to people in one form on all pages: date, time of day and the name of the time zone.

The page names the current time zone of Django, so it is right without a script. The script
``live.js`` then shows the same time in the time zone of the reader.
"""

from datetime import datetime

from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..core.local_time import local_time


def moment(value: datetime) -> SafeString:
    """Return ``value`` to the minute, as an HTML element ``time``."""
    local = local_time(value)
    return _element(local, date_format(local, "DATETIME_FORMAT"), "minute")


def exact_moment(value: datetime) -> SafeString:
    """Return ``value`` to the millisecond, as an HTML element ``time``. Several steps of the
    protocol can happen within one second."""
    local = local_time(value)
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    return _element(local, f"{date_format(local, 'DATE_FORMAT')}, {clock}", "millisecond")


def _element(local: datetime, text: str, precision: str) -> SafeString:
    return format_html(
        '<time class="ro-time" datetime="{}" data-precision="{}" dir="auto">{} {}</time>',
        local.isoformat(timespec="milliseconds"),
        precision,
        text,
        _zone_name(local),
    )


def _zone_name(local: datetime) -> str:
    """Return the name of the time zone. Where a zone has only a number, such as ``+0530``, say that
    it is the difference to UTC."""
    name = local.tzname() or ""
    if not name.startswith(("+", "-")):
        return name
    return f"UTC{name[:3]}:{name[3:]}" if len(name) > 3 else f"UTC{name}"
