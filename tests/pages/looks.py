"""The names of the pages, and helpers that read their HTML."""

import re
from html.parser import HTMLParser
from typing import Any

#: Answers with a body, and those that lead on.
HTML_PAGES = [
    "list",
    "failed attempt",
    "link",
    "consent",
    "consent with an error",
    "disconnect",
    "callback refused",
    "callback of nobody",
]
PAGES = [*HTML_PAGES, "consent given", "disconnected", "connect", "callback", "list of nobody"]


def heard(response: Any, *tags: str) -> list[str]:
    """Return all text in each element with one of these ``tags``, hidden or not."""
    page = response.content.decode()
    found = re.findall(rf"<({'|'.join(tags)})\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    return [" ".join(re.sub("<[^>]+>", "", text).split()) for _tag, text in found]


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of this name."""
        return [attributes for tag, attributes in self.found if tag == name]
