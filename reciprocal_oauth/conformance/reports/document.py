"""The document: all that is known about a run, as an object for JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reciprocal_oauth._version import __version__

from ..errors import UsageError
from ..exit_status import Exit, Expectation, exit_of, is_unexpected
from ..registry import CHECKS, Check
from ..results import CheckResult
from ..sentences import DRAFT, NOT_VISIBLE, Sentence, all_sentences
from ..threats import THREATS
from ..verdicts import Severity, Verdict, worst
from .shape import DOCUMENT, fault_in

SCHEMA: Final = "reciprocal-oauth-conformance/1"
TOOL: Final = "reciprocal_oauth.conformance"
NOT_SELECTED: Final = "None of its checks was in this run."
#: What an exchange has where nothing else is known.
NO_EXCHANGE: Final = {
    "direction": "sent",
    "at": 0.0,
    "method": "",
    "url": "",
    "request_headers": [],
    "request_body": "",
    "status": None,
    "reason": "",
    "response_headers": [],
    "response_body": "",
    "seconds": 0.0,
    "error": "",
    "note": "",
}
ONLY_INFORMATION: Final = "Only a check of severity information tests it, and it did not run."
SAW_NOTHING: Final = "Only a check of severity information tests it, and it saw nothing."
#: Where a browser comes to the tester. Everything else there is for the subject itself.
_FOR_BROWSERS: Final = ("/authorize", "/callback")


def document(
    results: Sequence[CheckResult],
    *,
    role: str,
    dialect: str,
    config: Mapping[str, Any],
    started: datetime,
    seconds: float,
    notes: Sequence[str],
    expected: Mapping[str, Expectation],
    exit_status: Exit,
    is_interrupted: bool,
    exit_reason: str = "",
    is_strict: bool = False,
) -> dict[str, Any]:
    """Return all that is known about a run, as an object for JSON.

    :param results: the checks that ran, in their order.
    :param role: ``a`` or ``b``: the party that was tested.
    :param dialect: the name of the dialect, or empty for the draft.
    :param config: the configuration, without secrets.
    :param started: an aware time.
    :param seconds: how long the run took.
    :param notes: what else there is to say about the run, each a sentence.
    :param expected: verdicts that are expected, by the IDs of the checks.
    :param exit_reason: the second value of :func:`~..exit_status.exit_of`, which is called if this
        is empty.
    """
    if not exit_reason:
        _, exit_reason = exit_of(
            results, expected, is_strict=is_strict, is_interrupted=is_interrupted
        )
    counts = Counter(result.verdict for result in results)
    return {
        "schema": SCHEMA,
        "tool": {"name": TOOL, "version": __version__},
        "draft": DRAFT,
        "role": role,
        "dialect": dialect,
        "config": dict(config),
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "exit": int(exit_status),
        "exit_reason": exit_reason,
        "strict": is_strict,
        "interrupted": is_interrupted,
        "counts": {str(verdict): counts[verdict] for verdict in Verdict},
        "notes": list(notes),
        "checks": [check_entry(result, expected.get(result.check.id)) for result in results],
        "sentences": _sentences(results, role),
        "threats": _threats(results, role),
    }


def check_entry(result: CheckResult, expectation: Expectation | None) -> dict[str, Any]:
    """Return what is known about one check, as an object for JSON."""
    check = result.check
    return {
        "id": check.id,
        "role": check.role,
        "title": check.title,
        "severity": str(check.severity),
        "sections": check.sections,
        "sentences": list(check.sentences),
        "rfcs": list(check.rfcs),
        "threats": list(check.threats),
        "control": check.is_control,
        "does": check.does,
        "expects": check.expects,
        "verdict": str(result.verdict),
        "expected": result.expected,
        "observed": result.observed,
        "notes": list(result.notes),
        "seconds": round(result.seconds, 3),
        "expectation": (
            None
            if expectation is None
            else {"verdict": str(expectation.verdict), "why": expectation.why}
        ),
        "unexpected": is_unexpected(result.verdict, expectation),
        "evidence": [{**NO_EXCHANGE, **exchange} for exchange in result.evidence],
    }


def load(path: Path) -> dict[str, Any]:
    """Read a JSON report.

    :raises UsageError: the file cannot be read, is no such report, or is one of another version.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from error
    schema = read.get("schema") if isinstance(read, dict) else None
    if not isinstance(schema, str) or not schema.startswith(SCHEMA.split("/")[0]):
        raise UsageError(f'{path} is no JSON report of this tester: it has no schema "{SCHEMA}".')
    if schema != SCHEMA:
        raise UsageError(
            f'{path} has the schema "{schema}". This version of the tester reads "{SCHEMA}" only: '
            "use the version that wrote the report."
        )
    fault = fault_in(read, DOCUMENT)
    if fault:
        raise UsageError(f"{path} is no whole report: {fault}.")
    return dict(read)


def subject_of(report: Mapping[str, Any]) -> str:
    """Return the URL that says best what was tested, or an empty text."""
    subject = report["config"].get("subject")
    if not isinstance(subject, dict):
        return ""
    at_tester = subject.get("at_tester")
    if not isinstance(at_tester, dict):
        at_tester = {}
    for name in ("issuer", "reciprocal_endpoint", "token_endpoint", "authorization_endpoint"):
        if subject.get(name):
            return str(subject[name])
    return str(at_tester.get("redirect_uri", ""))


def parties_of(exchange: Mapping[str, Any]) -> tuple[str, str]:
    """Return who sent a request, and to whom."""
    if exchange["direction"] == "sent":
        return "tester", "subject"
    try:
        path = urlsplit(exchange["url"]).path
    except ValueError:
        path = ""
    return "browser" if path.endswith(_FOR_BROWSERS) else "subject", "tester"


# --- Sentences and threats ---------------------------------------------------------------------


def _sentences(results: Sequence[CheckResult], role: str) -> list[dict[str, Any]]:
    touched = {key for check in _checks_of(results, role) for key in check.sentences}
    entries = []
    for key, sentence in all_sentences().items():
        if key in touched:
            verdict, why, ids = _judged([r for r in results if key in r.check.sentences])
            entries.append(_sentence(sentence, verdict, why, ids))
        elif key in NOT_VISIBLE:
            entries.append(_sentence(sentence, None, NOT_VISIBLE[key], []))
    return entries


def _sentence(
    sentence: Sentence, verdict: Verdict | None, why: str, ids: list[str]
) -> dict[str, Any]:
    return {
        "key": sentence.key,
        "section": sentence.section,
        "section_title": sentence.section_title,
        "text": sentence.text,
        "verdict": None if verdict is None else str(verdict),
        "why": why,
        "checks": ids,
    }


def _threats(results: Sequence[CheckResult], role: str) -> list[dict[str, Any]]:
    touched = {threat for check in _checks_of(results, role) for threat in check.threats}
    entries = []
    for name, text in THREATS.items():
        if name in touched:
            verdict, why, ids = _judged([r for r in results if name in r.check.threats])
            entries.append(
                {"id": name, "text": text, "verdict": str(verdict), "why": why, "checks": ids}
            )
    return entries


def _checks_of(results: Sequence[CheckResult], role: str) -> list[Check]:
    of_role = [check for check in CHECKS.values() if check.role == role]
    return [*of_role, *(result.check for result in results)]


def _judged(results: list[CheckResult]) -> tuple[Verdict, str, list[str]]:
    """Return the verdict on what these checks test, why it is not tested, and their IDs.

    A check that demands nothing counts only if it passes: otherwise it says nothing, neither good
    nor bad.
    """
    ids = [result.check.id for result in results]
    counting = [
        result.verdict
        for result in results
        if result.check.severity is not Severity.INFORMATION or result.verdict is Verdict.PASS
    ]
    if counting:
        return worst(counting), "", ids
    if not ids:
        return Verdict.NOT_TESTED, NOT_SELECTED, ids
    has_run = any(result.verdict is not Verdict.NOT_TESTED for result in results)
    return Verdict.NOT_TESTED, SAW_NOTHING if has_run else ONLY_INFORMATION, ids
