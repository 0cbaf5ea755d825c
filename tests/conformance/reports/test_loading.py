"""A JSON report can be read again, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.reports.document import load
from reciprocal_oauth.conformance.reports.files import as_json

from .sample import sample_document


@pytest.fixture
def load_text(tmp_path: Path) -> Any:
    """Reads a text as a report."""

    def read(text: str) -> dict[str, Any]:
        (tmp_path / "run.json").write_text(text)
        return load(tmp_path / "run.json")

    return read


def test_a_report_is_read_as_it_was_written(load_text: Any) -> None:
    assert load_text(as_json(sample_document())) == sample_document()


def test_members_of_a_later_version_do_not_matter(load_text: Any) -> None:
    report = {**sample_document(), "later": 1}
    assert load_text(as_json(report)) == report


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 5000, "is not JSON"),
        ("[]", 'it has no schema "reciprocal-oauth-conformance/1"'),
        ('{"schema": 1}', 'it has no schema "reciprocal-oauth-conformance/1"'),
        ('{"schema": "junit"}', 'it has no schema "reciprocal-oauth-conformance/1"'),
        ('{"schema": "reciprocal-oauth-conformance/2"}', "use the version that wrote the report"),
        ('{"schema": "reciprocal-oauth-conformance/1"}', "no whole report: tool is missing."),
    ],
)
def test_what_is_no_report_is_refused(load_text: Any, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        load_text(text)
    assert said in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["role"], "c", "role has a value that is not known"),
        (["exit"], 4, "exit has a value that is not known"),
        (["exit"], True, "exit has a value that is not known"),
        (["started"], "today", "started is a text that does not belong there"),
        (["started"], "2026-01-02T03:04:05", "started is a text that does not belong there"),
        (["seconds"], "1", "seconds is a text that does not belong there"),
        (["seconds"], True, "seconds is a truth value that does not belong there"),
        (["seconds"], float("nan"), "seconds is a number that does not belong there"),
        (["seconds"], 10**400, "seconds is a number that does not belong there"),
        (["interrupted"], 1, "interrupted is a number that does not belong there"),
        (["config"], [], "config is a list that does not belong there"),
        (["counts", "pass"], 1.5, "counts.pass is a number that does not belong there"),
        (["tool"], None, "tool is null that does not belong there"),
        (["notes"], "note", "notes is a text that does not belong there"),
        (["checks", 1, "verdict"], "passed", "checks[1].verdict has a value that is not known"),
        (["checks", 1, "threats", 0], {}, "checks[1].threats[0] is an object"),
        (["checks", 4, "expectation", "why"], None, "checks[4].expectation.why is null"),
        (["sentences", 0, "verdict"], [], "sentences[0].verdict has a value that is not known"),
        (
            ["checks", 0, "evidence", 0, "request_headers", 0],
            ["Host"],
            "checks[0].evidence[0].request_headers[0] is a list",
        ),
        (["checks", 0, "evidence", 0, "status"], "200", "checks[0].evidence[0].status is a text"),
    ],
)
def test_a_report_that_was_changed_is_refused(
    load_text: Any, path: list[Any], value: Any, said: str
) -> None:
    report = json.loads(as_json(sample_document()))
    place = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(UsageError) as error:
        load_text(json.dumps(report))
    assert said in str(error.value)
