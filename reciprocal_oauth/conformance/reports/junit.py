"""The report as JUnit XML, which continuous integration servers show.

====================== =========================================
verdict                test case
====================== =========================================
pass, warn             passes; ``system-out`` says what was seen
fail                   ``failure``
inconclusive           ``error``
not tested             ``skipped``
known, as expected     passes; ``system-out`` says what is known
other than expected    ``failure``, or ``error`` if inconclusive
warn with ``--strict`` ``failure``
====================== =========================================
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ..listing import section_of_rfc
from ..verdicts import Verdict
from .characters import visible
from .document import subject_of

_ELEMENTS: Final = ("failure", "error", "skipped")


def render(report: Mapping[str, Any]) -> str:
    """Return a document as JUnit XML: one suite, with a test case for each check."""
    sentences = {each["key"]: each["text"] for each in report["sentences"]}
    cases = [_case(each, sentences, is_strict=report["strict"]) for each in report["checks"]]
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", _attributes(report, cases))
    suite.append(_properties(report))
    suite.extend(cases)
    _text(suite, "system-out", "\n".join(_about(report)))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, "unicode") + "\n"


def _attributes(report: Mapping[str, Any], cases: list[ET.Element]) -> dict[str, str]:
    dialect = f" (a dialect, not the draft: {report['dialect']})" if report["dialect"] else ""
    counts = {name: sum(case.find(name) is not None for case in cases) for name in _ELEMENTS}
    started = datetime.fromisoformat(report["started"]).astimezone(UTC)
    return {
        "name": visible(f"{report['draft']} party {report['role'].upper()}{dialect}"),
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
        "time": f"{report['seconds']:.3f}",
        # The schema knows no time zone here.
        "timestamp": started.replace(tzinfo=None).isoformat(timespec="seconds"),
    }


def _properties(report: Mapping[str, Any]) -> ET.Element:
    values = {
        "tool": f"{report['tool']['name']} {report['tool']['version']}",
        "draft": report["draft"],
        "role": report["role"],
        "subject": subject_of(report),
        "dialect": report["dialect"],
        "exit": str(report["exit"]),
    }
    properties = ET.Element("properties")
    for name, value in values.items():
        if value:
            ET.SubElement(properties, "property", {"name": name, "value": visible(value)})
    return properties


def _case(entry: Mapping[str, Any], sentences: Mapping[str, str], *, is_strict: bool) -> ET.Element:
    prefix = entry["id"].rpartition("-")[0]
    case = ET.Element(
        "testcase",
        {
            "classname": visible(f"party_{entry['role']}.{prefix}"),
            "name": visible(f"{entry['id']} {entry['title']}"),
            "time": f"{entry['seconds']:.3f}",
        },
    )
    kind = _element_of(entry, is_strict=is_strict)
    lines = list(_details(entry, sentences))
    if kind == "skipped":
        ET.SubElement(case, kind, {"message": visible(_message(entry))})
    elif kind:
        attributes = {"type": entry["severity"], "message": visible(_message(entry))}
        ET.SubElement(case, kind, attributes).text = visible("\n".join(lines))
    said = [*_known(entry), *([] if kind else lines), *(f"Note: {each}" for each in entry["notes"])]
    if said:
        _text(case, "system-out", "\n".join(said))
    return case


def _element_of(entry: Mapping[str, Any], *, is_strict: bool) -> str:
    """Return the element that a test case needs, or an empty text if it passes."""
    verdict = Verdict(entry["verdict"])
    if entry["unexpected"]:
        return "error" if verdict is Verdict.INCONCLUSIVE else "failure"
    if verdict is Verdict.NOT_TESTED:
        return "skipped"
    if entry["expectation"] is not None:
        return ""
    if verdict is Verdict.WARN:
        return "failure" if is_strict else ""
    return {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error"}.get(verdict, "")


def _message(entry: Mapping[str, Any]) -> str:
    if not entry["unexpected"]:
        return str(entry["observed"])
    return f"{entry['verdict']}, but {entry['expectation']['verdict']} was expected."


def _known(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["expectation"] is not None and not entry["unexpected"]:
        yield f"Known: {entry['verdict']} is expected. {entry['expectation']['why']}"


def _details(entry: Mapping[str, Any], sentences: Mapping[str, str]) -> Iterator[str]:
    """Return what was expected and seen, unless there is nothing to say."""
    if entry["unexpected"]:
        yield f"Why {entry['expectation']['verdict']} was expected: {entry['expectation']['why']}"
    if entry["verdict"] in (Verdict.PASS, Verdict.NOT_TESTED):
        return
    yield f"Verdict: {entry['verdict']}"
    yield f"Expected: {entry['expected'] or entry['expects']}"
    yield f"Observed: {entry['observed']}"
    for key in entry["sentences"]:
        yield f'Draft {key}: "{sentences.get(key, "")}"'
    for source in entry["rfcs"]:
        yield f"Source: {section_of_rfc(source)}"


def _about(report: Mapping[str, Any]) -> Iterator[str]:
    if report["dialect"]:
        yield f"A dialect, not the draft: {report['dialect']}."
    yield f"Exit status {report['exit']}: {report['exit_reason']}"
    yield from (f"Note: {note}" for note in report["notes"])


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = visible(text)
