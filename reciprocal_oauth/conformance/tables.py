"""Reads the tables of the configuration. An error says which key is wrong and what was expected."""

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UsageError


def only_known(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse keys that nobody reads.

    :param where: the name of the table, such as ``driver.urls``; empty for the file itself.
    :raises UsageError: the table has another key. The text names the nearest known one.
    """
    names = list(known)
    for name in table:
        if name not in names:
            path = f"{where}.{name}" if where else name
            raise UsageError(f"{path} is not known.{nearest(name, names)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint, with a blank before it: the known name that is nearest to this one, or all of
    them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f" Is {near[0]} meant?" if near else f" Known are {', '.join(names)}."


def text_of(where: str, table: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text of the table.

    :raises UsageError: the value is no text.
    """
    value = table.get(name, default)
    if not isinstance(value, str):
        # Not the value: it may be a password.
        raise UsageError(f"{where}.{name} is a text, not of the type {type(value).__name__}.")
    return value


def flag_of(where: str, table: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a value of the table that is true or false.

    :raises UsageError: the value is something else.
    """
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise UsageError(f"{where}.{name} is true or false, not {value!r}.")
    return value


def number_of(where: str, table: Mapping[str, Any], name: str) -> int:
    """Return a whole number of the table.

    :raises UsageError: the value is none.
    """
    value = table[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{where}.{name} is a number, not {value!r}.")
    return value


def seconds_of(where: str, table: Mapping[str, Any], name: str, default: float) -> float:
    """Return a number of seconds of the table.

    :raises UsageError: the value is no number above 0.
    """
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise UsageError(f"{where}.{name} is a number of seconds above 0, not {value!r}.")
    return float(value)


def table_of(where: str, value: Any) -> Mapping[str, Any]:
    """Return a value that must be a table.

    :raises UsageError: it is none.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is a table: [{where}].")
    return value


def texts_of(where: str, value: Any) -> dict[str, str]:
    """Return a table whose values must be texts.

    :raises UsageError: it is no table, or a value is no text.
    """
    table = table_of(where, value)
    return {name: text_of(where, table, name) for name in table}


def list_of(where: str, value: Any) -> list[str]:
    """Return a list of texts.

    :raises UsageError: it is none.
    """
    if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise UsageError(f"{where} is a list of texts, not {value!r}.")
    return value


def with_environment(where: str, value: Any) -> Any:
    """Return a value of the file with the environment variables that its texts name (``env:NAME``).

    :raises UsageError: a variable is not set.
    """
    if isinstance(value, Mapping):
        path = f"{where}." if where else ""
        return {name: with_environment(f"{path}{name}", each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_environment(where, each) for each in value]
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    variable = value.removeprefix("env:")
    if variable not in os.environ:
        raise UsageError(f"{where} names the environment variable {variable}, which is not set.")
    return os.environ[variable]
