"""The checks on the HTML page: what each does and saw, and its exchanges."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..listing import section_of_rfc
from ..verdicts import Verdict
from . import curl
from .badges import badge
from .document import parties_of
from .markup import Markup, joined, tag


def check(entry: Mapping[str, Any], *, sentences: set[str], threats: set[str]) -> Markup:
    """Return a check. It is unfolded if it fails or is inconclusive.

    :param sentences: keys of the sentences that are on the page.
    :param threats: IDs of the threats that are on the page.
    """
    summary = tag(
        "summary",
        tag("span", badge(entry["verdict"]), class_="verdict"),
        tag("span", entry["id"], class_="id"),
        tag("span", entry["title"], class_="title"),
        _marks(entry),
    )
    facts = [
        *_facts(entry),
        _sources(entry, sentences),
        _fact("Threats", _links(entry["threats"], threats, "threat")),
    ]
    # The content has the ID, because a link into folded content unfolds it.
    content = tag(
        "div",
        tag("dl", *facts),
        *_exchanges(entry),
        class_="content",
        id=f"check-{entry['id']}",
    )
    is_open = entry["verdict"] in (Verdict.FAIL, Verdict.INCONCLUSIVE) or entry["unexpected"]
    return tag("details", summary, content, class_="check", open=is_open)


def _marks(entry: Mapping[str, Any]) -> Markup:
    marks = [entry["severity"]]
    if entry["control"]:
        marks.append("control")
    if entry["unexpected"]:
        marks.append("not as expected")
    elif entry["expectation"] is not None:
        marks.append("known")
    return tag("span", *(tag("span", each, class_="mark") for each in marks), class_="marks")


def _facts(entry: Mapping[str, Any]) -> Iterator[Markup]:
    yield _fact("Does", entry["does"])
    yield _fact("Expects", entry["expects"])
    yield _fact("Expected here", entry["expected"])
    yield _fact("Observed", entry["observed"])
    expectation = entry["expectation"]
    if expectation is not None:
        name = "Other than known" if entry["unexpected"] else "Known"
        yield _fact(name, f"{expectation['verdict']} is expected. {expectation['why']}")
    yield from (_fact("Note", each) for each in entry["notes"])
    yield _fact("Took", f"{entry['seconds']:.2f} s")


def _sources(entry: Mapping[str, Any], sentences: set[str]) -> Markup:
    links = _links(entry["sentences"], sentences, "sentence", before="draft ")
    rfcs = ", ".join(section_of_rfc(each) for each in entry["rfcs"])
    between = ", " if links and rfcs else ""
    return _fact("Sources", joined([links, between, rfcs]))


def _links(names: list[str], on_page: set[str], kind: str, before: str = "") -> Markup:
    parts: list[str] = []
    for name in names:
        text = f"{before}{name}"
        parts += [", "] if parts else []
        parts.append(tag("a", text, href=f"#{kind}-{name}") if name in on_page else text)
    return joined(parts)


def _fact(name: str, value: str) -> Markup:
    return joined([tag("dt", name), tag("dd", value)]) if value else Markup("")


# --- Exchanges ---------------------------------------------------------------------------------


def _exchanges(entry: Mapping[str, Any]) -> Iterator[Markup]:
    if entry["evidence"]:
        number = len(entry["evidence"])
        yield tag("h4", f"{number} HTTP {'exchange' if number == 1 else 'exchanges'}")
    yield from map(_exchange, entry["evidence"])


def _exchange(item: Mapping[str, Any]) -> Markup:
    end = "no response" if item["status"] is None else str(item["status"])
    summary = tag(
        "summary",
        tag("span", f"{item['at']:.2f} s", class_="at"),
        tag("span", " → ".join(parties_of(item)), class_="who"),
        tag("span", item["method"], " ", item["url"], class_="request"),
        tag("span", end, class_="status"),
    )
    parts = [tag("p", item["note"])] if item["note"] else []
    parts.append(_block("Request", _request(item)))
    if item["error"]:
        parts.append(tag("p", tag("b", "No response: "), item["error"]))
    if item["status"] is not None:
        parts.append(_block(f"Response after {item['seconds']:.2f} s", _response(item)))
    if item["direction"] == "sent":
        parts.append(_block("The same request with curl", curl.command(item)))
    return tag("details", summary, tag("div", *parts, class_="content"), class_="exchange")


def _block(name: str, text: str) -> Markup:
    return tag("figure", tag("figcaption", name), tag("pre", tag("code", text)))


def _request(item: Mapping[str, Any]) -> str:
    return _message(f"{item['method']} {item['url']}", item, "request")


def _response(item: Mapping[str, Any]) -> str:
    return _message(f"{item['status']} {item['reason']}".rstrip(), item, "response")


def _message(first: str, item: Mapping[str, Any], kind: str) -> str:
    headers = [f"{name}: {value}" for name, value in item[f"{kind}_headers"]]
    body = ["", item[f"{kind}_body"]] if item[f"{kind}_body"] else []
    return "\n".join([first, *headers, *body])
