"""Decides whether the value of a setting has the right type and, if it is a number, is not too
small.

:mod:`reciprocal_oauth.conf` declares the type of each setting as an annotation, and the smallest
number as ``minimum``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin, get_type_hints

from django.utils.functional import Promise

from ..conf import Settings


def expected_of(name: str, value: Any) -> str | None:
    """Return ``None`` if ``value`` is a valid value of the setting ``name``. Otherwise return a
    description of the valid values, such as "a text"."""
    wanted, may_be_zero = get_type_hints(Settings)[name], getattr(Settings, name).minimum == 0
    least = "0 or more" if may_be_zero else "above 0"
    if wanted is bool:
        return None if isinstance(value, bool) else "True or False"
    if wanted is str:
        return None if isinstance(value, str) else "a text"
    if wanted is int:
        fits = isinstance(value, int) and _is_number(value, may_be_zero)
        return None if fits else f"a whole number, {least}"
    if wanted is float:
        return None if _is_number(value, may_be_zero) else f"a number, {least}"
    if get_origin(wanted) is Mapping and get_origin(get_args(wanted)[1]) is Mapping:
        fits = isinstance(value, Mapping) and all(
            isinstance(name, str) and _is_dict_of_texts(each) for name, each in value.items()
        )
        return None if fits else "a dict of dicts of texts"
    if get_origin(wanted) is Mapping:
        return None if _is_dict_of_texts(value) else "a dict of texts"
    return _expected_list(get_args(wanted)[0], value)


def _is_dict_of_texts(value: Any) -> bool:
    # A Promise is a lazily translated text.
    return isinstance(value, Mapping) and all(
        isinstance(each, str | Promise) for item in value.items() for each in item
    )


def _expected_list(wanted: type, value: Any) -> str | None:
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if wanted is str:
        fits = is_list and all(isinstance(each, str) for each in value)
        return None if fits else "a list of texts"
    fits = is_list and len(value) > 0 and all(_is_number(each, True) for each in value)
    return None if fits else "a list of one number or more, each 0 or more"


def _is_number(value: Any, may_be_zero: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return value > 0 or (may_be_zero and value == 0)
