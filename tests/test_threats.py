"""The threat catalogue and the markers of the tests are about the same threats."""

import re

from .reading import ROOT, all_tests, rows_of

PAGE = ROOT / "docs" / "threats.rst"
#: The group of what other software does: reasons for threats, some of them without a test.
FACTS = "F"

CATALOGUE = [row.cells[0] for row in rows_of(PAGE.read_text())]
CARRIED = {
    threat: test.name
    for test in all_tests()
    for threats in test.marked("threat")
    for threat in threats
}


def test_every_threat_has_one_line_with_an_attack_and_what_happens() -> None:
    rows = list(rows_of(PAGE.read_text()))

    assert [row for row in rows if len(row.cells) != 3 or not all(row.cells)] == []
    assert [each for each in CATALOGUE if not re.fullmatch(r"[A-Z]{1,2}[1-9]\d{0,2}", each)] == []
    assert len(CATALOGUE) == len(set(CATALOGUE)) > 100


def test_a_threat_that_a_test_carries_is_in_the_catalogue() -> None:
    assert {name for threat, name in CARRIED.items() if threat not in CATALOGUE} == set()


def test_a_threat_in_the_catalogue_is_carried_by_a_test() -> None:
    wanted = [threat for threat in CATALOGUE if not re.match(FACTS + r"\d", threat)]

    assert [threat for threat in wanted if threat not in CARRIED] == []
