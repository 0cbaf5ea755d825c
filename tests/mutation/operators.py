"""Mutations beside those of Cosmic Ray: drop a call, drop a ``raise``."""

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[tuple[int, int], tuple[int, int]]


class DropCall(Operator):
    """A statement that only calls a function does nothing."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if _is_call(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return _nothing(node)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("f(x)\n", "None\n"),)


class DropRaise(Operator):
    """An error is not raised."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "raise_stmt" or (node.type == "keyword" and _is_bare_raise(node)):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return _nothing(node)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("raise X\n", "None\n"),)


class Provider:
    """What Cosmic Ray asks for the operators that are not its own."""

    _operators = {each.__name__: each for each in (DropCall, DropRaise)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __getitem__(self, name: str) -> type[Operator]:
        return self._operators[name]


def _is_call(node: Any) -> bool:
    if node.type != "atom_expr" and node.type != "power":
        return False
    if node.parent is None or node.parent.type != "simple_stmt":
        return False
    last = node.children[-1]
    return bool(last.type == "trailer" and last.children[0].value == "(")


def _is_bare_raise(node: Any) -> bool:
    return bool(node.value == "raise" and node.parent.type == "simple_stmt")


def _nothing(node: Any) -> Any:
    return _parsed("None", node)


def _parsed(code: str, node: Any) -> Any:
    """``code`` as a node that stands in the place of ``node``."""
    new = parso.parse(code).children[0]
    new.parent = node.parent
    new.get_first_leaf().prefix = node.get_first_leaf().prefix
    return new
