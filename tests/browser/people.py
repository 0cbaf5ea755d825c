"""What people do in a browser on either site, and what is wrong with a page that they see."""

from collections.abc import Callable
from typing import Any

import pytest

from example_project.sites import Site

PHONE = {"viewport": {"width": 360, "height": 740}}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
#: axe looks for faults against WCAG 2.2 AA. It loads no style sheets, because these rules do not
#: need them: where a sheet imports another one (the forms of Django 5.2's admin), axe writes a copy
#: into the page, which the policy of the page keeps out.
AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "preload": {"assets": ["media"]},
    "resultTypes": ["violations"],
}


def sign_in(page: Any, site: Site, name: str = "alice") -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", name)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{site.url}/")


def go_to_consent(page: Any, assistant: Site, music: Site) -> None:
    """From the assistant's list of connections to its question about the reverse."""
    for site in (assistant, music):
        sign_in(page, site)
    page.goto(f"{assistant.url}/connections/")
    page.get_by_role("button", name="Connect Music").click()
    page.wait_for_url(f"{music.url}/o/authorize/**")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/consent/")


def open_steps(page: Any) -> None:
    """Open the steps on the page of a link, which are folded away."""
    page.get_by_text("What happened, step by step").click()
    page.locator(".ro-fold[open]").wait_for()


def wait_for_both_ways(page: Any) -> None:
    """Reload the page of a link until it says that both ways work."""
    for _attempt in range(50):
        if page.get_by_text("Connected both ways").count():
            return
        page.wait_for_timeout(200)
        page.reload()
    pytest.fail(f"not connected both ways: {page.inner_text('body')}")


def faults_of(page: Any, part: str = "html") -> list[str]:
    """What axe finds against WCAG 2.2 AA in the ``part`` of the page with this selector."""
    from axe_playwright_python.sync_playwright import Axe

    is_there = page.evaluate("typeof axe !== 'undefined'")
    axe = Axe("undefined") if is_there else Axe()
    results = axe.run(page, context=part, options=AXE_OPTIONS)
    return [
        f"{each['id']}: {node['html']}"
        for each in results.response["violations"]
        for node in each["nodes"]
    ]


def faults_in_the_admin(page: Any) -> list[str]:
    """What axe finds against WCAG 2.2 AA in what stands between Django's own header and footer."""
    return faults_of(page, "#content")


def watch_reloads(page: Any) -> Callable[[], bool]:
    """Tells later whether the page is still the one that was loaded when this was called."""
    page.evaluate("window.stillHere = true")
    return lambda: bool(page.evaluate("window.stillHere === true"))
