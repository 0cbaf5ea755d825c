"""The tester against a party B on node-oidc-provider, and planted mistakes."""

import pytest

from . import planted
from .conftest import RunAgainst
from .running import NODE_B

pytestmark = pytest.mark.interop


def test_the_role_has_the_expected_verdicts(run_against: RunAgainst) -> None:
    found = run_against(NODE_B)

    assert found.not_passed() == NODE_B.known(), found.text
    assert found.exit_status == 0, found.text


@pytest.mark.parametrize("mistake", planted.NODE_B, ids=str)
def test_a_mistake_is_found(mistake: planted.Mistake, run_against: RunAgainst) -> None:
    found = run_against(NODE_B, *mistake.checks, mistakes=[mistake.name])

    assert found.missed(mistake.checks) == {}, found.text


def test_differences_are_allowed(run_against: RunAgainst) -> None:
    found = run_against(NODE_B, differences=[each.name for each in planted.DIFFERENCES_OF_B])

    assert found.not_passed() == NODE_B.known(), found.text
