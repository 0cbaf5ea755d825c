"""The output of the commands: aligned columns for people, one JSON document for programs."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone


def as_json(value: Any) -> str:
    """``value`` as a JSON document. ASCII only, so that no name can change the terminal."""
    return json.dumps(value, indent=2, default=_as_text)


def fields_of(row: Any, names: str) -> dict[str, Any]:
    """The attributes of ``row`` that ``names`` lists, separated by spaces, for a JSON document."""
    return {name: getattr(row, name) for name in names.split()}


def _as_text(value: Any) -> str:
    """A value that JSON has no type for. Times are in ISO 8601, in UTC where they are aware."""
    if not isinstance(value, datetime):
        return str(value)
    return (value.astimezone(UTC) if timezone.is_aware(value) else value).isoformat()


def for_people(time: datetime) -> str:
    """Date and time to the second, in the site's time zone."""
    local = timezone.localtime(time) if timezone.is_aware(time) else time
    return f"{local:%Y-%m-%d %H:%M:%S}"


def printable(text: object) -> str:
    """``text`` without line breaks and control characters. Texts from a peer, such as the names of
    accounts, must not be able to control the terminal."""
    return "".join(each if each.isprintable() else "�" for each in str(text))


def shortened(text: str, length: int = 40) -> str:
    """``text``, cut to ``length`` so that one long value does not push the columns off the screen.
    Only for people, not for JSON."""
    return text if len(text) <= length else text[: length - 1] + "…"


def table(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """The rows as aligned columns, one row on each line."""
    lines = [[printable(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join((indent + "  ".join(map(str.ljust, line, widths))).rstrip() for line in lines)
