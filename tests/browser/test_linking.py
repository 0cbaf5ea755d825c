"""A person links the two sites with a browser."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest

from example_project.sites import Site

from .people import (
    DESKTOP,
    PHONE,
    faults_of,
    go_to_consent,
    open_steps,
    sign_in,
    wait_for_both_ways,
    watch_reloads,
)

pytestmark = [pytest.mark.browser, pytest.mark.two_process]


@pytest.mark.parametrize(
    ("options", "scheme", "script"),
    [
        pytest.param(PHONE, "light", True, id="phone"),
        pytest.param(PHONE, "dark", True, id="phone dark"),
        pytest.param(DESKTOP, "light", True, id="desktop"),
        pytest.param(DESKTOP, "dark", True, id="desktop dark"),
        pytest.param(DESKTOP, "light", False, id="without JavaScript"),
    ],
)
def test_linking_both_ways(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    picture: Callable[[Any, str], None],
    options: dict[str, Any],
    scheme: str,
    script: bool,
) -> None:
    assistant, music = sites
    page = new_page(**options, color_scheme=scheme, java_script_enabled=script)
    look = f"{'phone' if options is PHONE else 'desktop'}-{scheme}"

    def check(name: str) -> None:
        if script:
            picture(page, f"{name}-{look}")
            assert faults_of(page) == [], name
            fits = "document.documentElement.scrollWidth <= window.innerWidth"
            assert page.evaluate(fits), f"{name} scrolls sideways"

    go_to_consent(page, assistant, music)
    check("consent")
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/")
    wait_for_both_ways(page)
    check("link")

    page.goto(f"{assistant.url}/connections/")
    check("list")
    page.goto(f"{assistant.url}/")
    check("home-assistant")
    page.goto(f"{music.url}/")
    check("home-music")


@pytest.fixture
def page_of_a_link_under_way(
    sites: tuple[Site, Site], new_page: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Opens the page of a link whose hand-over waits, since the music service is down."""
    assistant, music = sites

    def open_page(**options: Any) -> Any:
        page = new_page(**options)
        go_to_consent(page, assistant, music)
        music.stop()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url(f"{assistant.url}/connections/links/*/")
        open_steps(page)
        page.locator("[data-drawn=E][data-state=running]").wait_for()
        return page

    yield open_page
    if not music.is_running:
        music.start()
        music.wait_until_ready()


def test_the_status_moves_by_itself_until_both_ways_work(
    sites: tuple[Site, Site],
    page_of_a_link_under_way: Callable[..., Any],
    picture: Callable[[Any, str], None],
) -> None:
    assistant, music = sites
    page = page_of_a_link_under_way(**PHONE)
    is_same_page = watch_reloads(page)
    picture(page, "status-under-way")
    assert faults_of(page) == []

    music.start()
    music.wait_until_ready()
    program = (
        "from django.utils import timezone; from reciprocal_oauth.models import OutboxItem; "
        "OutboxItem.objects.filter(state='pending').update(next_attempt_at=timezone.now())"
    )
    assistant.manage("shell", "--verbosity=0", "-c", program)
    assistant.manage("reciprocal_deliver", "--once")

    page.locator("[data-drawn=G][data-state=done]").wait_for()
    assert page.locator("[data-live=head]").get_by_text("Connected both ways").count()
    assert "Connected both ways" in page.locator("#ro-voice").inner_text()
    assert is_same_page()
    assert faults_of(page) == []


def test_a_hand_over_that_fails_is_said_without_a_reload(
    sites: tuple[Site, Site],
    page_of_a_link_under_way: Callable[..., Any],
    picture: Callable[[Any, str], None],
) -> None:
    assistant, _music = sites
    page = page_of_a_link_under_way(**DESKTOP, color_scheme="dark")
    is_same_page = watch_reloads(page)
    program = (
        "from reciprocal_oauth.links import lifecycle; from reciprocal_oauth.models import Link; "
        "lifecycle.break_incoming(Link.objects.get(), Link.Reason.HANDOVER_REFUSED)"
    )
    assistant.manage("shell", "--verbosity=0", "-c", program)

    page.locator("[data-drawn=E][data-state=failed]").wait_for()
    assert "Music refused what this site sent." in page.locator("#ro-voice").inner_text()
    assert is_same_page()
    picture(page, "status-failed")
    assert faults_of(page) == []


def test_denying_and_finishing_later_with_the_keyboard_alone(
    sites: tuple[Site, Site], new_page: Callable[..., Any]
) -> None:
    page = new_page(**DESKTOP)
    go_to_consent(page, *sites)
    page.get_by_role("button", name="Do not allow").press("Enter")
    page.wait_for_url("**/connections/links/*/")
    assert not page.get_by_text("Connected both ways").count()

    finish = page.locator("a[href$='/consent/']")
    finish.press("Enter")
    box = page.get_by_role("checkbox").first
    box.focus()
    page.keyboard.press("Space")
    assert not box.is_checked()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Allow", exact=True).press("Enter")
    page.wait_for_url("**/connections/links/*/")
    wait_for_both_ways(page)


def test_a_name_that_nobody_can_break_does_not_widen_the_pages(
    sites: tuple[Site, Site], new_page: Callable[..., Any]
) -> None:
    assistant, music = sites
    page = new_page(**PHONE)
    go_to_consent(page, assistant, music)
    question = page.url

    def rename(name: str) -> None:
        program = f"from reciprocal_oauth.models import Peer; Peer.objects.update(name={name!r})"
        assistant.manage("shell", "--verbosity=0", "-c", program)

    rename("M" * 200)
    try:
        for address in (question, question.replace("consent/", ""), "/connections/", "/"):
            page.goto(urljoin(question, address))
            assert page.get_by_text("M" * 200).count()
            fits = "document.documentElement.scrollWidth <= window.innerWidth"
            assert page.evaluate(fits), address
    finally:
        rename("Music")


@pytest.mark.threat("L1")
def test_an_answer_that_was_not_asked_for_in_this_browser_is_explained(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    picture: Callable[[Any, str], None],
) -> None:
    assistant, _music = sites
    page = new_page(**DESKTOP)
    sign_in(page, assistant)
    answer = page.goto(f"{assistant.url}/connections/music/callback/?code=c&state=not-ours")

    assert answer.status == 400
    picture(page, "callback-refused")
    assert faults_of(page) == []
    page.get_by_role("link", name="connections").first.click()
    page.wait_for_url(f"{assistant.url}/connections/")


def test_the_form_of_a_peer_in_the_admin(
    sites_by_hand: tuple[Site, Site],
    new_page: Callable[..., Any],
    picture: Callable[[Any, str], None],
) -> None:
    assistant, _music = sites_by_hand
    page = new_page(**DESKTOP)
    sign_in(page, assistant, "admin")
    page.goto(f"{assistant.url}/admin/reciprocal_oauth/peer/")
    page.get_by_role("link", name="Music").first.click()
    picture(page, "admin-peer")
    assert assistant.client_secret not in page.content()

    page.fill("input[name=token_endpoint]", "http://music.example/token/")
    page.get_by_role("button", name="Save", exact=True).click()
    picture(page, "admin-peer-refused")
    errors = page.locator(".errorlist").all_inner_texts()
    assert any("https://" in text for text in errors)
