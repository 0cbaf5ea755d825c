"""The report as JUnit XML."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from reciprocal_oauth.conformance.exit_status import Expectation
from reciprocal_oauth.conformance.reports import junit
from reciprocal_oauth.conformance.verdicts import Verdict

from .sample import result, sample_document


def suite_of(**values: Any) -> ET.Element:
    """The suite of a document."""
    written = junit.render(sample_document(**values))
    suite = ET.fromstring(written).find("testsuite")  # noqa: S314 - we wrote it
    assert suite is not None
    return suite


def case_of(verdict: Verdict, known: Verdict | None = None, **values: Any) -> ET.Element:
    """The test case of a check with this verdict. ``known`` is the one that was expected."""
    expected = {"B-TOK-1": Expectation(known, "Ticket 1.")} if known else {}
    checked = result("B-TOK-1", verdict, observed="That.")
    case = suite_of(results=[checked], expected=expected, **values).find("testcase")
    assert case is not None
    return case


def kinds(case: ET.Element) -> list[str]:
    return [each.tag for each in case]


@pytest.mark.parametrize(
    ("verdict", "elements"),
    [
        (Verdict.PASS, []),
        (Verdict.WARN, ["system-out"]),
        (Verdict.FAIL, ["failure"]),
        (Verdict.INCONCLUSIVE, ["error"]),
        (Verdict.NOT_TESTED, ["skipped"]),
    ],
)
def test_each_verdict_has_its_element(verdict: Verdict, elements: list[str]) -> None:
    assert kinds(case_of(verdict)) == elements


@pytest.mark.parametrize("verdict", [Verdict.WARN, Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_a_known_fault_passes_and_says_so(verdict: Verdict) -> None:
    case = case_of(verdict, known=verdict)
    assert kinds(case) == ["system-out"]
    assert f"Known: {verdict} is expected. Ticket 1." in (case.findtext("system-out") or "")


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WARN, Verdict.NOT_TESTED])
def test_another_verdict_than_expected_is_a_failure(verdict: Verdict) -> None:
    failure = case_of(verdict, known=Verdict.FAIL).find("failure")
    assert failure is not None
    assert failure.get("message") == f"{verdict}, but fail was expected."
    assert "Ticket 1." in (failure.text or "")


def test_an_inconclusive_check_that_was_expected_to_fail_is_an_error() -> None:
    assert kinds(case_of(Verdict.INCONCLUSIVE, known=Verdict.FAIL)) == ["error"]


def test_a_warn_is_a_failure_in_a_strict_run() -> None:
    assert kinds(case_of(Verdict.WARN, is_strict=True)) == ["failure"]
    assert kinds(case_of(Verdict.WARN, known=Verdict.WARN, is_strict=True)) == ["system-out"]


def test_a_failure_says_what_was_expected_and_seen() -> None:
    failure = suite_of().find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "must"
    assert (failure.get("message") or "").startswith('200 {"status": "<b>it\'s fine</b>"}')
    assert 'Draft 2.2.2/10: "Party B MUST then verify' in (failure.text or "")


def test_the_suite_counts_what_it_holds() -> None:
    suite = suite_of()
    numbers = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert numbers == {"tests": "8", "failures": "2", "errors": "1", "skipped": "1"}
    assert len(suite.findall("testcase/failure")) == 2


def test_the_suite_says_when_it_ran_and_how_long() -> None:
    suite = suite_of()
    assert suite.get("timestamp") == "2026-01-02T03:04:05"
    assert suite.get("time") == "16.789"


def test_a_dialect_is_in_the_name_of_the_suite() -> None:
    assert "(a dialect, not the draft: alexa)" in (suite_of(dialect="alexa").get("name") or "")
    assert "dialect" not in (suite_of().get("name") or "")


def test_characters_that_xml_does_not_allow_are_replaced() -> None:
    everything = "".join(map(chr, range(0x110000)))
    checked = result("B-TOK-1", Verdict.FAIL, observed=everything, notes=[everything])
    suite = suite_of(results=[checked], expected={}, dialect=everything[:300])
    assert r"\x00" in (suite.findtext("testcase/failure") or "")
    assert r"\ud800" in (suite.findtext("testcase/system-out") or "")
