"""Reads the tables of the documentation and the markers of the tests, from their sources."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    """A row of a table, and the heading that it stands under."""

    heading: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class MarkedTest:
    """A test as pytest names it, with its markers: ``("threat", ("B6", "F15"))``."""

    name: str
    marks: tuple[tuple[str, tuple[str, ...]], ...]

    def marked(self, mark: str) -> list[tuple[str, ...]]:
        return [arguments for name, arguments in self.marks if name == mark]


def rows_of(page: str) -> Iterator[Row]:
    """The rows of the list-tables in a page, without their heads, white space folded."""
    heading, cells, at_head = "", list[list[str]](), True
    lines = [*page.splitlines(), "", ""]
    for line, following in zip(lines, lines[1:], strict=False):
        begins_row = line.startswith("   * -")
        if cells and (begins_row or not line.startswith("     ")):
            if not at_head:
                yield Row(heading, tuple(" ".join(" ".join(cell).split()) for cell in cells))
            cells, at_head = [], False
        if begins_row or (cells and line.startswith("     -")):
            cells.append([line[6:]])
        elif cells:
            cells[-1].append(line)
        elif line.startswith(".. list-table::"):
            at_head = True
        elif line and following and set(following) == {"-"}:
            heading = line


def read_tests(name: str, source: str) -> Iterator[MarkedTest]:
    """The tests in a file. Markers of the module and of a class are those of their tests."""
    yield from _tests_in(ast.parse(source).body, name, [])


@cache
def all_tests() -> list[MarkedTest]:
    return [
        test
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for test in read_tests(file.relative_to(ROOT).as_posix(), file.read_text())
    ]


def _tests_in(body: list[ast.stmt], name: str, outer: list[ast.expr]) -> Iterator[MarkedTest]:
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            outer = [*outer, node.value]
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests_in(node.body, f"{name}::{node.name}", outer + node.decorator_list)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [mark for each in outer + node.decorator_list for mark in _marks_in(each)]
            yield MarkedTest(f"{name}::{node.name}", tuple(marks))


def _marks_in(expression: ast.expr) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("pytest.mark."):
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            yield ast.unparse(node.func).rpartition(".")[2], tuple(map(str, words))
