"""The code blocks of a page of the documentation."""

import re
import textwrap
from dataclasses import dataclass

from ..reading import ROOT

_BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n((?:\1 +:\w+:.*\n)*)\n((?:\1 +.*\n|\n)+)", re.M)


@dataclass(frozen=True)
class Block:
    """One code block.

    :ivar kind: ``python``, ``console`` or ``text``.
    :ivar caption: the file that the code belongs to, or the folder in which the commands run.
    """

    kind: str
    caption: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, each on one line."""
        joined = self.text.replace("\\\n", " ")
        return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


def blocks_of(name: str) -> list[Block]:
    """The code blocks of ``docs/NAME.rst``, in their order."""
    page = (ROOT / "docs" / f"{name}.rst").read_text()
    return [
        Block(kind, _caption(options), textwrap.dedent(text).strip("\n") + "\n")
        for _indent, kind, options, text in _BLOCK.findall(page)
    ]


def _caption(options: str) -> str:
    found = re.search(r":caption: (.*)", options)
    return found.group(1).strip() if found else ""
