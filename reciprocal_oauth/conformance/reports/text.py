"""The report as text: a few lines for each check as it ends, and a summary."""

import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from ..exit_status import Expectation
from ..listing import section_of_rfc
from ..results import CheckResult
from ..sentences import all_sentences
from ..verdicts import WORST_FIRST, Severity, Verdict
from .characters import visible
from .document import NOT_SELECTED, check_entry, parties_of, subject_of

#: Columns where reports are not written to a terminal, and the limits where they are.
WIDTH: Final = 100
NARROWEST: Final = 60
WIDEST: Final = 120
#: Stand before a verdict, so that faults are found without colours.
MARKS: Final = {
    Verdict.PASS: " ",
    Verdict.WARN: "!",
    Verdict.FAIL: "x",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_TESTED: "-",
}
_COLOURS: Final = {
    Verdict.PASS: "32",
    Verdict.WARN: "33",
    Verdict.FAIL: "1;31",
    Verdict.INCONCLUSIVE: "35",
    Verdict.NOT_TESTED: "2",
}
_VERDICT_WIDTH: Final = 12
_INDENT: Final = 16
_LABEL: Final = 10
#: Under these verdicts, a check says what was expected and what was seen.
_EXPLAINED: Final = (Verdict.FAIL, Verdict.WARN, Verdict.INCONCLUSIVE)


def is_coloured(stream: TextIO) -> bool:
    """Return whether colours are wanted: on a terminal, unless NO_COLOR is set."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def width_of(stream: TextIO) -> int:
    """Return how many columns a line may have."""
    if not stream.isatty():
        return WIDTH
    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST), WIDEST)


def line(
    result: CheckResult,
    expectation: Expectation | None,
    is_verbose: bool,
    *,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """Return what to say about a check as it ends: a line, and more lines if it is no pass.

    :param is_verbose: say the notes and the exchanges too. The notes of a check that demands
        nothing are always said: they are its result.
    """
    sentences = {key: sentence.text for key, sentence in all_sentences().items()}
    writer = _Writer(colour, width)
    return writer.check(check_entry(result, expectation), sentences, is_verbose)


def summary(report: Mapping[str, Any], *, colour: bool = False, width: int = WIDTH) -> str:
    """Return what to say about a run at its end."""
    return _Writer(colour, width).summary(report)


def render(
    report: Mapping[str, Any],
    *,
    is_verbose: bool = False,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """Return a document as text: its checks, then the summary."""
    writer = _Writer(colour, width)
    sentences = {each["key"]: each["text"] for each in report["sentences"]}
    checks = [writer.check(each, sentences, is_verbose) for each in report["checks"]]
    return "\n".join([*checks, "", writer.summary(report), ""])


class _Writer:
    """Makes lines of a width, in colours or not."""

    def __init__(self, colour: bool, width: int) -> None:
        self._colour = colour
        self._width = width

    # --- A check -------------------------------------------------------------------------------

    def check(
        self, entry: Mapping[str, Any], sentences: Mapping[str, str], is_verbose: bool
    ) -> str:
        head = f"{entry['id']:<10}  {entry['title']}"
        lines = [self._row(entry["verdict"], head, indent=_INDENT + 12)]
        if entry["verdict"] in _EXPLAINED:
            lines += self._faults(entry, sentences)
        elif entry["verdict"] == Verdict.NOT_TESTED:
            lines += self._labelled("Because", entry["observed"])
        lines += self._expectation(entry)
        if is_verbose or entry["severity"] == Severity.INFORMATION:
            lines += [each for note in entry["notes"] for each in self._labelled("Note", note)]
        if is_verbose:
            lines += [each for item in entry["evidence"] for each in self._exchange(item)]
        return "\n".join(lines)

    def _faults(self, entry: Mapping[str, Any], sentences: Mapping[str, str]) -> Iterator[str]:
        yield from self._labelled("Expected", entry["expected"] or entry["expects"])
        yield from self._labelled("Observed", entry["observed"])
        if entry["verdict"] == Verdict.INCONCLUSIVE:
            # Nothing is known about what these demand.
            return
        for key in entry["sentences"]:
            yield from self._labelled("Draft", f'{key} "{sentences.get(key, "")}"')
        if entry["rfcs"]:
            sources = "; ".join(section_of_rfc(each) for each in entry["rfcs"])
            yield from self._labelled("Source", sources)

    def _expectation(self, entry: Mapping[str, Any]) -> Iterator[str]:
        expectation = entry["expectation"]
        if expectation is None:
            return
        if entry["unexpected"]:
            text = f"{expectation['verdict']} was expected: {expectation['why']}"
            yield from self._labelled("Changed", text)
        else:
            yield from self._labelled("Known", expectation["why"])

    def _exchange(self, item: Mapping[str, Any]) -> Iterator[str]:
        who = " to ".join(parties_of(item))
        yield from self._labelled("Exchange", f"{who}, at {item['at']:.2f} s")
        if item["note"]:
            yield from self._labelled("", item["note"])
        indent = " " * _INDENT
        request = [f"{item['method']} {item['url']}", *_message(item, "request")]
        yield from (f"{indent}> {visible(each)}".rstrip() for each in request)
        if item["error"]:
            yield from self._labelled("", f"No response: {item['error']}")
        if item["status"] is not None:
            status = f"{item['status']} {item['reason']}".rstrip()
            response = [f"{status} after {item['seconds']:.2f} s", *_message(item, "response")]
            yield from (f"{indent}< {visible(each)}".rstrip() for each in response)

    # --- The summary ---------------------------------------------------------------------------

    def summary(self, report: Mapping[str, Any]) -> str:
        parts = [
            self._head(report),
            self._judged(report, "sentences", "Sentences of the draft", "key"),
            self._judged(report, "threats", "Threats", "id"),
            self._unexpected(report["checks"]),
            self._end(report),
        ]
        return "\n\n".join("\n".join(part) for part in parts if part)

    def _head(self, report: Mapping[str, Any]) -> list[str]:
        started = datetime.fromisoformat(report["started"])
        lines = self._paragraph(
            f"Party {report['role'].upper()} {subject_of(report)}".strip() + f", {report['draft']}"
        )
        took = f"{started:%Y-%m-%d %H:%M} UTC, {report['seconds']:.0f} seconds"
        lines += self._paragraph(took)
        if report["dialect"]:
            lines += self._paragraph(f"A DIALECT, NOT THE DRAFT: {report['dialect']}")
        lines += [each for note in report["notes"] for each in self._paragraph(f"Note: {note}")]
        counts = report["counts"]
        said = [
            self._painted(each, f"{counts[each]} {each}")
            for each in reversed(WORST_FIRST)
            if counts[each]
        ]
        total = len(report["checks"])
        lines.append(f"{total} {'check' if total == 1 else 'checks'}: {', '.join(said) or 'none'}")
        return lines

    def _judged(self, report: Mapping[str, Any], kind: str, heading: str, name: str) -> list[str]:
        """Return the lines about the sentences or threats that are not a pass, the worst first."""
        verdicts = {each["id"]: each["verdict"] for each in report["checks"]}
        seen = [each for each in report[kind] if each["verdict"] is not None]
        passed = sum(each["verdict"] == Verdict.PASS for each in seen)
        lines = [f"{heading}: {passed} of {len(seen)} pass"]
        left_out = sum(each["why"] == NOT_SELECTED for each in seen)
        for verdict in WORST_FIRST:
            for each in seen:
                if each["verdict"] == verdict != Verdict.PASS and each["why"] != NOT_SELECTED:
                    lines += self._one_judged(each, name, verdicts)
        if left_out:
            # They are many if only some checks were chosen. The other reports name them.
            lines.append(f"  Not in this run: {left_out} {kind[:-1] if left_out == 1 else kind}")
        return lines if seen else []

    def _one_judged(
        self, entry: Mapping[str, Any], name: str, verdicts: Mapping[str, str]
    ) -> Iterator[str]:
        quote = '"' if name == "key" else ""
        text = f"{entry[name]:<10}  {quote}{entry['text']}{quote}"
        yield self._row(entry["verdict"], text, indent=_INDENT + 12)
        of_checks = [(each, verdicts.get(each, "unknown")) for each in entry["checks"]]
        said = [f"{check_id} {each}" for check_id, each in of_checks if each != Verdict.PASS]
        if len(said) < len(of_checks):
            said.append(f"{len(of_checks) - len(said)} pass")
        yield from self._wrapped(" " * (_INDENT + 12), entry["why"] or ", ".join(said))

    def _unexpected(self, checks: list[dict[str, Any]]) -> list[str]:
        lines = []
        for each in checks:
            if each["unexpected"]:
                expectation = each["expectation"]
                known = f"{expectation['verdict']} was expected: {expectation['why']}"
                lines.append(self._row(each["verdict"], f"{each['id']:<10}  {known}", _INDENT + 12))
        return ["Verdicts other than expected", *lines] if lines else []

    def _end(self, report: Mapping[str, Any]) -> list[str]:
        return self._paragraph(f"Exit status {report['exit']}: {report['exit_reason']}")

    # --- Lines ---------------------------------------------------------------------------------

    def _row(self, verdict: str, text: str, indent: int) -> str:
        """Return lines that begin with a verdict, the later ones indented."""
        shown = f"{MARKS[Verdict(verdict)]} {verdict:<{_VERDICT_WIDTH}}  "
        first, *others = self._wrapped(" " * len(shown), text, indent)
        return "\n".join([self._painted(verdict, shown) + first[len(shown) :], *others])

    def _labelled(self, label: str, text: str) -> list[str]:
        if not text:
            return []
        return self._wrapped(f"{'':<{_INDENT}}{label:<{_LABEL}}  ", text)

    def _paragraph(self, text: str) -> list[str]:
        return self._wrapped("", text)

    def _wrapped(self, start: str, text: str, indent: int | None = None) -> list[str]:
        indented = " " * (len(start) if indent is None else indent)
        lines: list[str] = []
        for each in visible(text).split("\n"):
            lines += textwrap.wrap(
                each,
                self._width,
                initial_indent=indented if lines else start,
                subsequent_indent=indented,
                break_long_words=False,
                break_on_hyphens=False,
            )
        return lines or [start.rstrip()]

    def _painted(self, verdict: str, text: str) -> str:
        return f"\x1b[{_COLOURS[Verdict(verdict)]}m{text}\x1b[0m" if self._colour else text


def _message(item: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Return the lines of a request or response behind its first one."""
    yield from (f"{name}: {value}" for name, value in item[f"{kind}_headers"])
    if item[f"{kind}_body"]:
        yield ""
        yield from visible(item[f"{kind}_body"]).split("\n")
