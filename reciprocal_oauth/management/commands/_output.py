"""The output of the management commands: a table with aligned columns for people, or one JSON
document for programs."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from reciprocal_oauth.core.local_time import with_seconds


def as_json(value: Any) -> str:
    """Return ``value`` as a JSON document. The document contains only ASCII characters, so no text
    from a peer can contain characters that control the terminal."""
    return json.dumps(value, indent=2, default=_as_text)


def fields_of(row: Any, names: str) -> dict[str, Any]:
    """Return some attributes of ``row`` as a dictionary, for a JSON document.

    :param names: the names of the attributes, separated by spaces.
    """
    return {name: getattr(row, name) for name in names.split()}


def _as_text(value: Any) -> str:
    """Return a value as text if JSON has no type for it. The text of a ``datetime`` is in the
    format ISO 8601, and in UTC if the ``datetime`` has a time zone."""
    if not isinstance(value, datetime):
        return str(value)
    return (value.astimezone(UTC) if timezone.is_aware(value) else value).isoformat()


def for_people(time: datetime) -> str:
    """Return ``time`` as text with date, hours, minutes and seconds, in the current time zone of
    Django. Tables for people use this text."""
    return with_seconds(time)


def printable(text: object) -> str:
    """Return ``text`` with “�” instead of each character that is not printable, such as a line
    break. Otherwise a text from a peer could control the terminal."""
    return "".join(each if each.isprintable() else "�" for each in str(text))


def shortened(text: str, length: int = 40) -> str:
    """Return ``text``, cut to at most ``length`` characters, so that one long value does not make a
    column of a table too wide. JSON documents contain the whole value."""
    return text if len(text) <= length else text[: length - 1] + "…"


def table(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Return the rows as text: one line for each row, with aligned columns."""
    lines = [[printable(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join((indent + "  ".join(map(str.ljust, line, widths))).rstrip() for line in lines)
