"""The report as text."""

import io
import re
from typing import Any

import pytest

from reciprocal_oauth.conformance.exit_status import Expectation
from reciprocal_oauth.conformance.reports import text
from reciprocal_oauth.conformance.verdicts import Verdict

from .sample import SAMPLE_RESULTS, result, sample_document


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pass_is_one_line() -> None:
    assert text.line(result("B-OK-1"), None, False) == (
        "  pass          B-OK-1      A right hand-over is accepted."
    )


def test_a_fail_says_what_was_expected_and_seen_and_quotes_the_draft() -> None:
    said = text.line(SAMPLE_RESULTS[1], None, False)
    assert said.startswith("x fail          B-TOK-1     The access token of another client")
    assert "Expected    400 or 401, because" in said
    assert "Observed    200" in said
    assert 'Draft       2.2.2/10 "Party B MUST then verify' in said
    assert "Source      RFC 6749, section 5.2" in said


def test_a_fail_without_its_own_expectation_says_that_of_the_check() -> None:
    assert "Expected    400, and no" in text.line(result("B-TOK-2", Verdict.FAIL), None, False)


def test_what_was_not_tested_says_why() -> None:
    said = text.line(SAMPLE_RESULTS[3], None, False)
    assert "Because     The tokens live 36000 seconds, max_wait is 120." in said
    assert "Draft" not in said


def test_notes_and_exchanges_are_for_the_verbose() -> None:
    brief, verbose = (
        text.line(SAMPLE_RESULTS[1], None, is_verbose) for is_verbose in (False, True)
    )
    for each in ("Note        The token", "> Authorization: Basic <credentials 1>", "< 200 OK"):
        assert each in verbose
        assert each not in brief


def test_notes_of_a_check_that_demands_nothing_are_its_result() -> None:
    checked = result("B-GRANT-2", notes=["The list has three grant types."])
    assert "Note        The list has three" in text.line(checked, None, False)


def test_where_nothing_is_known_the_draft_is_not_quoted() -> None:
    said = text.line(result("B-TOK-1", Verdict.INCONCLUSIVE, observed="That."), None, False)
    assert "Observed    That." in said
    assert "Draft" not in said
    assert "Source" not in said


def test_a_known_fault_says_what_is_known() -> None:
    said = text.line(result("B-TOK-2", Verdict.FAIL), Expectation(Verdict.FAIL, "Ticket 1."), False)
    assert "Known       Ticket 1." in said


def test_a_verdict_other_than_expected_says_what_was_expected() -> None:
    said = text.line(result("B-TOK-2"), Expectation(Verdict.FAIL, "Ticket 1."), False)
    assert "Changed     fail was expected: Ticket 1." in said


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    report = sample_document()
    lines = text.render(report, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert max(map(len, lines)) > width - 10


def test_an_address_is_not_broken() -> None:
    url = "https://music.example/" + "a" * 150
    assert url in text.line(result("B-TOK-2", Verdict.FAIL, observed=url), None, False, width=80)


@pytest.mark.parametrize("is_verbose", [False, True])
def test_no_text_of_the_subject_can_steer_the_terminal(is_verbose: bool) -> None:
    said = text.render(sample_document(), is_verbose=is_verbose)
    assert r"\x1b[2J\u202e\x00\ud800" in said
    assert all(each.isprintable() or each == "\n" for each in said)


@pytest.mark.parametrize("number", [0x07, 0x1B, 0x7F, 0x9B, 0x202E, 0x2066, 0xFFFE])
def test_an_unsafe_character_is_shown_as_its_number(number: int) -> None:
    said = text.line(result("B-TOK-2", Verdict.FAIL, observed=f"a{chr(number)}b"), None, False)
    shown = f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    assert f"a{shown}b" in said


# --- Colours -----------------------------------------------------------------------------------


def without_colours(said: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def test_colours_change_nothing_else() -> None:
    report = sample_document()
    plain, coloured = (text.render(report, colour=colour) for colour in (False, True))
    assert "\x1b[1;31mx fail" in coloured
    assert without_colours(coloured) == plain


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert text.is_coloured(Terminal())
    assert not text.is_coloured(io.StringIO())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_unwanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert not text.is_coloured(Terminal())


@pytest.mark.parametrize(("columns", "width"), [("20", 60), ("93", 93), ("300", 120)])
def test_the_width_is_that_of_the_terminal_within_limits(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert text.width_of(Terminal()) == width
    assert text.width_of(io.StringIO()) == text.WIDTH


# --- The summary -------------------------------------------------------------------------------


@pytest.fixture
def summary() -> str:
    return text.summary(sample_document())


def test_the_summary_counts(summary: str) -> None:
    assert "8 checks: 4 pass, 1 not tested, 1 inconclusive, 1 warn, 1 fail" in summary


def test_the_summary_names_faulty_sentences_with_their_checks(summary: str) -> None:
    after = summary.split("2.2.2/11", 1)[1].split("\n")
    assert after[2].strip() == "B-TOK-1 fail, B-TOK-4 not tested, 2 pass"


def test_the_summary_leaves_out_sentences_that_pass_or_are_not_visible(summary: str) -> None:
    assert "2.2.2/1 " not in summary
    assert "4/1" not in summary


def test_the_summary_has_the_worst_first(summary: str) -> None:
    threats = summary.split("Threats: 1 of 7 pass")[1].split("\n\n")[0]
    assert re.findall(r"^[x!?-] (.{12})", threats, re.MULTILINE) == [
        "fail        ",
        "warn        ",
        "inconclusive",
        "inconclusive",
        "not tested  ",
    ]


def test_what_was_not_selected_is_counted(summary: str) -> None:
    assert "\n  Not in this run: 1 threat\n" in summary
    chosen = text.summary(sample_document(results=[result("B-OK-1")], expected={}))
    assert "\n  Not in this run: 4 sentences\n" in chosen


def test_the_summary_ends_with_the_exit_status(summary: str) -> None:
    last = "Exit status 1: B-TOK-1 fails. B-ANS-2 has another verdict than expected."
    assert summary.endswith(last)


def test_a_dialect_is_said_aloud(summary: str) -> None:
    assert "A DIALECT, NOT THE DRAFT: alexa" in text.summary(sample_document(dialect="alexa"))
    assert "DIALECT" not in summary


def test_a_run_without_checks_has_a_summary() -> None:
    said = text.summary(sample_document(results=[], expected={}))
    assert "0 checks: none" in said


def test_a_loaded_report_quotes_its_own_sentences() -> None:
    report: dict[str, Any] = sample_document()
    for each in report["sentences"]:
        each["text"] = each["text"].replace("MUST", "SHALL")
    assert "Party B SHALL then verify" in text.render(report)
