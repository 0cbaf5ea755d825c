"""Changes of the small parties, and what the tester must say about each.

A :class:`Mutant` has a mistake, which the checks that it names must find. An :class:`Allowed`
differs in what the draft and the RFCs leave open, so no check may find a fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
#: The files of each party. The first one is started.
FILES: Final = {
    "a": ("small_a.py", "small_pages.py", "small_tokens.py", "small_http.py"),
    "b": ("small_b.py", "small_tokens.py", "small_http.py"),
}


class BadChange(Exception):
    """A text to replace does not occur exactly once in the files of the party."""


@dataclass(frozen=True)
class Change:
    """Replaces a text, which occurs once in the files of the party."""

    old: str
    new: str


@dataclass(frozen=True)
class Variant:
    """A changed party.

    :ivar why: what it does, in a sentence.
    :ivar settings: values that its configuration gets.
    :ivar waits: waits of the tester that differ, in seconds.
    :ivar is_slow: the tester waits for the lives of codes and tokens.
    :ivar has_tls: the tester is reached by https.
    """

    name: str
    why: str
    changes: tuple[Change, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    is_slow: bool = False
    has_tls: bool = False


@dataclass(frozen=True)
class Mutant(Variant):
    """:ivar caught_by: the IDs of the checks that must find a fault."""

    caught_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allowed(Variant):
    """:ivar warns: the IDs of the checks that may warn."""

    warns: tuple[str, ...] = ()


def mutant(name: str, caught_by: str, why: str, *changes: Change, **more: Any) -> Mutant:
    """Return a mutant. ``caught_by`` has IDs with blanks between them."""
    return Mutant(name, why, changes, caught_by=tuple(caught_by.split()), **more)


def allowed(name: str, why: str, *changes: Change, warns: str = "", **more: Any) -> Allowed:
    """Return an allowed difference. ``warns`` has IDs with blanks between them."""
    return Allowed(name, why, changes, warns=tuple(warns.split()), **more)


def changed_files(role: str, changes: tuple[Change, ...]) -> dict[str, str]:
    """Return the files of a party by their names, with the changes.

    :raises BadChange: a text does not occur exactly once.
    """
    sources = {name: (HERE / name).read_text(encoding="utf-8") for name in FILES[role]}
    for change in changes:
        found = [name for name, text in sources.items() for _ in range(text.count(change.old))]
        if len(found) != 1:
            raise BadChange(f"found {len(found)} times: {change.old!r}")
        sources[found[0]] = sources[found[0]].replace(change.old, change.new)
    return sources
