"""What a browser makes of a page for its reader: times in the reader's own time zone, steps that
are opened, paper, and colours of the reader's own choice."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from example_project.sites import Site

from .people import DESKTOP, PHONE, faults_of, go_to_consent, open_steps, wait_for_both_ways

pytestmark = [pytest.mark.browser, pytest.mark.two_process]

OpenPage = Callable[..., Any]

#: Adds up how far the parts of the page move while it loads.
WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver(list => {
  for (const each of list.getEntries()) window.shifted += each.value;
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def connected(sites: tuple[Site, Site], new_page: OpenPage) -> tuple[str, Any]:
    """The address of a link that works both ways, and the cookies of the person."""
    page = new_page(**DESKTOP)
    go_to_consent(page, *sites)
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    wait_for_both_ways(page)
    return page.url, page.context.storage_state()


def times_on(page: Any) -> list[dict[str, str]]:
    return page.locator("time").evaluate_all(
        """all => all.map(time => (
        {text: time.textContent, title: time.title, at: time.dateTime}))"""
    )


def test_times_are_in_the_time_zone_and_the_manner_of_the_reader(
    sites: tuple[Site, Site], connected: tuple[str, Any], new_page: OpenPage
) -> None:
    assistant, _music = sites
    link, cookies = connected
    plain = new_page(**DESKTOP, storage_state=cookies, java_script_enabled=False)
    plain.goto(link)
    written = plain.locator("time").all_text_contents()
    assert all(text.endswith(" UTC") for text in written)

    for zone, name, language, clock in (
        ("Asia/Kolkata", "GMT+5:30", "en-GB", "%-H:%M"),
        ("America/Phoenix", "MST", "en-US", "%-I:%M"),
    ):
        page = new_page(**PHONE, storage_state=cookies, timezone_id=zone, locale=language)
        page.add_init_script(WATCH_SHIFTS)
        page.goto(link)
        shown = times_on(page)
        assert [time["title"] for time in shown] == written
        for time in shown:
            local = datetime.fromisoformat(time["at"]).astimezone(ZoneInfo(zone))
            assert local.strftime(clock) in time["text"]
            assert time["text"].endswith(name)
            assert f"{local.day}" in time["text"]
        assert page.evaluate("window.shifted") == 0
        assert faults_of(page) == []

        page.goto(f"{assistant.url}/connections/")
        assert all(time["text"].endswith(name) for time in times_on(page))
        assert page.evaluate("window.shifted") == 0


def test_a_page_whose_link_is_complete_does_not_ask_again(
    connected: tuple[str, Any], new_page: OpenPage
) -> None:
    link, cookies = connected
    page = new_page(**DESKTOP, storage_state=cookies)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(link)

    # The first question would come after half a second.
    page.wait_for_timeout(1500)

    assert [url for url in asked if url.endswith("/status/")] == []


def test_the_steps_are_opened_with_the_keyboard_and_stay_open(
    connected: tuple[str, Any], new_page: OpenPage
) -> None:
    link, cookies = connected
    page = new_page(**PHONE, storage_state=cookies)
    page.goto(link)
    diagram = page.locator(".ro-diagram")
    assert not diagram.is_visible()

    page.locator("summary").press("Enter")

    assert diagram.is_visible()
    assert page.locator(".ro-history").is_visible()
    page.locator("summary").press("Enter")
    assert not diagram.is_visible()


def test_on_paper_the_steps_are_open_and_there_is_nothing_to_press(
    connected: tuple[str, Any], new_page: OpenPage, picture: Callable[[Any, str], None]
) -> None:
    link, cookies = connected
    page = new_page(**DESKTOP, storage_state=cookies)
    page.goto(link)

    page.emulate_media(media="print")

    picture(page, "link-on-paper")
    assert page.locator(".ro-diagram").is_visible()
    assert page.locator(".ro-history").is_visible()
    assert not page.locator(".ro-button").first.is_visible()


def test_with_colours_of_the_readers_choice_everything_can_still_be_told_apart(
    sites: tuple[Site, Site],
    connected: tuple[str, Any],
    new_page: OpenPage,
    picture: Callable[[Any, str], None],
) -> None:
    assistant, _music = sites
    link, cookies = connected
    page = new_page(**DESKTOP, storage_state=cookies)
    page.emulate_media(forced_colors="active")
    for name, address in {"list": f"{assistant.url}/connections/", "link": link}.items():
        page.goto(address)
        if name == "link":
            open_steps(page)
        picture(page, f"{name}-forced-colours")
        for part in (".ro-direction", ".ro-state--whole", ".ro-arrow"):
            width = "element => getComputedStyle(element).borderBlockStartWidth"
            assert page.locator(part).first.evaluate(width) != "0px", part
