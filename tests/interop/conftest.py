"""Our site and one foreign site of each kind; both are started once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .foreign import ForeignSite, Kind, OurSite, linked_up

Sites = tuple[OurSite, ForeignSite]


@pytest.fixture(scope="module")
def _running() -> Iterator[tuple[ExitStack, dict[Kind, Sites]]]:
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def start_with(
    _running: tuple[ExitStack, dict[Kind, Sites]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Kind], Sites]:
    """Return a function that starts our site and a foreign site of a kind, with nobody connected.

    It skips the test if a site of that kind cannot run here.
    """
    stack, running = _running

    def start(kind: Kind) -> Sites:
        kind.skip_unless_possible()
        if kind in running:
            ours, foreign = running[kind]
            ours.forget()
            foreign.forget()
        else:
            data = tmp_path_factory.mktemp("interop")
            running[kind] = stack.enter_context(linked_up(kind, data))
        return running[kind]

    return start
