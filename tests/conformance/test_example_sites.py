"""The example sites pass the conformance tester.

``python -m tests.conformance.example_sites`` runs all checks. Here are the controls, and some of
the others that go through many pages of the sites.
"""

import pytest

from reciprocal_oauth.conformance.exit_status import read_expected
from reciprocal_oauth.conformance.registry import CHECKS

from .example_sites.run import ROLES, Ended, expected_file, faults, run, untested

CHOSEN = {
    "a": ("A-CODE-1", "A-CODE-12", "A-E-1", "A-E-3", "A-E-9", "A-CB-5", "A-CON-2", "A-SCOPE-1"),
    "b": ("B-OK", "B-RED-1", "B-RED-2", "B-RED-5", "B-TOK-1", "B-REP-3", "B-USE-3", "B-END"),
}


@pytest.mark.two_process
@pytest.mark.parametrize("role", ROLES)
def test_an_example_site_passes(role: str) -> None:
    lines: list[str] = []

    ended = run(role, CHOSEN[role], is_quick=True, write=lines.append)

    assert ended.status == 0, "".join(lines)
    assert set(ended.verdicts.values()) == {"pass"}, "".join(lines)
    assert faults(role, ended) == []


@pytest.mark.parametrize("role", ROLES)
def test_verdicts_are_known_of_checks_that_exist(role: str) -> None:
    expected = read_expected(expected_file(role))

    assert {CHECKS[check_id].role for check_id in expected} <= {role}
    assert "pass" not in {each.verdict for each in expected.values()}


def test_what_is_not_tested_is_said_unless_it_is_slow_or_known() -> None:
    verdicts = {"B-OK-1": "pass", "B-TOK-4": "not tested", "B-TOK-6": "not tested"}

    assert untested("b", Ended(0, verdicts)) == []
    assert untested("b", Ended(0, {**verdicts, "B-TOK-5": "not tested"})) == ["B-TOK-5"]
    assert untested("a", Ended(0, {"A-CODE-6": "not tested"})) == []


def test_an_exception_of_the_site_is_a_fault() -> None:
    log = "INFO GET /\nTraceback (most recent call last)\n  File …\nKeyError: 'x'"

    (sentence,) = faults("a", Ended(0, {}, log))

    assert "KeyError: 'x'" in sentence
