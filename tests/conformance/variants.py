"""All variants of the small parties."""

from typing import Final

from . import allowed_a, allowed_b, mutants_a, mutants_b
from .mutation import Allowed, Mutant, Variant

MUTANTS: Final[dict[str, tuple[Mutant, ...]]] = {"b": mutants_b.MUTANTS, "a": mutants_a.MUTANTS}
ALLOWED: Final[dict[str, tuple[Allowed, ...]]] = {"b": allowed_b.ALLOWED, "a": allowed_a.ALLOWED}


def all_of(role: str) -> list[Variant]:
    """Return the variants of a role. Those that take the longest come first."""
    return [*ALLOWED[role], *MUTANTS[role]]


def named(role: str, name: str) -> Variant:
    """Return a variant by its name.

    :raises KeyError: there is none.
    """
    return {each.name: each for each in all_of(role)}[name]
