"""Two sites whose session cookies are ``SameSite=Strict``, and what browsers make of that."""

from collections.abc import Callable
from typing import Any

import pytest

from example_project.sites import Site

from .conftest import forget_links
from .people import DESKTOP, PHONE, sign_in, wait_for_both_ways

pytestmark = [pytest.mark.browser, pytest.mark.two_process, pytest.mark.threat("L101")]


@pytest.fixture
def sites(strict_sites: tuple[Site, Site]) -> tuple[Site, Site]:
    return forget_links(strict_sites)


def connect(page: Any, assistant: Site, music: Site) -> None:
    """From the assistant's list of connections to the question of the music service, which asks
    people to sign in again who come from another site: their cookie is strict there as well."""
    sign_in(page, assistant)
    page.goto(f"{assistant.url}/connections/")
    page.get_by_role("button", name="Connect Music").click()
    page.wait_for_url(f"{music.url}/accounts/login/**")
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", "alice")
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{music.url}/o/authorize/**")


def requests_with_the_code(page: Any) -> list[tuple[str, dict[str, str]]]:
    """Notes the address and headers of each request of ``page`` that has a code in it, or in its
    referrer."""
    seen: list[tuple[str, dict[str, str]]] = []

    def note(request: Any) -> None:
        headers = request.all_headers()
        if "code=" in request.url or "code=" in headers.get("referer", ""):
            seen.append((request.url, headers))

    page.on("requestfinished", note)
    return seen


@pytest.mark.parametrize(
    ("options", "script"),
    [
        pytest.param(DESKTOP, True, id="desktop"),
        pytest.param(PHONE, False, id="phone without JavaScript"),
    ],
)
def test_linking_both_ways(
    sites: tuple[Site, Site], new_page: Callable[..., Any], options: dict[str, Any], script: bool
) -> None:
    assistant, music = sites
    page = new_page(**options, java_script_enabled=script)
    seen = requests_with_the_code(page)

    connect(page, assistant, music)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/consent/")

    # Once as the other site led to it, once as this one did; the second came with the session.
    assert [url.partition("?")[0] for url, _ in seen] == [
        f"{assistant.url}/connections/music/callback/"
    ] * 2
    cookies = [headers.get("cookie", "") for _, headers in seen]
    assert ["assistant_sessionid" in each for each in cookies] == [False, True]
    assert all("reciprocal_visit_" in each for each in cookies)
    assert [headers["sec-fetch-site"] for _, headers in seen] == ["cross-site", "same-origin"]
    assert "referer" not in seen[1][1]
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/")
    wait_for_both_ways(page)


def test_neither_the_page_nor_the_history_keeps_the_code(
    sites: tuple[Site, Site], new_page: Callable[..., Any]
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP)
    connect(page, assistant, music)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/consent/")
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(frame.url))

    assert "code=" not in page.evaluate("document.referrer")
    for _ in range(4):
        page.go_back()

    assert len(visited) > 1
    assert [url for url in visited if "code=" in url] == []


def test_a_person_who_signed_out_meanwhile_is_told_so(
    sites: tuple[Site, Site], new_page: Callable[..., Any]
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP)
    connect(page, assistant, music)
    page.context.clear_cookies(name="assistant_sessionid")

    page.get_by_role("button", name="Allow").click()

    page.get_by_role("heading", name="This response was not used").wait_for()
