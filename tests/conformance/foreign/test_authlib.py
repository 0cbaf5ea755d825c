"""The tester against parties on Authlib: what the library does, and planted mistakes."""

import pytest

from . import planted
from .conftest import RunAgainst
from .running import AUTHLIB_A, AUTHLIB_B, Subject

pytestmark = pytest.mark.interop

MISTAKES = [
    *(pytest.param(AUTHLIB_B, each, id=f"b-{each}") for each in planted.AUTHLIB_B),
    *(pytest.param(AUTHLIB_A, each, id=f"a-{each}") for each in planted.AUTHLIB_A),
]
DIFFERENCES = [
    (AUTHLIB_B, planted.DIFFERENCES_OF_AUTHLIB_B),
    (AUTHLIB_A, planted.DIFFERENCES_OF_AUTHLIB_A),
]
#: All that the sites can do beyond the library.
PUT_RIGHT = ("parameters", "one_way", "one_answer", "encoding", "header", "scope")


@pytest.mark.parametrize("subject", [AUTHLIB_B, AUTHLIB_A], ids=["b", "a"])
def test_the_role_has_the_expected_verdicts(subject: Subject, run_against: RunAgainst) -> None:
    found = run_against(subject)

    assert found.not_passed() == subject.known(), found.text
    assert found.exit_status == 0, found.text


@pytest.mark.parametrize(("subject", "mistake"), MISTAKES)
def test_a_mistake_is_found(
    subject: Subject, mistake: planted.Mistake, run_against: RunAgainst
) -> None:
    found = run_against(subject, *mistake.checks, mistakes=[mistake.name])

    assert found.missed(mistake.checks) == {}, found.text


@pytest.mark.parametrize("subject", [AUTHLIB_B, AUTHLIB_A], ids=["b", "a"])
def test_what_the_library_lets_pass_can_be_put_right(
    subject: Subject, run_against: RunAgainst
) -> None:
    wrong = list(subject.known())

    found = run_against(subject, *wrong, put_right=PUT_RIGHT)

    assert found.not_passed() == {}, found.text


@pytest.mark.parametrize(("subject", "differences"), DIFFERENCES, ids=["b", "a"])
def test_differences_are_allowed(
    subject: Subject, differences: tuple[planted.Difference, ...], run_against: RunAgainst
) -> None:
    names = [each.name for each in differences]

    found = run_against(subject, put_right=PUT_RIGHT, differences=names)

    assert found.not_passed() == {}, found.text
