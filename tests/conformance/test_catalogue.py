"""The list of checks as a whole."""

import re
import subprocess
import sys

import pytest

from reciprocal_oauth.conformance import selection
from reciprocal_oauth.conformance.cli import main
from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.registry import CHECKS
from reciprocal_oauth.conformance.sentences import NOT_VISIBLE, all_sentences
from reciprocal_oauth.conformance.threats import THREATS
from reciprocal_oauth.conformance.verdicts import Severity

from ..reading import ROOT


def test_every_sentence_of_the_draft_is_tested_or_has_a_reason_why_not() -> None:
    tested = {key for check in CHECKS.values() for key in check.sentences}

    assert tested.isdisjoint(NOT_VISIBLE)
    assert tested | set(NOT_VISIBLE) == set(all_sentences())


def test_every_threat_is_tried_and_stands_in_the_catalogue_of_threats() -> None:
    tried = {threat for check in CHECKS.values() for threat in check.threats}
    page = (ROOT / "docs" / "threats.rst").read_text()

    assert tried == set(THREATS)
    assert tried <= set(re.findall(r"^   \* - ([A-Z]\d+)$", page, re.MULTILINE))


def test_a_fault_quotes_the_draft_or_another_source() -> None:
    """What nobody demands is no fault."""
    without = [
        check.id
        for check in CHECKS.values()
        if check.severity is not Severity.INFORMATION
        and not check.sentences
        and not check.rfcs
        and not check.threats
    ]

    assert without == []


def test_a_must_names_a_sentence_or_an_rfc() -> None:
    without = [
        check.id
        for check in CHECKS.values()
        if check.severity is Severity.MUST and not check.sentences and not check.rfcs
    ]

    assert without == []


def test_each_role_has_controls_that_come_first() -> None:
    for role in ("a", "b"):
        own = [check for check in CHECKS.values() if check.role == role]
        controls = [check for check in own if check.is_control]

        assert controls
        assert own[: len(controls)] == controls


def test_a_prefix_chooses_checks_and_the_controls_that_they_need() -> None:
    chosen = [check.id for check in selection.select("b", ["B-TOK-1", "b-auth"], skip=["B-AUTH-8"])]

    assert chosen[:3] == ["B-OK-1", "B-OK-2", "B-AUTH-1"]
    assert "B-TOK-1" in chosen
    assert "B-AUTH-8" not in chosen


def test_a_check_that_needs_no_control_comes_alone() -> None:
    assert [check.id for check in selection.select("b", ["B-PARAM-1"])] == ["B-PARAM-1"]


def test_severities_choose_checks() -> None:
    chosen = selection.select("a", [], severities=["should"])

    assert {check.severity for check in chosen if not check.is_control} == {Severity.SHOULD}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"prefixes": ["B-TOKEN"]}, "Party B has no check B-TOKEN"),
        ({"prefixes": ["A-E-1"]}, "Party B has no check A-E-1"),
        ({"prefixes": [], "skip": ["B-TOX-1"]}, "Is B-TOK-1 meant?"),
        ({"prefixes": [], "severities": ["musts"]}, "musts is no severity"),
        ({"prefixes": ["B-TOK-1"], "skip": ["B-TOK-1"]}, "No check is left"),
    ],
)
def test_what_does_not_exist_is_named(arguments: dict[str, list[str]], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        selection.select("b", **arguments)  # type: ignore[arg-type]


def test_the_tester_loads_neither_django_nor_requests() -> None:
    code = (
        "import sys; import reciprocal_oauth.conformance.cli; "
        "print([name for name in ('django', 'requests', 'oauth2_provider') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [[], ["c"], ["b"], ["b", "--config"], ["explain"], ["b", "--conf", "x.toml"], ["report"]],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
