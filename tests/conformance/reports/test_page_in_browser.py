"""The HTML page in Chromium: nothing is wrong for axe, nothing scrolls sideways, and links unfold
what they lead to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reciprocal_oauth.conformance.reports import files
from tests.browser.people import faults_of

from .sample import sample_document

pytestmark = pytest.mark.browser

WIDTHS = (360, 768, 1400)
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
IS_WIDER = "document.documentElement.scrollWidth > window.innerWidth"
IS_UNFOLDED = "id => document.getElementById(id).checkVisibility()"


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """A page with a long address without spaces in it."""
    report = sample_document(dialect="of a vendor", notes=["https://music.example/" + "a" * 300])
    report["config"]["subject"]["issuer"] = "https://music.example/" + "b" * 200
    files.write_reports(report, {"html": tmp_path / "run.html"})
    return tmp_path / "run.html"


@pytest.fixture
def complaints() -> list[str]:
    """What the browser writes to its console."""
    return []


@pytest.fixture
def shown(chromium: Any, page_file: Path, complaints: list[str]) -> Iterator[Any]:
    """The page in a browser that runs no script of the page's."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(page_file.as_uri())
    assert complaints.pop(0) == page_file.as_uri()
    yield page
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(shown: Any, scheme: str) -> None:
    shown.emulate_media(color_scheme=scheme)
    shown.evaluate(UNFOLD)
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 900})
        assert faults_of(shown) == [], width


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_scrolls_sideways(shown: Any, width: int) -> None:
    shown.set_viewport_size({"width": width, "height": 900})
    shown.evaluate(UNFOLD)
    assert not shown.evaluate(IS_WIDER)


def test_the_policy_keeps_nothing_out_and_nothing_is_loaded(
    shown: Any, complaints: list[str]
) -> None:
    assert shown.evaluate("getComputedStyle(document.querySelector('nav')).borderStyle") == "solid"
    assert complaints == []


def test_a_link_to_a_check_unfolds_it(shown: Any) -> None:
    assert not shown.evaluate(IS_UNFOLDED, "check-B-TOK-2")
    shown.locator("#sentence-2\\.2\\.2\\/10").get_by_text("B-TOK-2").click()
    assert shown.evaluate(IS_UNFOLDED, "check-B-TOK-2")
    assert shown.locator("summary", has_text="B-TOK-2").bounding_box()["y"] >= 0


def test_checks_are_unfolded_on_paper_and_exchanges_are_not(shown: Any) -> None:
    shown.emulate_media(media="print", color_scheme="dark")
    assert shown.evaluate(IS_UNFOLDED, "check-B-TOK-2")
    assert not shown.locator(".exchange pre").first.evaluate("each => each.checkVisibility()")
    colour = "getComputedStyle(document.querySelector('h2')).color"
    assert shown.evaluate(colour) == "rgb(27, 31, 39)"
