"""The shape of the document, to find out whether a file holds one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..exit_status import Exit
from ..verdicts import Severity, Verdict


@dataclass(frozen=True)
class OneOf:
    """One of these values."""

    values: Sequence[object]


@dataclass(frozen=True)
class OrNull:
    """A value of this shape, or null."""

    shape: Any


class Time:
    """A time in the format ISO 8601, with a time zone."""


class Pair:
    """A list of two texts."""


#: Larger numbers are no seconds, and no counts.
_LARGEST: Final = 1e9

#: A shape is a type of Python, one of the classes above, an object with members, or a list with
#: the shape of its items. ``float`` takes whole numbers too.
_VERDICT: Final = OneOf([str(each) for each in Verdict])
_HEADERS: Final = [Pair]
EXCHANGE: Final = {
    "direction": OneOf(["sent", "received"]),
    "at": float,
    "method": str,
    "url": str,
    "request_headers": _HEADERS,
    "request_body": str,
    "status": OrNull(int),
    "reason": str,
    "response_headers": _HEADERS,
    "response_body": str,
    "seconds": float,
    "error": str,
    "note": str,
}
CHECK: Final = {
    "id": str,
    "role": OneOf(["a", "b"]),
    "title": str,
    "severity": OneOf([str(each) for each in Severity]),
    "sections": [str],
    "sentences": [str],
    "rfcs": [str],
    "threats": [str],
    "control": bool,
    "does": str,
    "expects": str,
    "verdict": _VERDICT,
    "expected": str,
    "observed": str,
    "notes": [str],
    "seconds": float,
    "expectation": OrNull({"verdict": _VERDICT, "why": str}),
    "unexpected": bool,
    "evidence": [EXCHANGE],
}
SENTENCE: Final = {
    "key": str,
    "section": str,
    "section_title": str,
    "text": str,
    "verdict": OrNull(_VERDICT),
    "why": str,
    "checks": [str],
}
THREAT: Final = {"id": str, "text": str, "verdict": _VERDICT, "why": str, "checks": [str]}
DOCUMENT: Final = {
    "schema": str,
    "tool": {"name": str, "version": str},
    "draft": str,
    "role": OneOf(["a", "b"]),
    "dialect": str,
    "config": dict,
    "started": Time,
    "seconds": float,
    "exit": OneOf([int(each) for each in Exit]),
    "exit_reason": str,
    "strict": bool,
    "interrupted": bool,
    "counts": {str(each): int for each in Verdict},
    "notes": [str],
    "checks": [CHECK],
    "sentences": [SENTENCE],
    "threats": [THREAT],
}


def fault_in(value: Any, shape: Any, where: str = "") -> str:
    """Return what is wrong with a value that JSON gave, or an empty text.

    :param where: where the value is: ``checks[3].verdict``.
    """
    if isinstance(shape, OrNull):
        return "" if value is None else fault_in(value, shape.shape, where)
    if isinstance(shape, OneOf):
        is_right = any(value == each and type(value) is type(each) for each in shape.values)
        return "" if is_right else f"{where} has a value that is not known"
    if isinstance(shape, Mapping):
        return _fault_in_object(value, shape, where)
    if isinstance(shape, list):
        return _fault_in_list(value, shape[0], where)
    return "" if _is(value, shape) else f"{where} is {_name(value)}"


def _fault_in_object(value: Any, shape: Mapping[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return f"{where} is {_name(value)}"
    for name, expected in shape.items():
        path = f"{where}.{name}".lstrip(".")
        fault = fault_in(value[name], expected, path) if name in value else f"{path} is missing"
        if fault:
            return fault
    return ""


def _fault_in_list(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, list):
        return f"{where} is {_name(value)}"
    faults = (fault_in(each, shape, f"{where}[{index}]") for index, each in enumerate(value))
    return next(filter(None, faults), "")


def _is(value: Any, kind: type) -> bool:
    if kind is Time:
        return isinstance(value, str) and _is_time(value)
    if kind is Pair:
        return _is(value, list) and len(value) == 2 and all(_is(each, str) for each in value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind in (int, float):
        is_number = isinstance(value, (int, float) if kind is float else int)
        return is_number and -_LARGEST < value < _LARGEST
    return isinstance(value, kind)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _name(value: Any) -> str:
    names = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return f"{names.get(type(value), 'null')} that does not belong there"
