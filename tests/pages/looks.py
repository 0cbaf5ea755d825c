"""The names of the pages, and helpers that read their HTML."""

import re
from html import unescape
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


def only_our_script(tags: Tags) -> bool:
    """Return whether a page has no script but the one of this app, which is a file."""
    own = {"src": "/static/reciprocal_oauth/live.js", "defer": None}
    return all(script == own for script in tags.named("script"))


def text_for_people(response: Any) -> str:
    """Return all that a person reads or hears on a page, without what is folded away."""
    page = re.sub(r"<details\b.*?</details>", " ", response.content.decode(), flags=re.DOTALL)
    page = re.sub(r"<(head|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    said = re.findall(r'(?:title|aria-label|data-said)="([^"]*)"', page)
    return unescape(" ".join([re.sub("<[^>]+>", " ", page), *said]))
