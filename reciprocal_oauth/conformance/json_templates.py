"""JSON with placeholders: ``{"grant": {"code": "{code}"}}``. Dialects need it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
#: Stands for what is left out.
_NOTHING: Final = object()


def placeholders(template: str) -> frozenset[str]:
    """Return the names of the placeholders in a template.

    :raises ValueError: the template is no JSON.
    """
    texts = strings(json.loads(template))
    return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def filled(template: str, values: Mapping[str, object]) -> Any:
    """Return the JSON value of a template with values in the place of its placeholders.

    A text that is nothing but a placeholder becomes the value, also if that is a number. What has a
    placeholder without a value, or with ``None``, is left out.
    """
    value = _filled(json.loads(template), values)
    return None if value is _NOTHING else value


def _filled(node: Any, values: Mapping[str, object]) -> Any:
    if isinstance(node, dict):
        members = {name: _filled(each, values) for name, each in node.items()}
        return {name: each for name, each in members.items() if each is not _NOTHING}
    if isinstance(node, list):
        return [each for each in (_filled(item, values) for item in node) if each is not _NOTHING]
    if not isinstance(node, str):
        return node
    if any(values.get(name) is None for name in _PLACEHOLDER.findall(node)):
        return _NOTHING
    if whole := _PLACEHOLDER.fullmatch(node):
        return values[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), node)


def strings(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, but not the names of members."""
    for node in _nodes(value):
        if isinstance(node, str):
            yield node


def object_with(value: Any, text: str) -> dict[str, Any] | None:
    """Return the JSON object that has a member with this text, or ``None``."""
    return next(
        (node for node in _nodes(value) if isinstance(node, dict) and text in node.values()), None
    )


def _nodes(value: Any) -> Iterator[Any]:
    # A loop, as what the subject sends can be nested deeply.
    left = [value]
    while left:
        node = left.pop(0)
        yield node
        if isinstance(node, dict):
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
