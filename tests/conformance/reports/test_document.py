"""What the document says about a run."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from reciprocal_oauth.conformance.exit_status import Exit, Expectation
from reciprocal_oauth.conformance.registry import CHECKS
from reciprocal_oauth.conformance.reports.document import (
    NOT_SELECTED,
    ONLY_INFORMATION,
    SAW_NOTHING,
    parties_of,
    subject_of,
)
from reciprocal_oauth.conformance.reports.shape import DOCUMENT, fault_in
from reciprocal_oauth.conformance.sentences import NOT_VISIBLE
from reciprocal_oauth.conformance.verdicts import Severity, Verdict

from .sample import CONFIG, CheckResult, make_check, result, sample_document


def sentence(report: dict[str, Any], key: str) -> dict[str, Any]:
    """The entry of a sentence."""
    (entry,) = [each for each in report["sentences"] if each["key"] == key]
    return dict(entry)


def threat(report: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry of a threat."""
    (entry,) = [each for each in report["threats"] if each["id"] == name]
    return dict(entry)


def test_the_document_has_the_shape_that_is_read_back() -> None:
    assert fault_in(sample_document(), DOCUMENT) == ""


def test_the_document_can_be_written_as_json() -> None:
    report = sample_document()
    assert json.loads(json.dumps(report)) == report


def test_the_time_is_in_utc() -> None:
    in_paris = timezone(timedelta(hours=2))
    report = sample_document(started=datetime(2026, 7, 1, 1, 30, tzinfo=in_paris))
    assert report["started"] == "2026-06-30T23:30:00+00:00"


def test_the_verdicts_are_counted() -> None:
    assert sample_document()["counts"] == {
        "pass": 4,
        "warn": 1,
        "fail": 1,
        "inconclusive": 1,
        "not tested": 1,
    }


def test_the_reason_of_the_exit_is_a_sentence() -> None:
    report = sample_document()
    assert report["exit"] == 1
    assert report["exit_reason"] == "B-TOK-1 fails. B-ANS-2 has another verdict than expected."


def test_a_reason_that_is_given_is_kept() -> None:
    report = sample_document(exit_status=Exit.USAGE, exit_reason="The port is in use.")
    assert (report["exit"], report["exit_reason"]) == (2, "The port is in use.")


def test_the_reason_of_a_strict_run_names_the_warn() -> None:
    report = sample_document(expected={}, is_strict=True)
    assert report["strict"]
    assert "B-AUTH-6 warns, and --strict is given." in report["exit_reason"]


# --- Sentences and threats ---------------------------------------------------------------------


def test_a_sentence_has_the_worst_verdict_of_its_checks() -> None:
    entry = sentence(sample_document(), "2.2.2/11")
    assert entry["verdict"] == "fail"
    assert entry["checks"] == ["B-OK-1", "B-TOK-1", "B-TOK-2", "B-TOK-4"]


@pytest.mark.parametrize("other", [Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED])
def test_a_pass_does_not_hide_another_verdict(other: Verdict) -> None:
    report = sample_document(results=[result("B-TOK-1"), result("B-TOK-2", other)], expected={})
    assert sentence(report, "2.2.2/10")["verdict"] == str(other)


def test_a_check_that_was_not_selected_does_not_count() -> None:
    report = sample_document(results=[result("B-TOK-2")], expected={})
    entry = sentence(report, "2.2.2/10")
    assert (entry["verdict"], entry["checks"]) == ("pass", ["B-TOK-2"])


def test_a_sentence_without_a_selected_check_is_not_tested() -> None:
    report = sample_document(results=[result("B-TOK-2")], expected={})
    entry = sentence(report, "2.2.2/12")
    assert (entry["verdict"], entry["why"], entry["checks"]) == ("not tested", NOT_SELECTED, [])


def test_a_sentence_that_is_not_visible_has_no_verdict_but_a_reason() -> None:
    entry = sentence(sample_document(), "1/1")
    assert (entry["verdict"], entry["why"]) == (None, NOT_VISIBLE["1/1"])


def test_a_sentence_that_a_check_tests_is_visible() -> None:
    nearest = CheckResult(make_check("B-END-9", sentences=("2/6",)), Verdict.PASS, observed="")
    assert sentence(sample_document(results=[nearest]), "2/6")["verdict"] == "pass"


def test_sentences_that_only_the_other_party_tests_are_left_out() -> None:
    del CHECKS["B-GRANT-2"]
    results = [result("B-OK-1")]
    report = sample_document(results=results, expected={}, role="a")
    assert {"2.2.2/3", "2.2.2/1"} <= {each["key"] for each in report["sentences"]}
    assert "2.2.2/12" not in {each["key"] for each in report["sentences"]}


@pytest.mark.parametrize("verdict", [Verdict.WARN, Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_a_check_that_demands_nothing_makes_no_sentence_worse(verdict: Verdict) -> None:
    check = make_check("B-NEW-1", Severity.INFORMATION, sentences=("2.2.2/10",), threats=("B7",))
    results = [result("B-TOK-2"), CheckResult(check, verdict)]
    report = sample_document(results=results, expected={})
    assert sentence(report, "2.2.2/10")["verdict"] == "pass"
    assert threat(report, "B7")["verdict"] == "pass"


@pytest.mark.parametrize(
    ("verdict", "why"),
    [(Verdict.NOT_TESTED, ONLY_INFORMATION), (Verdict.INCONCLUSIVE, SAW_NOTHING)],
)
def test_a_check_that_demands_nothing_and_sees_nothing_is_no_pass(
    verdict: Verdict, why: str
) -> None:
    report = sample_document(results=[result("B-GRANT-2", verdict)], expected={})
    entry = sentence(report, "4/5")
    assert (entry["verdict"], entry["why"]) == ("not tested", why)


def test_a_threat_has_the_worst_verdict_of_its_checks() -> None:
    entry = threat(sample_document(), "B7")
    assert (entry["verdict"], entry["checks"]) == ("not tested", ["B-TOK-2", "B-TOK-4"])


def test_a_threat_without_a_selected_check_is_not_tested() -> None:
    entry = threat(sample_document(), "R3")
    assert (entry["verdict"], entry["why"]) == ("not tested", NOT_SELECTED)


def test_threats_that_no_check_of_the_role_tries_are_left_out() -> None:
    assert "W5" not in {each["id"] for each in sample_document()["threats"]}


# --- Checks ------------------------------------------------------------------------------------


def entry_of(report: dict[str, Any], check_id: str) -> dict[str, Any]:
    """The entry of a check."""
    (entry,) = [each for each in report["checks"] if each["id"] == check_id]
    return dict(entry)


def test_a_known_verdict_is_expected() -> None:
    entry = entry_of(sample_document(), "B-AUTH-6")
    assert entry["expectation"] == {
        "verdict": "warn",
        "why": "Our framework takes both. Ticket 12.",
    }
    assert entry["unexpected"] is False


def test_a_verdict_other_than_the_known_one_is_unexpected() -> None:
    assert entry_of(sample_document(), "B-ANS-2")["unexpected"] is True


def test_a_fault_that_nobody_foretold_is_not_called_unexpected() -> None:
    assert entry_of(sample_document(), "B-TOK-1")["unexpected"] is False


def test_what_is_expected_of_other_checks_is_left_out() -> None:
    expected = {"B-TOK-2": Expectation(Verdict.FAIL, "Ticket 1.")}
    report = sample_document(results=[result("B-TOK-1")], expected=expected)
    assert [each["expectation"] for each in report["checks"]] == [None]


def test_an_exchange_has_all_members_even_if_little_is_known() -> None:
    results = [result("B-OK-1", evidence=[{"direction": "sent", "method": "GET"}])]
    report = sample_document(results=results, expected={})
    assert fault_in(report, DOCUMENT) == ""
    assert report["checks"][0]["evidence"][0]["status"] is None


@pytest.mark.parametrize(
    ("direction", "url", "parties"),
    [
        ("sent", "https://m.example/authorize?x=1", ("tester", "subject")),
        ("received", "https://t.example/token", ("subject", "tester")),
        ("received", "https://t.example/callback?code=1", ("browser", "tester")),
        ("received", "https://t.example/below/authorize", ("browser", "tester")),
        ("received", "http://[", ("subject", "tester")),
    ],
)
def test_an_exchange_is_between_two_parties(
    direction: str, url: str, parties: tuple[str, str]
) -> None:
    assert parties_of({"direction": direction, "url": url}) == parties


# --- The subject -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "url"),
    [
        (
            {"issuer": "https://m.example", "token_endpoint": "https://m.example/t"},
            "https://m.example",
        ),
        ({"issuer": "", "token_endpoint": "https://m.example/t"}, "https://m.example/t"),
        ({"at_tester": {"redirect_uri": "https://m.example/cb"}}, "https://m.example/cb"),
        ({"at_tester": None}, ""),
        ({}, ""),
        ("https://m.example", ""),
        (None, ""),
    ],
)
def test_the_subject_is_named_by_its_best_url(subject: Any, url: str) -> None:
    assert subject_of({"config": {**CONFIG, "subject": subject}}) == url
