"""Which checks there are, and what each does: the commands ``list`` and ``explain``."""

import difflib
import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .errors import UsageError
from .needs import NEEDS
from .registry import CHECKS, Check
from .sentences import DRAFT, NOT_VISIBLE, Sentence, all_sentences
from .threats import THREATS

WIDTH: Final = 100
#: Needs that only a dialect can leave out: nobody has to configure anything for them.
_LACKS: Final = {
    "form": "a hand-over with form parameters",
    "authenticated": "a hand-over that authenticates the client",
    "redemption": "a redemption with a form",
    "revocation": "a revocation endpoint of party A",
    "draft": "the draft's hand-over",
}
_LABEL: Final = 10


def list_checks(
    role: str | None = None, *, by_sentences: bool = False, as_json: bool = False
) -> str:
    """Return the checks as text for people, or as a JSON document.

    :param role: ``a`` or ``b``: only the checks of this party. ``None``: all checks.
    :param by_sentences: list the sentences of the draft, and under each the checks that test it.
    """
    checks = [each for each in CHECKS.values() if role in (None, each.role)]
    if by_sentences:
        listed = _sentences(checks, is_whole=role is None)
        return _sentences_as_json(listed) if as_json else _sentences_as_text(listed)
    return _checks_as_json(checks) if as_json else _checks_as_text(checks)


def explain(check_id: str) -> str:
    """Return what a check does, and why.

    :param check_id: an ID, or the beginning of several.
    :raises UsageError: no ID begins like that.
    """
    name = check_id.upper()
    found = [CHECKS[name]] if name in CHECKS else []
    if name and not found:
        found = [each for each in CHECKS.values() if each.id.startswith(name)]
    if not found:
        raise unknown_check(check_id)
    return "\n\n".join(_explained(each) for each in found)


def unknown_check(check_id: str) -> UsageError:
    """Return the error for an ID that no check has. It names the IDs that look most like it."""
    near = difflib.get_close_matches(check_id.upper(), CHECKS, n=3)
    hint = f" Is {' or '.join(near)} meant?" if near else ' "list" shows all checks.'
    return UsageError(f'There is no check "{check_id}".{hint}')


# --- Checks ------------------------------------------------------------------------------------


def _checks_as_json(checks: Iterable[Check]) -> str:
    return json.dumps({"draft": DRAFT, "checks": [_as_json(each) for each in checks]}, indent=2)


def _as_json(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "role": check.role,
        "title": check.title,
        "severity": str(check.severity),
        "sections": check.sections,
        "sentences": list(check.sentences),
        "rfcs": list(check.rfcs),
        "threats": list(check.threats),
        "needs": list(check.needs),
        "control": check.is_control,
        "negative": check.is_negative,
        "slow": check.is_slow,
        "does": check.does,
        "expects": check.expects,
    }


def _checks_as_text(checks: list[Check]) -> str:
    parts = []
    for role in ("b", "a"):
        of_role = [each for each in checks if each.role == role]
        if of_role:
            number = f"{len(of_role)} {'check' if len(of_role) == 1 else 'checks'}"
            parts.append("\n".join([f"Party {role.upper()}: {number}", *_rows(of_role)]))
    parts.append(
        "control: does what is right. slow: runs with --slow only.\n"
        '"explain ID" says what a check does, and what it needs.'
    )
    return "\n\n".join(parts)


def _rows(checks: list[Check]) -> Iterator[str]:
    width = max(len(each.id) for each in checks)
    for check in checks:
        row = f"  {check.id:<{width}}  {check.severity:<11}  {_mark(check):<7}  "
        yield textwrap.fill(
            check.title,
            WIDTH,
            initial_indent=row,
            subsequent_indent=" " * len(row),
            break_on_hyphens=False,
        )


def _mark(check: Check) -> str:
    return "slow" if check.is_slow else "control" if check.is_control else ""


# --- Sentences ---------------------------------------------------------------------------------


def _sentences(checks: list[Check], *, is_whole: bool) -> list[tuple[Sentence, list[str]]]:
    """Return the sentences, each with the IDs of its checks.

    :param is_whole: whether to return sentences that only the other party's checks test, too.
    """
    listed = []
    for key, sentence in all_sentences().items():
        ids = [each.id for each in checks if key in each.sentences]
        if ids or is_whole or key in NOT_VISIBLE:
            listed.append((sentence, ids))
    return listed


def _sentences_as_json(listed: list[tuple[Sentence, list[str]]]) -> str:
    sentences = [
        {
            "key": sentence.key,
            "section": sentence.section,
            "section_title": sentence.section_title,
            "text": sentence.text,
            "checks": ids,
            "not_visible": None if ids else NOT_VISIBLE.get(sentence.key),
        }
        for sentence, ids in listed
    ]
    return json.dumps({"draft": DRAFT, "sentences": sentences}, indent=2)


def _sentences_as_text(listed: list[tuple[Sentence, list[str]]]) -> str:
    lines = [f"The sentences of {DRAFT}, and the checks of each"]
    section = ""
    for sentence, ids in listed:
        if sentence.section != section:
            section = sentence.section
            lines += ["", f"Section {section}, {sentence.section_title}"]
        lines.append(_indented(sentence.key, f'"{sentence.text}"'))
        why = NOT_VISIBLE.get(sentence.key)
        none = f"Not visible: {why}" if why else "No check tests it."
        lines.append(_indented("", ", ".join(ids) or none))
    return "\n".join(lines)


# --- One check ---------------------------------------------------------------------------------


def _explained(check: Check) -> str:
    of_draft = all_sentences()
    lines = [
        f"{check.id}  {check.title}",
        _indented("Severity", _severity(check)),
        _indented("Does", check.does),
        _indented("Expects", check.expects),
    ]
    for key in check.sentences:
        lines.append(_indented("Draft", f'{key} "{of_draft[key].text}"'))
    lines += [_indented("RFC", section_of_rfc(each)) for each in check.rfcs]
    lines += [_indented("Threat", f"{each}: {THREATS[each]}") for each in check.threats]
    lines += [_need(each) for each in sorted(check.needs, key=lambda name: name in _LACKS)]
    if check.is_control:
        lines.append(_indented("Control", "It does what is right. Others are compared with it."))
    if check.is_negative:
        text = "It expects a refusal or silence, so it counts only after its control passed."
        lines.append(_indented("Negative", text))
    if check.is_slow:
        lines.append(_indented("Slow", "It waits for something to expire. It needs --slow."))
    return "\n".join(lines)


def _need(name: str) -> str:
    if name in _LACKS:
        return _indented("Dialect", f"Not tested in a dialect without {_LACKS[name]}.")
    return _indented("Needs", NEEDS[name])


def _severity(check: Check) -> str:
    meaning = {
        "must": "a MUST: a fault is a fail",
        "security": "an attack that must not work: a fault is a fail",
        "should": "a SHOULD: a fault is a warn",
        "information": "nothing is demanded: it reports what it saw",
    }
    return f"{check.severity} ({meaning[check.severity]})"


def section_of_rfc(source: str) -> str:
    """Return ``6749 5.2`` as ``RFC 6749, section 5.2``, ``6749 B`` as ``RFC 6749, Appendix B``."""
    number, _, section = source.partition(" ")
    if not section:
        return f"RFC {number}"
    kind = "Appendix" if section[0].isalpha() else "section"
    return f"RFC {number}, {kind} {section}"


def _indented(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
