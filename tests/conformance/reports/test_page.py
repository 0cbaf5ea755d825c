"""The HTML page, as a text."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from reciprocal_oauth.conformance.reports import page
from reciprocal_oauth.conformance.reports.markup import Markup, tag
from reciprocal_oauth.conformance.verdicts import Verdict

from .sample import result, sample_document

EVIL = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;"
EMPTY = {"meta", "br", "hr"}


class Elements(HTMLParser):
    """Reads a page. Every element that is opened must be closed in its turn.

    :ivar found: names and attributes of the elements.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def texts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON value that holds a text: the container, and the key."""
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(places):
        if isinstance(each, str):
            yield value, key
        elif isinstance(each, dict | list):
            yield from texts(each)


@pytest.fixture
def html() -> str:
    return page.render(sample_document())


def test_the_page_is_well_formed(html: str) -> None:
    assert Elements(html).found[0] == ("html", {"lang": "en"})


def test_the_title_says_role_subject_and_date(html: str) -> None:
    title = "Party B, https://music.example/o/token/, 2026-01-02: conformance report"
    assert f"<title>{title}</title>" in html


def test_nothing_is_loaded_and_nothing_runs(html: str) -> None:
    names = {name for name, _ in Elements(html).found}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    attributes = {name for _, given in Elements(html).found for name in given}
    assert "style" not in attributes
    assert "src" not in attributes
    assert not [name for name in attributes if name.startswith("on")]


def test_the_policy_allows_the_style_sheet_of_the_page_only(html: str) -> None:
    css = re.search(r"<style>(.*)</style>", html, re.DOTALL)
    assert css is not None
    digest = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
    (policy,) = [
        given["content"]
        for _, given in Elements(html).found
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "url(" not in css[1]
    assert "@import" not in css[1]


def test_no_text_becomes_an_element() -> None:
    report = sample_document(dialect="x")
    kept = {"role", "verdict", "severity", "started", "direction"}
    for place, key in texts(report):
        if key not in kept:
            place[key] = EVIL
    found = Elements(page.render(report)).found
    assert "script" not in {name for name, _ in found}
    assert "img" not in {name for name, _ in found}
    assert not [given for _, given in found if "onerror" in given]


def test_all_links_lead_to_something_on_the_page(html: str) -> None:
    found = Elements(html).found
    ids = [given["id"] for _, given in found if "id" in given]
    targets = [given["href"] for name, given in found if name == "a"]
    assert len(set(ids)) == len(ids)
    assert {str(target) for target in targets} <= {f"#{each}" for each in ids}
    assert "#check-B-TOK-1" in targets


def test_sentences_come_first_then_threats_then_checks(html: str) -> None:
    order = ["sentences", "section-2.2.2", "threats", "checks", "checks-B-OK", "about"]
    places = [html.index(f'id="{each}"') for each in order]
    assert places == sorted(places)


def test_each_verdict_is_a_word(html: str) -> None:
    for verdict in (*map(str, Verdict), "not visible"):
        assert re.search(rf'aria-hidden="true">.</span>{verdict}</span>', html)


def unfolded(html: str) -> list[str]:
    return re.findall(r'<details class="check" open>.*?id="check-([\w-]+)"', html)


def test_what_somebody_must_look_at_is_unfolded(html: str) -> None:
    assert unfolded(html) == ["B-TOK-1", "B-TIME-1", "B-ANS-2"]


def test_what_somebody_must_look_at_is_named_at_the_top(html: str) -> None:
    named = html.split("To look at:")[1].split("</div>")[0]
    assert re.findall("#check-([A-Z0-9-]+)", named) == [
        "B-TOK-1",
        "B-AUTH-6",
        "B-TIME-1",
        "B-ANS-2",
    ]


def test_ids_in_the_reason_of_the_exit_are_not_broken(html: str) -> None:
    assert "</b> <code>B-TOK-1</code> fails. <code>B-ANS-2</code> has another" in html
    assert re.search(r"\.result code {[^}]*white-space: nowrap", html)


def test_the_page_says_what_threats_are(html: str) -> None:
    said = "Attacks and accidents that the checks tried. pass: it did no harm."
    assert html.index('id="threats"') < html.index(said) < html.index('id="threat-')


def test_checks_of_a_group_stand_together() -> None:
    results = [result("B-TOK-1"), result("B-AUTH-6"), result("B-TOK-2")]
    html = page.render(sample_document(results=results, expected={}))
    assert html.count('id="checks-B-TOK"') == 1


def test_a_received_exchange_has_no_curl_command(html: str) -> None:
    received = html.split("subject → tester")[1].split("</details>")[0]
    assert "127.0.0.1:8765/token" in received
    assert "curl" not in received


def test_an_exchange_that_was_sent_has_a_curl_command(html: str) -> None:
    assert "curl https://music.example/o/token/ \\\n  -H" in html
    assert "code=&lt;code 7&gt;" in html


def test_control_characters_are_shown(html: str) -> None:
    assert r"longer than 2 seconds: \x1b[2J\u202e\x00\ud800." in html
    html.encode()


def test_a_dialect_is_said_at_the_top(html: str) -> None:
    other = page.render(sample_document(dialect="alexa"))
    assert other.index("A dialect, not the draft.") < other.index("<nav")
    assert "A dialect, not the draft." not in html


def test_a_run_without_checks_has_a_page() -> None:
    html = page.render(sample_document(results=[], expected={}, config={}))
    Elements(html)
    assert "No check ran." in html
    assert "unknown subject" in html


def test_the_page_is_in_the_package() -> None:
    assert "color-scheme: light dark" in page.render(sample_document())


# --- Markup ------------------------------------------------------------------------------------


def test_texts_are_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", Markup("<b>")) == "<p>&lt;b&gt;<b></p>"


def test_attributes_are_escaped() -> None:
    assert tag("a", title="\"<'", href="") == '<a title="&quot;&lt;&#x27;"></a>'


def test_flags_are_attributes_without_a_value() -> None:
    assert tag("details", open=True, hidden=False) == "<details open></details>"
