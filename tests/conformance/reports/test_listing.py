"""The commands ``list`` and ``explain``."""

import json

import pytest

from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.listing import explain, list_checks, section_of_rfc
from reciprocal_oauth.conformance.registry import CHECKS
from reciprocal_oauth.conformance.sentences import NOT_VISIBLE, all_sentences

from .sample import make_check


def test_all_checks_are_listed() -> None:
    said = list_checks()
    assert "Party B: 9 checks" in said
    assert "Party A: 1 check\n" in said


def test_the_checks_of_one_party_are_listed() -> None:
    said = list_checks("b")
    assert "B-TOK-1" in said
    assert "A-E-1" not in said


def test_controls_and_slow_checks_are_marked() -> None:
    rows = {row.split()[0]: row.split() for row in list_checks("b").splitlines()[1:10]}
    assert rows["B-OK-1"][2] == "control"
    assert rows["B-TOK-4"][2] == "slow"
    assert rows["B-TOK-1"][2] == "The"


def test_the_list_as_json_says_what_each_check_needs() -> None:
    checks = json.loads(list_checks("b", as_json=True))["checks"]
    assert [each["needs"] for each in checks if each["id"] == "B-TOK-1"] == [["2c"]]


def test_sentences_are_listed_with_their_checks() -> None:
    said = list_checks("b", by_sentences=True)
    assert '  2.2.2/12  "Party B then plays' in said
    assert "\n            B-TIME-1\n" in said


def test_sentences_that_are_not_visible_say_why() -> None:
    assert f"Not visible: {NOT_VISIBLE['1/1']}" in list_checks("b", by_sentences=True)


def test_sentences_of_the_other_party_are_left_out() -> None:
    listed = json.loads(list_checks("a", by_sentences=True, as_json=True))["sentences"]
    assert {each["key"] for each in listed} == {"2.2.2/3", *NOT_VISIBLE}


def test_all_sentences_are_listed_if_no_party_is_named() -> None:
    listed = json.loads(list_checks(by_sentences=True, as_json=True))["sentences"]
    assert [each["key"] for each in listed] == list(all_sentences())
    assert "No check tests it." in list_checks(by_sentences=True)


def test_no_line_is_wider_than_100_columns() -> None:
    lines = [*list_checks().splitlines(), *list_checks(by_sentences=True).splitlines()]
    assert max(map(len, [*lines, *explain("b").splitlines()])) <= 100


@pytest.mark.parametrize("name", ["B-TOK-1", "b-tok-1"])
def test_a_check_is_explained(name: str) -> None:
    said = explain(name)
    assert said.startswith("B-TOK-1  The access token of another client is refused.")
    assert said.count("Severity") == 1
    assert "Needs     a second client of the tester" in said
    assert "Threat    B6: A client sends the access token of another client." in said


def test_what_only_a_dialect_lacks_is_nothing_to_configure() -> None:
    CHECKS["B-NEW-1"] = make_check("B-NEW-1", needs=("form", "2u"))
    needs, dialect = explain("B-NEW-1").splitlines()[-2:]
    assert needs.startswith("  Needs     a second user")
    assert dialect == (
        "  Dialect   Not tested in a dialect without a hand-over with form parameters."
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("6749 5.2", "RFC 6749, section 5.2"),
        ("6749 B", "RFC 6749, Appendix B"),
        ("6749 A.11", "RFC 6749, Appendix A.11"),
        ("6750", "RFC 6750"),
    ],
)
def test_a_source_is_a_section_or_an_appendix(source: str, said: str) -> None:
    assert section_of_rfc(source) == said


def test_a_check_whose_id_begins_like_that_of_another_is_explained_alone() -> None:
    CHECKS["B-TOK-10"] = make_check("B-TOK-10")
    assert explain("B-TOK-1").count("Severity") == 1


def test_checks_with_the_same_beginning_are_all_explained() -> None:
    assert explain("B-TOK").count("Severity") == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("B-TOK-9", 'There is no check "B-TOK-9". Is B-TOK-4 or B-TOK-2 or B-TOK-1 meant?'),
        ("nonsense", 'There is no check "nonsense". "list" shows all checks.'),
        ("", 'There is no check "". "list" shows all checks.'),
    ],
)
def test_an_unknown_check_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        explain(name)
    assert str(error.value) == said
