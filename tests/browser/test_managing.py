"""A person looks after what is connected, with a browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from example_project.sites import Site

from .people import (
    DESKTOP,
    PHONE,
    go_to_consent,
    open_steps,
    sign_in,
    wait_for_both_ways,
    watch_reloads,
)

pytestmark = [pytest.mark.browser, pytest.mark.two_process]

OpenPage = Callable[..., Any]
Examine = Callable[[Any, str], None]

BREAK = """
import time
from reciprocal_oauth.models import Link, OutboxItem
from reciprocal_oauth.links import lifecycle
from django.utils import timezone
row, end = None, time.monotonic() + 30
while row is None and time.monotonic() < end:  # An attempt may be under way.
    row = OutboxItem.objects.filter(state="pending").first() or time.sleep(0.1)
ended = OutboxItem.final_values("failed", timezone.now(), reason=Link.Reason.UNREACHABLE)
OutboxItem.objects.filter(pk=row.pk).update(**ended, live_key=None)
lifecycle.break_incoming(row.link, Link.Reason.UNREACHABLE)
"""
CUT_OFF = """
from reciprocal_oauth.models import Link
from reciprocal_oauth.links import lifecycle
from django.db.models import Q
lifecycle.break_outgoing(Link.objects.get(), Link.Reason.REFRESH_REFUSED, still=Q())
"""
PAUSE = """
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.delivery import pausing
pausing.pause(Peer.objects.get(), Link.Reason.CREDENTIALS_REFUSED)
"""
RESUME = """
from reciprocal_oauth.models import Peer
from reciprocal_oauth.party_a import resending
resending.resume(Peer.objects.get())
"""


def run(site: Site, program: str) -> None:
    site.manage("shell", "--verbosity=0", "-c", program)


@pytest.fixture
def connected(sites: tuple[Site, Site], new_page: OpenPage) -> OpenPage:
    """Opens the page of a link that works both ways."""

    def open_page() -> Any:
        page = new_page(**DESKTOP)
        go_to_consent(page, *sites)
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url("**/connections/links/*/")
        wait_for_both_ways(page)
        return page

    return open_page


@pytest.fixture
def music_down(sites: tuple[Site, Site]) -> Iterator[Callable[[], None]]:
    """Stops the music service; it runs again after the test, or when :func:`up` is called."""
    _assistant, music = sites
    yield music.stop
    up(music)


def up(site: Site) -> None:
    if not site.is_running:
        site.start()
        site.wait_until_ready()


def follow_until_both_ways(page: Any) -> None:
    """The page gets there by itself: it is not loaded again."""
    is_same_page = watch_reloads(page)
    page.locator("[data-live=head]").get_by_text("Connected both ways", exact=True).wait_for(
        timeout=45_000
    )
    assert is_same_page()


def test_changing_what_the_other_site_may_do(connected: OpenPage, examine: Examine) -> None:
    page = connected()
    examine(page, "link")
    open_steps(page)
    examine(page, "link-with-steps")
    page.get_by_role("link", name="Change what Music may do here").click()
    page.wait_for_url("**/scopes/")
    examine(page, "scopes")
    page.get_by_role("checkbox", name="See your name at the assistant").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/connections/links/*/")

    follow_until_both_ways(page)
    assert page.locator(".ro-direction--in li").all_inner_texts() == [
        "Tell your assistant what is playing",
        "See your name at the assistant",
    ]
    examine(page, "link-changed")


def test_what_is_unticked_is_not_allowed(
    sites: tuple[Site, Site], new_page: OpenPage, examine: Examine
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP)
    for site in (assistant, music):
        sign_in(page, site)
    page.goto(f"{music.url}/connections/")
    examine(page, "list-empty")
    page.get_by_role("button", name="Connect Assistant").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{music.url}/connections/links/*/consent/")
    examine(page, "consent")
    page.get_by_role("checkbox", name="See what you have listened to").uncheck()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")

    follow_until_both_ways(page)
    assert page.locator(".ro-direction--in li").all_inner_texts() == ["Control what is playing"]


def test_disconnecting_asks_first_and_says_what_stops(
    sites: tuple[Site, Site], connected: OpenPage, examine: Examine
) -> None:
    page = connected()
    page.get_by_role("link", name="Disconnect").click()
    page.wait_for_url("**/disconnect/")
    question = page.locator("form.ro-card").inner_text()
    assert "Tell your assistant what is playing" in question
    assert "See what you have listened to" in question
    examine(page, "disconnect")

    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url("**/connections/?ended=*")
    assert page.get_by_role("heading", name="Music is disconnected").count()
    examine(page, "list-disconnected")
    page.locator(".ro-banner").get_by_role("link", name="History").click()
    examine(page, "link-ended")


def test_denying_and_finishing_later_from_the_list(
    sites: tuple[Site, Site], new_page: OpenPage, examine: Examine
) -> None:
    assistant, _music = sites
    page = new_page(**DESKTOP)
    go_to_consent(page, *sites)
    page.goto(f"{assistant.url}/connections/")
    examine(page, "list-asked")
    page.get_by_role("link", name="Finish").click()
    page.get_by_role("button", name="Do not allow").click()
    page.wait_for_url("**/connections/links/*/")
    examine(page, "link-denied")

    page.goto(f"{assistant.url}/connections/")
    examine(page, "list-denied")
    page.get_by_role("link", name="Allow it after all").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    follow_until_both_ways(page)


@pytest.mark.parametrize("script", [True, False])
def test_what_failed_while_the_other_site_was_down_is_tried_again(
    sites: tuple[Site, Site],
    new_page: OpenPage,
    music_down: Callable[[], None],
    examine: Examine,
    script: bool,
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP, java_script_enabled=script)
    go_to_consent(page, *sites)
    music_down()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    if script:
        open_steps(page)
        page.locator("[data-drawn=E]").get_by_text("The last attempt failed.").wait_for()
        examine(page, "link-under-way")
    page.goto(f"{assistant.url}/connections/")
    assert page.get_by_text("Allowed, on its way to Music").count()
    run(assistant, BREAK)
    page.reload()
    assert page.get_by_text("Music could not be reached.").count()
    if script:
        examine(page, "list-given-up")
        page.get_by_role("link", name="Details and history").click()
        examine(page, "link-given-up")

    up(music)
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/connections/links/*/")
    if script:
        follow_until_both_ways(page)
    else:
        wait_for_both_ways(page)


def test_a_paused_peer_is_left_to_an_administrator(
    sites: tuple[Site, Site],
    new_page: OpenPage,
    music_down: Callable[[], None],
    examine: Examine,
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP)
    go_to_consent(page, *sites)
    music_down()
    run(assistant, PAUSE)
    try:
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url("**/connections/links/*/")
        assert page.locator("[data-drawn=E][data-state=held]").count()
        examine(page, "link-held-up")
        page.goto(f"{assistant.url}/connections/")
        assert page.get_by_text("An administrator of this site needs to fix this").count()
        assert not page.locator(".ro .ro-button").count()
        examine(page, "list-held-up")
    finally:
        run(assistant, RESUME)


def test_connecting_again_mends_what_was_cut_off(
    sites: tuple[Site, Site], connected: OpenPage, examine: Examine
) -> None:
    assistant, music = sites
    page = connected()
    run(assistant, CUT_OFF)
    page.goto(f"{assistant.url}/connections/")
    examine(page, "list-cut-off")

    page.locator("[data-link]").get_by_role("button", name="Connect again").click()
    page.wait_for_url(f"{music.url}/o/authorize/**")
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    follow_until_both_ways(page)
    page.goto(f"{assistant.url}/connections/")
    assert page.locator("[data-link]").count() == 1


def test_two_accounts_at_one_site(
    sites_that_know_accounts: tuple[Site, Site], new_page: OpenPage, examine: Examine
) -> None:
    assistant, music = sites_that_know_accounts
    page = new_page(**DESKTOP)
    go_to_consent(page, assistant, music)
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    follow_until_both_ways(page)

    page.context.clear_cookies(name="music_sessionid")
    sign_in(page, music, "admin")
    page.goto(f"{assistant.url}/connections/")
    page.get_by_role("button", name="Connect another account").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/consent/")
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    follow_until_both_ways(page)

    page.goto(f"{assistant.url}/connections/")
    accounts = page.locator("[data-link] .ro-account").get_by_text("Account there:")
    assert accounts.all_inner_texts() == ["Account there: alice", "Account there: admin"]
    examine(page, "list-two-accounts")


def focused(page: Any) -> str:
    """What has the focus: its text, or what it is for."""
    return page.evaluate(
        """() => { const it = document.activeElement;
        return (it.labels?.[0]?.innerText || it.innerText || it.id).trim(); }"""
    )


def test_the_keyboard_goes_through_the_form_in_its_order(connected: OpenPage) -> None:
    page = connected()
    page.get_by_role("link", name="Change what Music may do here").press("Enter")
    page.wait_for_url("**/scopes/")
    page.locator(".ro-path a").first.focus()

    order = [focused(page)]
    for _stop in range(5):
        page.keyboard.press("Tab")
        order.append(focused(page))

    assert order == [
        "Connections",
        "Music",
        "Tell your assistant what is playing",
        "See your name at the assistant",
        "Save",
        "Leave it as it is",
    ]


def test_a_page_left_open_shows_how_it_is_now_and_the_reader_is_led_to_that(
    connected: OpenPage, examine: Examine
) -> None:
    page = connected()
    address = f"{page.url}scopes/"
    other_tab = page.context.new_page()
    for tab in (page, other_tab):
        tab.goto(address)
    other_tab.get_by_role("checkbox", name="Tell your assistant").uncheck()
    other_tab.get_by_role("checkbox", name="See your name").check()
    other_tab.get_by_role("button", name="Save").click()
    other_tab.wait_for_url("**/connections/links/*/")

    page.get_by_role("checkbox", name="See your name").check()
    page.get_by_role("button", name="Save").press("Enter")

    page.locator("#ro-errors").wait_for()
    assert focused(page) == "This has changed in the meantime. Please check it again."
    assert not page.get_by_role("checkbox", name="Tell your assistant").is_checked()
    assert page.get_by_role("checkbox", name="See your name").is_checked()
    examine(page, "scopes-changed-meanwhile")
    page.keyboard.press("Tab")
    assert focused(page) == "Tell your assistant what is playing"


@pytest.mark.parametrize("options", [PHONE, DESKTOP])
def test_pages_are_read_from_right_to_left(
    sites: tuple[Site, Site], new_page: OpenPage, examine: Examine, options: dict[str, Any]
) -> None:
    assistant, _music = sites
    page = new_page(**options)
    go_to_consent(page, *sites)
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/connections/links/*/")
    wait_for_both_ways(page)
    link = page.url
    arabic = {"name": "django_language", "value": "ar", "url": assistant.url}
    page.context.add_cookies([arabic])
    for name, address in {
        "home": f"{assistant.url}/",
        "list": f"{assistant.url}/connections/",
        "link": link,
        "scopes": f"{link}scopes/",
        "disconnect": f"{link}disconnect/",
    }.items():
        page.goto(address)
        assert page.locator("html[lang=ar][dir=rtl]").count()
        if options is DESKTOP:
            examine(page, f"arabic-{name}")
        box = page.locator(".ro h1").bounding_box()
        middle = page.viewport_size["width"] / 2
        assert box["x"] + box["width"] > middle
