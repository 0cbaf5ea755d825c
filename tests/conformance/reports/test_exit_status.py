"""What the program returns to the shell, and the verdicts that somebody expects."""

import json
from pathlib import Path
from typing import Any

import pytest

from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.exit_status import Exit, Expectation, exit_of, read_expected
from reciprocal_oauth.conformance.verdicts import Verdict

from .sample import result

FAIL, WARN, PASS = Verdict.FAIL, Verdict.WARN, Verdict.PASS
INCONCLUSIVE, NOT_TESTED = Verdict.INCONCLUSIVE, Verdict.NOT_TESTED


def exit_with(
    *verdicts: Verdict, expected: Verdict | None = None, strict: bool = False, stopped: bool = False
) -> tuple[Exit, str]:
    """The exit of a run of B-X-1, B-X-2 … with these verdicts. ``expected`` is that of B-X-1."""
    results = [result(f"B-X-{number}", verdict) for number, verdict in enumerate(verdicts, start=1)]
    expectations = {"B-X-1": Expectation(expected, "Ticket 1.")} if expected else {}
    return exit_of(results, expectations, is_strict=strict, is_interrupted=stopped)


def test_a_run_is_good_if_everything_passes() -> None:
    assert exit_with(PASS, PASS) == (Exit.OK, "No check fails.")


def test_a_warn_and_what_is_not_tested_are_allowed() -> None:
    assert exit_with(PASS, WARN, NOT_TESTED)[0] is Exit.OK


def test_a_fail_is_named() -> None:
    assert exit_with(PASS, FAIL, INCONCLUSIVE) == (Exit.FAILED, "B-X-2 fails.")


def test_eight_fails_are_named_and_the_others_counted() -> None:
    names = ", ".join(f"B-X-{number}" for number in range(1, 9))
    assert exit_with(*[FAIL] * 10)[1] == f"10 checks fail: {names} and 2 more."


def test_a_warn_counts_if_the_run_is_strict() -> None:
    assert exit_with(PASS, WARN, strict=True) == (
        Exit.FAILED,
        "B-X-2 warns, and --strict is given.",
    )


def test_a_warn_that_is_expected_never_counts() -> None:
    assert exit_with(WARN, PASS, expected=WARN, strict=True)[0] is Exit.OK


def test_a_fail_that_is_expected_is_known() -> None:
    known = (Exit.OK, "No check fails, apart from known faults.")
    assert exit_with(FAIL, PASS, expected=FAIL) == known


def test_a_pass_that_is_expected_is_no_known_fault() -> None:
    assert exit_with(PASS, expected=PASS) == (Exit.OK, "No check fails.")


def test_a_fail_that_is_expected_and_nothing_else_is_good_too() -> None:
    assert exit_with(FAIL, expected=FAIL)[0] is Exit.OK


@pytest.mark.parametrize("verdict", [PASS, WARN, INCONCLUSIVE, NOT_TESTED])
def test_another_verdict_than_the_expected_fail_is_a_fault(verdict: Verdict) -> None:
    assert exit_with(verdict, PASS, expected=FAIL) == (
        Exit.FAILED,
        "B-X-1 has another verdict than expected.",
    )


def test_a_fail_where_a_pass_is_expected_is_a_fault() -> None:
    assert exit_with(FAIL, expected=PASS)[0] is Exit.FAILED


def test_what_is_expected_of_a_check_that_did_not_run_does_not_matter() -> None:
    expected = {"B-Y-9": Expectation(FAIL, "Ticket 1.")}
    status, _ = exit_of([result("B-X-1")], expected, is_strict=False, is_interrupted=False)
    assert status is Exit.OK


def test_nothing_is_known_if_a_check_is_inconclusive() -> None:
    assert exit_with(PASS, INCONCLUSIVE) == (Exit.NOTHING_KNOWN, "B-X-2 is inconclusive.")


def test_an_inconclusive_check_that_is_expected_does_not_matter() -> None:
    assert exit_with(INCONCLUSIVE, PASS, expected=INCONCLUSIVE)[0] is Exit.OK


@pytest.mark.parametrize("verdicts", [[], [NOT_TESTED]])
def test_nothing_is_known_if_no_check_passes(verdicts: list[Verdict]) -> None:
    assert exit_with(*verdicts) == (Exit.NOTHING_KNOWN, "Nothing is known: no check passed.")


def test_nothing_is_known_if_the_only_check_is_inconclusive_as_expected() -> None:
    assert exit_with(INCONCLUSIVE, expected=INCONCLUSIVE)[0] is Exit.NOTHING_KNOWN


def test_an_interrupted_run_says_so_even_after_a_fail() -> None:
    assert exit_with(FAIL, stopped=True)[0] is Exit.INTERRUPTED


def test_the_numbers_are_those_of_the_documentation() -> None:
    assert [int(each) for each in Exit] == [0, 1, 2, 3, 130]


# --- The file ----------------------------------------------------------------------------------


@pytest.fixture
def expected_file(tmp_path: Path) -> Any:
    """Writes the file, and returns its path."""

    def write(content: Any) -> Path:
        path = tmp_path / "expected.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_the_file_names_verdicts_and_reasons(expected_file: Any) -> None:
    path = expected_file({"B-AUTH-6": {"verdict": "not tested", "why": " Ticket 12. "}})
    assert read_expected(path) == {"B-AUTH-6": Expectation(NOT_TESTED, "Ticket 12.")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object with the IDs of checks."),
        (
            {"B-AUTH-7": {"verdict": "fail", "why": "x"}},
            'There is no check "B-AUTH-7". Is B-AUTH-6 meant?',
        ),
        (
            {"nonsense": {"verdict": "fail", "why": "x"}},
            'There is no check "nonsense". "list" shows all checks.',
        ),
        ({"B-TOK-1": "fail"}, 'B-TOK-1 is not an object with "verdict" and "why" only.'),
        (
            {"B-TOK-1": {"verdict": "fail", "because": "x"}},
            'B-TOK-1 is not an object with "verdict" and "why" only.',
        ),
        (
            {"B-TOK-1": {"verdict": "failed", "why": "x"}},
            "B-TOK-1: verdict is none of pass, warn, fail, inconclusive, not tested.",
        ),
        ({"B-TOK-1": {"verdict": ["fail"], "why": "x"}}, "B-TOK-1: verdict is none of"),
        ({"B-TOK-1": {"verdict": "fail"}}, "B-TOK-1: why is missing."),
        ({"B-TOK-1": {"verdict": "fail", "why": " "}}, "B-TOK-1: why is missing."),
        ('{"B-TOK-1": {"verdict": "fail", "verdict": "warn"}}', '"verdict" is there twice.'),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_wrong_file_is_refused(expected_file: Any, content: Any, said: str) -> None:
    path = expected_file(content)
    with pytest.raises(UsageError) as error:
        read_expected(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: No such file"):
        read_expected(tmp_path / "expected.json")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "expected.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="is not JSON"):
        read_expected(tmp_path / "expected.json")
