"""The sentences of draft-ietf-oauth-reciprocal-04, each with a key: number of the section, slash,
number of the sentence in the list ``draft_sentences.txt`` under this section."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

DRAFT: Final = "draft-ietf-oauth-reciprocal-04"

#: The headings in the list, and the numbers that the sections have in the published draft.
SECTION_NUMBERS: Final = {
    "Introduction": "1",
    "reciprocal Protocol Flow": "2",
    "Reciprocal Scope Request": "2.1",
    "Reciprocal Authorization Flow": "2.2",
    "User Consent": "2.2.1",
    "Reciprocal Authorization Code": "2.2.2",
    "Authorization Update Flow": "3",
    "IANA Considerations": "4",
}

_EXAMPLE = "An example. The sentences before it are tested."
_REGISTRY = "It registers a name, and asks nothing of a party."
#: Sentences that nothing on the wire shows, and why.
NOT_VISIBLE: Final = {
    "1/1": "It says who may begin. Each role is tested by itself.",
    "2/6": "Who owns two accounts is not visible. A-CB-4 tests what is nearest to it: the visit "
    "ends in the browser that began it.",
    "2.1/4": _EXAMPLE,
    "2.1/5": _EXAMPLE,
    "4/1": _REGISTRY,
    "4/4": _REGISTRY,
}


@dataclass(frozen=True)
class Sentence:
    """One sentence of the draft, as its source has it, errors included."""

    key: str
    section: str
    section_title: str
    text: str


@cache
def all_sentences() -> dict[str, Sentence]:
    """Return the sentences by their keys, in the order of the draft."""
    text = files(__package__).joinpath("draft_sentences.txt").read_text(encoding="utf-8")
    sentences: dict[str, Sentence] = {}
    title = ""
    number = 0
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            title, number = line[1:-1], 0
        elif line and not line.startswith("#"):
            number += 1
            section = SECTION_NUMBERS[title]
            key = f"{section}/{number}"
            sentences[key] = Sentence(key, section, title, line)
    return sentences
