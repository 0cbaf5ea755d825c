"""Reads a JSON object from the body of a request of a vendor.

Python's parser accepts more than RFC 8259: it keeps the last of several members with the same name
(section 4), and accepts ``NaN``. Two parsers in a chain could then read different values, so this
module refuses such a body.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from ..core import protocol
from ..exceptions import HandoverRefused
from ..secret import Secret
from .form import UNREADABLE

#: How deep objects and arrays can be nested. The messages of the vendors need fewer than six.
MAX_DEPTH = 20


def peek(request: HttpRequest) -> Mapping[str, Any]:
    """Return the members of the JSON object in the body. The result is empty if the body is
    anything else. The body stays readable. Raise no exception."""
    try:
        return _members(request.body)
    except (HandoverRefused, *UNREADABLE):
        return {}


def read(request: HttpRequest) -> Mapping[str, Any]:
    """Return the members of the JSON object in the body.

    :raises HandoverRefused: the body is too long, or is not a JSON object in UTF-8 whose members
        all have different names.
    """
    try:
        body = request.body
    except UNREADABLE:
        raise malformed("the body is too long or cannot be read") from None
    if len(body) > protocol.MAX_BODY_LENGTH:
        raise malformed("the body is too long")
    return _members(body)


def mapping(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the member ``name``, which must be a JSON object.

    :raises HandoverRefused: the member is missing or is something else.
    """
    value = members.get(name)
    if not isinstance(value, dict):
        raise malformed(f"{name} is not an object")
    return value


def text(members: Mapping[str, Any], name: str, limit: int = protocol.MAX_TOKEN_LENGTH) -> str:
    """Return the member ``name``, which must be a text of printable ASCII characters without
    spaces (RFC 6749, appendix A; RFC 6750, section 2.1).

    :param limit: the largest number of characters.
    :raises HandoverRefused: the member is missing, empty, too long or something else.
    """
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise malformed(f"{name} is not a text of 1 to {limit} characters")
    if not all(0x21 <= ord(character) <= 0x7E for character in value):
        raise malformed(f"{name} contains a character that it cannot have")
    return value


def secret(members: Mapping[str, Any], name: str, limit: int = protocol.MAX_TOKEN_LENGTH) -> Secret:
    """Return the member ``name`` as :func:`text` does, but hidden in logs.

    :raises HandoverRefused: see :func:`text`.
    """
    return Secret(text(members, name, limit))


def malformed(why: str) -> HandoverRefused:
    """Return the refusal of a request whose form is wrong.

    :param why: the reason, for the log. It must contain no value of the request.
    """
    return HandoverRefused(protocol.INVALID_REQUEST, why)


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise malformed("the body is not JSON") from None
    if not isinstance(value, dict):
        raise malformed("the body is not a JSON object")
    if _depth(value) > MAX_DEPTH:
        raise malformed("the body is nested too deeply")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise malformed("a member is repeated")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON (RFC 8259, section 6).


def _depth(value: Any) -> int:
    """Return how deep ``value`` is nested. Use no recursion, which a deep value could exhaust."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [
            below
            for each in inner
            for below in (each.values() if isinstance(each, dict) else each)
            if isinstance(below, dict | list)
        ]
    return depth
