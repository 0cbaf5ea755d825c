"""The protocol statement answers each sentence of the draft, and names tests that prove it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .reading import ROOT, all_tests, rows_of

PAGE = ROOT / "docs" / "statement.rst"
SENTENCES = ROOT / "reciprocal_oauth" / "conformance" / "draft_sentences.txt"
#: The heading of the table of other specifications.
LEANS_ON = "What the draft leans on"

TESTS = {test.name: test for test in all_tests()}


class Statement(NamedTuple):
    section: str
    sentence: str
    verdict: str
    why: str
    tests: list[str]


class Rule(NamedTuple):
    section: tuple[str, str]
    tests: list[str]


def _names_in(cell: str) -> list[str]:
    return re.findall(r"``(tests/[^`]+)``", cell)


def _statements() -> Iterator[Statement]:
    for row in rows_of(PAGE.read_text()):
        if row.heading != LEANS_ON:
            sentence, verdict, why, tests = row.cells
            assert re.fullmatch("“.*”", sentence), sentence
            yield Statement(row.heading, sentence[1:-1], verdict, why, _names_in(tests))


def _rules() -> Iterator[Rule]:
    for row in rows_of(PAGE.read_text()):
        if row.heading == LEANS_ON:
            where, _rule, tests = row.cells
            number, section = where.removeprefix("RFC ").split(", ")
            yield Rule((number, section), _names_in(tests))


def _sentences() -> Iterator[tuple[str, str]]:
    section = ""
    for line in SENTENCES.read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            yield section, line


STATEMENTS = list(_statements())
RULES = list(_rules())


def test_the_page_answers_the_sentences_of_the_draft_and_no_others() -> None:
    answered = [(each.section, each.sentence) for each in STATEMENTS]

    assert answered == list(_sentences())
    assert len(answered) > 30


def test_a_verdict_is_one_of_three_and_all_but_done_have_a_reason() -> None:
    offenders = [
        each.sentence
        for each in STATEMENTS
        if each.verdict not in {"done", "chosen", "left out"}
        or bool(each.why) != (each.verdict != "done")
    ]

    assert offenders == []


def test_every_sentence_and_every_rule_has_a_test_and_every_test_exists() -> None:
    named = [each.tests for each in STATEMENTS] + [each.tests for each in RULES]

    assert all(named)
    assert [name for names in named for name in names if name not in TESTS] == []


def test_a_test_that_is_named_carries_the_section_that_it_proves() -> None:
    offenders = [
        (each.section, name)
        for each in STATEMENTS
        for name in each.tests
        if name in TESTS and (each.section,) not in TESTS[name].marked("draft")
    ]
    offenders += [
        (each.section, name)
        for each in RULES
        for name in each.tests
        if name in TESTS and each.section not in TESTS[name].marked("rfc")
    ]

    assert offenders == []


def test_a_test_that_carries_a_section_is_named_under_it() -> None:
    named = {(each.section, name) for each in STATEMENTS for name in each.tests}
    offenders = [
        (section, test.name)
        for test in TESTS.values()
        for (section,) in test.marked("draft")
        if (section, test.name) not in named
    ]

    assert offenders == []
