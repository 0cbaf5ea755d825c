"""The page about troubleshooting names all that can be wrong, and quotes what the code says."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.db.models.enums import ChoicesType

from reciprocal_oauth.checks import Id
from reciprocal_oauth.models import AuthorizationRequest
from reciprocal_oauth.party_a.attempts import FAILED
from reciprocal_oauth.peers.findings import Check

from .reading import ROOT, rows_of

PAGE = (ROOT / "docs" / "troubleshooting.rst").read_text()
_LITERAL = re.compile(r"``([^`]+)``")
#: The parts of a message that the code fills in.
_FILLED = re.compile(r"%\(\w+\)[sd]|%[sd]|%\.0f|\{\{.*?\}\}")


def _literals(heading: str, column: int) -> list[str]:
    return [
        literal
        for row in rows_of(PAGE)
        if row.heading == heading
        for literal in _LITERAL.findall(row.cells[column])
    ]


def _values(choices: ChoicesType) -> set[str]:
    return {value for value in choices.values if value}


def test_it_names_every_problem_of_an_attempt_to_connect() -> None:
    named = _literals("A person cannot connect", 1)

    assert _values(AuthorizationRequest.Problem) | set(FAILED) == set(named) & set(FAILED)


def test_it_names_every_check_of_the_connection() -> None:
    rows = [row for row in rows_of(PAGE) if row.heading == "The test of the connection fails"]

    assert {row.cells[0] for row in rows} == {f"{each.label}: ``{each.value}``" for each in Check}


def test_it_names_every_system_check_that_is_an_error() -> None:
    errors = {each.partition(".")[2] for each in Id if ".E" in each}

    assert set(_literals("The site does not start", 0)) == errors


# Messages


@cache
def _said() -> str:
    """Everything that the code and the templates of this app and its libraries can say."""
    texts = []
    for name in ("reciprocal_oauth", "oauthlib", "oauth2_provider"):
        folder = Path(str(find_spec(name).origin)).parent  # type: ignore[union-attr]
        for file in folder.rglob("*.py"):
            texts += _constants(file.read_text())
        texts += [file.read_text() for file in folder.rglob("*.html")]
    return "\n".join(" ".join(_FILLED.sub("…", text).split()) for text in texts)


def _constants(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _messages() -> Iterator[str]:
    """The literals that have a space: names of settings, commands and values have none."""
    commands = ("reciprocal_", "python ", "SESSION_")
    for row in rows_of(PAGE):
        for cell in row.cells:
            for literal in _LITERAL.findall(cell):
                if " " in literal and not literal.startswith(commands):
                    yield " ".join(literal.split())


def test_the_messages_that_it_quotes_are_said() -> None:
    fragments = {
        (message, part.strip(" “”"))
        for message in _messages()
        for part in message.split("…")
        if part.strip(" “”.")
    }

    assert len(fragments) > 80
    assert sorted({message for message, part in fragments if part not in _said()}) == []
