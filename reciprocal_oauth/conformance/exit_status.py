"""The exit status of a run, and the verdicts that somebody expects of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Final

from .errors import UsageError
from .listing import unknown_check
from .registry import CHECKS
from .results import CheckResult
from .verdicts import Verdict

#: Most IDs that the reason of an exit status names.
NAMED: Final = 8


class Exit(IntEnum):
    """What the program returns to the shell."""

    #: All that ran passes. A warn, and what was not tested, are allowed.
    OK = 0
    #: A check fails, or has another verdict than expected.
    FAILED = 1
    #: The command line or the configuration is wrong, or the port is in use.
    USAGE = 2
    #: Nothing fails, but a check is inconclusive, or no check says anything.
    NOTHING_KNOWN = 3
    #: Somebody stopped the run. The reports hold what is known.
    INTERRUPTED = 130


@dataclass(frozen=True)
class Expectation:
    """The verdict that a check is known to have at this subject, and the reason."""

    verdict: Verdict
    why: str


def read_expected(path: Path) -> dict[str, Expectation]:
    """Read a file of known verdicts: ``{"B-AUTH-6": {"verdict": "warn", "why": "…"}}``.

    :returns: the expectations by the IDs of the checks.
    :raises UsageError: the file cannot be read, is not JSON, or names a check or a verdict that
        does not exist, or gives no reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
        entries = json.loads(text, object_pairs_hook=_without_repetition)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    if not isinstance(entries, dict):
        raise UsageError(f"{path} is not a JSON object with the IDs of checks.")
    try:
        return {check_id: _expectation(check_id, entry) for check_id, entry in entries.items()}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'"{name}" is there twice.')
    return dict(pairs)


def _expectation(check_id: str, entry: Any) -> Expectation:
    if check_id not in CHECKS:
        raise unknown_check(check_id)
    if not isinstance(entry, dict) or not {"verdict", "why"}.issuperset(entry):
        raise UsageError(f'{check_id} is not an object with "verdict" and "why" only.')
    known = [str(each) for each in Verdict]
    if entry.get("verdict") not in known:
        raise UsageError(f"{check_id}: verdict is none of {', '.join(known)}.")
    why = entry.get("why")
    if not isinstance(why, str) or not why.strip():
        raise UsageError(f"{check_id}: why is missing. It says why this verdict is known.")
    return Expectation(Verdict(entry["verdict"]), why.strip())


def is_unexpected(verdict: str, expectation: Expectation | None) -> bool:
    """Return whether a check has another verdict than the one that was expected of it."""
    return expectation is not None and verdict != expectation.verdict


def exit_of(
    results: Sequence[CheckResult],
    expected: Mapping[str, Expectation],
    *,
    is_strict: bool,
    is_interrupted: bool,
) -> tuple[Exit, str]:
    """Return the exit status of a run, and the reason in a sentence for each kind of fault.

    :param results: the checks that ran. What is expected of others does not matter.
    :param is_strict: a warn that is not expected counts as a fail.
    """
    if is_interrupted:
        return Exit.INTERRUPTED, "The run was interrupted. The reports hold what is known."
    ids: dict[_Kind, list[str]] = {kind: [] for kind in _Kind}
    for result in results:
        kind = _kind_of(result.verdict, expected.get(result.check.id), is_strict=is_strict)
        ids[kind].append(result.check.id)
    faults = [_sentence(kind, ids[kind]) for kind in _FAULTS if ids[kind]]
    if faults:
        return Exit.FAILED, " ".join(faults)
    if ids[_Kind.UNCLEAR]:
        return Exit.NOTHING_KNOWN, _sentence(_Kind.UNCLEAR, ids[_Kind.UNCLEAR])
    if not ids[_Kind.GOOD]:
        return Exit.NOTHING_KNOWN, "Nothing is known: no check passed."
    has_known = any(
        result.verdict in (Verdict.FAIL, Verdict.WARN) and result.check.id in expected
        for result in results
    )
    return Exit.OK, "No check fails, apart from known faults." if has_known else "No check fails."


class _Kind(Enum):
    """What a result does to the exit status: what is said of one check, and of several."""

    FAILING = ("fails", "fail")
    WARNING = ("warns, and --strict is given", "warn, and --strict is given")
    CHANGED = ("has another verdict than expected", "have another verdict than expected")
    UNCLEAR = ("is inconclusive", "are inconclusive")
    #: It passes, or has a fault that was expected or is allowed.
    GOOD = ("is good", "are good")
    #: It was not tested, or is inconclusive as expected.
    SILENT = ("says nothing", "say nothing")


_FAULTS: Final = (_Kind.FAILING, _Kind.WARNING, _Kind.CHANGED)


def _kind_of(verdict: Verdict, expectation: Expectation | None, *, is_strict: bool) -> _Kind:
    if is_unexpected(verdict, expectation):
        return _Kind.CHANGED
    if verdict is Verdict.NOT_TESTED:
        return _Kind.SILENT
    if verdict is Verdict.INCONCLUSIVE:
        return _Kind.SILENT if expectation else _Kind.UNCLEAR
    if verdict is Verdict.FAIL and expectation is None:
        return _Kind.FAILING
    if verdict is Verdict.WARN and expectation is None and is_strict:
        return _Kind.WARNING
    return _Kind.GOOD


def _sentence(kind: _Kind, ids: list[str]) -> str:
    of_one, of_several = kind.value
    if len(ids) == 1:
        return f"{ids[0]} {of_one}."
    names = ", ".join(ids[:NAMED])
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{len(ids)} checks {of_several}: {names}{more}."
