"""The pages under a strict content security policy, as Chromium enforces it."""

from collections.abc import Iterator
from typing import Any

import pytest

from example_project.sites import Site

from .people import DESKTOP, go_to_consent, sign_in, wait_for_both_ways

pytestmark = [pytest.mark.browser, pytest.mark.two_process, pytest.mark.threat("W3")]

#: Tells of what the content security policy kept out, before anything on the page can happen.
LISTEN = """
document.addEventListener("securitypolicyviolation", event => console.error(
    `kept out: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
#: Whether every style sheet of the page was let in.
STYLED = "document.styleSheets.length && [...document.styleSheets].every(s => s.cssRules.length)"


@pytest.fixture
def kept_out(chromium: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and what the content security policy of its site has kept out so far."""
    context = chromium.new_context(**DESKTOP)
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.set_default_timeout(15_000)
    found: list[str] = []

    def note(message: Any) -> None:
        if "kept out" in message.text or "Content Security Policy" in message.text:
            found.append(message.text)

    page.on("console", note)
    yield page, found
    context.close()


def test_no_page_needs_what_a_strict_policy_keeps_out(
    sites: tuple[Site, Site], kept_out: tuple[Any, list[str]], reports: list[str]
) -> None:
    assistant, music = sites
    page, found = kept_out
    seen: list[str] = []

    def look() -> None:
        answer = page.reload(wait_until="networkidle")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "'unsafe" not in answer.headers["content-security-policy"]
        assert page.evaluate(STYLED), f"{page.url} has no style"
        assert found == [], page.url
        seen.append(page.url.removeprefix(assistant.url))

    go_to_consent(page, assistant, music)
    look()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/")
    wait_for_both_ways(page)
    look()
    link = page.url
    page.goto(f"{link}scopes/")
    look()
    page.goto(f"{link}disconnect/")
    look()
    page.goto(f"{assistant.url}/connections/")
    look()
    page.goto(f"{assistant.url}/connections/music/callback/?code=c&state=not-ours")
    look()
    assert len(set(seen)) == 6
    assert reports == []


@pytest.mark.parametrize(
    ("planted", "directive"),
    [
        ("<script>document.title = 'run'</script>", "script-src-elem"),
        ("<img src='/static/none.png' onerror=\"document.title = 'run'\">", "script-src-attr"),
        ("<p style='color: red'>", "style-src-attr"),
        ("<style>p { color: red }</style>", "style-src-elem"),
        ("<img src='http://127.0.0.1:9/spy.png'>", "img-src"),
    ],
)
def test_what_is_planted_on_a_page_is_kept_out_and_noticed(
    sites: tuple[Site, Site],
    kept_out: tuple[Any, list[str]],
    planted: str,
    directive: str,
) -> None:
    """Else the test above would prove nothing."""
    assistant, _music = sites
    page, found = kept_out
    sign_in(page, assistant)

    def plant(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", f"{planted}</main>"))

    page.route("**/connections/", plant)
    page.goto(f"{assistant.url}/connections/", wait_until="networkidle")

    assert any(f"kept out: {directive} " in text for text in found), found
    assert page.title() != "run"


def test_what_is_kept_out_is_reported(
    sites: tuple[Site, Site], kept_out: tuple[Any, list[str]], reports: list[str]
) -> None:
    """Else it would prove nothing that no other test leaves a report."""
    assistant, _music = sites
    page, _found = kept_out
    page.goto(f"{assistant.url}/accounts/login/")

    page.evaluate("new Image().src = 'http://127.0.0.1:9/spy.png'")

    for _attempt in range(100):
        if reports:
            break
        page.wait_for_timeout(100)
    assert len(reports) == 1
    assert "img-src" in reports[0]
