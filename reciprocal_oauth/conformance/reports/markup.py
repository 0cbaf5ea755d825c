"""Makes HTML in which every text is escaped."""

import html
from collections.abc import Iterable

from .characters import visible


class Markup(str):
    """HTML. Every other text is escaped where it becomes part of it."""

    __slots__ = ()


_EMPTY = ("meta", "br", "hr")


def tag(name: str, /, *children: str, **attributes: str | bool) -> Markup:
    """Return an element.

    :param children: texts, which are escaped, and :class:`Markup`.
    :param attributes: without underscores at the end (``class_``), and with hyphens in place of
        other underscores. ``True`` is an attribute without a value; ``False`` and an empty text
        leave it out.
    """
    start = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{start}>")
    return Markup(f"<{name}{start}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    """Return the children behind each other. Texts are escaped."""
    return Markup("".join(map(_escaped, children)))


def _attribute(name: str, value: str | bool) -> str:
    if value is False or value == "":
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(visible(value))}"'


def _escaped(child: str) -> str:
    return child if isinstance(child, Markup) else html.escape(visible(child), quote=False)
