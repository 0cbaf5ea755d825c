"""Parses an HTML page into a tree of elements, which can be searched for forms, links and texts."""

from collections.abc import Iterator
from html.parser import HTMLParser

#: Elements that have no end tag.
_VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
    *("track", "wbr"),
}


class Element:
    """An HTML element with its attributes, its child elements and its texts."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def has(self, name: str) -> bool:
        return name in self.attributes

    @property
    def text(self) -> str:
        """Return the text in the element. Each sequence of white space becomes one space."""
        return " ".join("".join(self._texts()).split())

    def all(self, tag: str = "", **attributes: str) -> Iterator["Element"]:
        """Yield the elements inside this element that have this tag and these attributes, in the
        order of the document. Write an underscore for a hyphen in the name of an attribute."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        for child in self.children:
            if isinstance(child, str):
                continue
            fits = not tag or child.tag == tag
            if fits and all(child.attributes.get(name) == wanted[name] for name in wanted):
                yield child
            yield from child.all(tag, **attributes)

    def first(self, tag: str = "", **attributes: str) -> "Element | None":
        return next(self.all(tag, **attributes), None)

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("script", "style"):
                yield from child._texts()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("#document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """Parse the text ``html`` and return the root of the tree of elements."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root
