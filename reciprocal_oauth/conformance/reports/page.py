"""The report as an HTML page: one file without scripts, which loads nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from itertools import groupby
from typing import Any

from ..verdicts import WORST_FIRST, Verdict
from .badges import badge, check_links, counts
from .check_details import check
from .document import subject_of
from .markup import Markup, joined, tag

_PARTIES = {"a": "Party A", "b": "Party B"}


def render(report: Mapping[str, Any]) -> str:
    """Return a document as an HTML page."""
    main = tag("main", *_sentences(report), *_threats(report), *_checks(report), *_about(report))
    body = tag("body", _header(report), tag("div", _contents(report), main, class_="columns"))
    return f"<!DOCTYPE html>\n{tag('html', _head(report), body, lang='en')}\n"


def _head(report: Mapping[str, Any]) -> Markup:
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    subject = subject_of(report) or "unknown subject"
    about = f"{_PARTIES[report['role']]}, {subject}, {_started(report):%Y-%m-%d}"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{about}: conformance report"),
        tag("style", Markup(css)),
    )


def _started(report: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(report["started"])


def _header(report: Mapping[str, Any]) -> Markup:
    subject = subject_of(report)
    parts = [
        tag("p", f"Conformance report, {report['draft']}", class_="eyebrow"),
        tag("h1", _PARTIES[report["role"]], " ", tag("span", subject, class_="subject")),
    ]
    if report["dialect"]:
        text = (
            f" This run tested the dialect “{report['dialect']}”. It says nothing about the draft."
        )
        parts.append(tag("p", tag("b", "A dialect, not the draft."), text, class_="dialect"))
    result = "good" if report["exit"] == 0 else "bad" if report["exit"] == 1 else "open"
    status = tag("b", f"Exit status {report['exit']}.")
    parts.append(tag("p", status, " ", _reason(report), class_=f"result {result}"))
    totals = [
        tag("li", badge(each), " ", tag("b", str(report["counts"][each]))) for each in WORST_FIRST
    ]
    parts += [tag("ul", *totals, class_="totals"), _faults(report)]
    parts += [tag("p", tag("b", "Note: "), each, class_="note") for each in report["notes"]]
    started = tag("time", f"{_started(report):%Y-%m-%d %H:%M} UTC", datetime=report["started"])
    number = len(report["checks"])
    took = f", {number} {'check' if number == 1 else 'checks'} in {report['seconds']:.0f} s, by "
    tool = f"{report['tool']['name']} {report['tool']['version']}"
    parts.append(tag("p", started, took, tool, class_="facts"))
    return tag("header", *parts)


def _reason(report: Mapping[str, Any]) -> Markup:
    """Return the reason of the exit status, with elements for the IDs: no line breaks in them."""
    ids = {each["id"] for each in report["checks"]}
    words = re.split(r"([\w-]+)", report["exit_reason"])
    return joined(tag("code", word) if word in ids else word for word in words)


def _faults(report: Mapping[str, Any]) -> Markup:
    """Return links to what somebody who opens the page looks for."""
    faults = [
        each["id"]
        for each in report["checks"]
        if each["verdict"] in (Verdict.FAIL, Verdict.WARN, Verdict.INCONCLUSIVE)
        or each["unexpected"]
    ]
    if not faults:
        return Markup("")
    return tag(
        "div", tag("b", "To look at:"), check_links(faults, _verdicts(report)), class_="faults"
    )


# --- Table of contents -------------------------------------------------------------------------


def _contents(report: Mapping[str, Any]) -> Markup:
    items = []
    if report["sentences"]:
        sections = _by_section(report["sentences"])
        inner = [
            _entry(f"section-{number}", f"{number} {title}", (each["verdict"] for each in entries))
            for number, title, entries in sections
        ]
        verdicts = [each["verdict"] for each in report["sentences"]]
        items.append(_entry("sentences", "Sentences", verdicts, inner))
    if report["threats"]:
        verdicts = [each["verdict"] for each in report["threats"]]
        items.append(_entry("threats", "Threats", verdicts))
    groups = [
        _entry(f"checks-{name}", name, (each["verdict"] for each in entries))
        for name, entries in _by_group(report["checks"])
    ]
    items.append(_entry("checks", "Checks", [each["verdict"] for each in report["checks"]], groups))
    items.append(_entry("about", "About this run", []))
    return tag("nav", tag("h2", "Contents"), tag("ul", *items), aria_label="Contents")


def _entry(
    target: str, text: str, verdicts: Iterable[str | None], inner: list[Markup] | None = None
) -> Markup:
    numbers = tag("span", counts(verdicts), class_="counts")
    under = tag("ul", *inner) if inner else Markup("")
    return tag("li", tag("div", tag("a", text, href=f"#{target}"), " ", numbers), under)


def _by_section(
    sentences: list[dict[str, Any]],
) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    for (number, title), entries in groupby(
        sentences, key=lambda each: (each["section"], each["section_title"])
    ):
        yield number, title, list(entries)


def _by_group(checks: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the checks by what their IDs begin with. Those of a group need not follow each other:
    the order of a run is another one."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in checks:
        groups.setdefault(each["id"].rpartition("-")[0], []).append(each)
    yield from groups.items()


# --- Sections ----------------------------------------------------------------------------------


def _sentences(report: Mapping[str, Any]) -> Iterator[Markup]:
    if not report["sentences"]:
        return
    verdicts = _verdicts(report)
    parts = [tag("h2", "Sentences of the draft", id="sentences")]
    for number, title, entries in _by_section(report["sentences"]):
        parts.append(tag("h3", f"{number} {title}", id=f"section-{number}"))
        items = [_judged(each, "sentence", each["key"], verdicts) for each in entries]
        parts.append(tag("ul", *items, class_="judged"))
    yield tag("section", *parts)


def _threats(report: Mapping[str, Any]) -> Iterator[Markup]:
    if report["threats"]:
        verdicts = _verdicts(report)
        items = [_judged(each, "threat", each["id"], verdicts) for each in report["threats"]]
        about = tag("p", "Attacks and accidents that the checks tried. pass: it did no harm.")
        list_ = tag("ul", *items, class_="judged")
        yield tag("section", tag("h2", "Threats", id="threats"), about, list_)


def _verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    return {each["id"]: each["verdict"] for each in report["checks"]}


def _judged(entry: Mapping[str, Any], kind: str, name: str, verdicts: Mapping[str, str]) -> Markup:
    text = tag("blockquote" if kind == "sentence" else "p", entry["text"], class_="text")
    return tag(
        "li",
        tag("div", badge(entry["verdict"]), tag("span", name, class_="id"), class_="verdict"),
        tag(
            "div",
            text,
            tag("p", entry["why"], class_="why") if entry["why"] else "",
            check_links(entry["checks"], verdicts),
        ),
        id=f"{kind}-{name}",
    )


def _checks(report: Mapping[str, Any]) -> Iterator[Markup]:
    sentences = {each["key"] for each in report["sentences"]}
    threats = {each["id"] for each in report["threats"]}
    parts = [tag("h2", "Checks", id="checks")]
    for name, entries in _by_group(report["checks"]):
        parts.append(tag("h3", name, id=f"checks-{name}"))
        parts += [check(each, sentences=sentences, threats=threats) for each in entries]
    if not report["checks"]:
        parts.append(tag("p", "No check ran."))
    yield tag("section", *parts)


def _about(report: Mapping[str, Any]) -> Iterator[Markup]:
    meanings = {
        "pass": "The subject does what is expected.",
        "warn": "A SHOULD is not followed, or the sentence leaves room for what was seen.",
        "fail": "A MUST is not followed, or an attack works.",
        "inconclusive": "The check could not be carried out. Nothing is known.",
        "not tested": "The configuration does not give what the check needs.",
    }
    legend = [joined([tag("dt", badge(each)), tag("dd", meanings[each])]) for each in meanings]
    worst_of = (
        "A sentence or threat has the worst verdict of its checks: fail, warn, inconclusive, "
        "not tested, pass."
    )
    placeholders = (
        "A value in angle brackets, such as <code 7>, stands for a secret. The same value has the "
        "same name everywhere in this report."
    )
    config = json.dumps(report["config"], indent=2, ensure_ascii=False)
    yield tag(
        "section",
        tag("h2", "About this run", id="about"),
        tag("dl", *legend, class_="legend"),
        tag("p", worst_of),
        tag("p", placeholders),
        tag("h3", "Configuration"),
        tag("pre", tag("code", config)),
    )
