"""An administrator sets a peer up in the admin, and has what was given up sent again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.sites import Site

from .people import DESKTOP, PHONE, faults_in_the_admin, go_to_consent, sign_in, wait_for_both_ways

pytestmark = [pytest.mark.browser, pytest.mark.two_process]

PEERS = "/admin/reciprocal_oauth/peer/"


@pytest.fixture
def check(picture: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Looks at a page: a picture, axe, and whether it fits."""

    def look(page: Any, name: str) -> None:
        width = page.viewport_size["width"]
        picture(page, f"admin-{name}-{width}")
        assert faults_in_the_admin(page) == [], name
        fits = "document.documentElement.scrollWidth <= window.innerWidth"
        assert page.evaluate(fits), f"{name} scrolls sideways"

    return look


@pytest.fixture
def sites(sites_by_hand: tuple[Site, Site]) -> tuple[Site, Site]:
    return sites_by_hand


@pytest.fixture
def application(sites: tuple[Site, Site]) -> Iterator[str]:
    """What the assistant's form offers as the application of a second peer, which goes again."""
    assistant, _music = sites
    assistant.manage(
        "shell",
        "--verbosity=0",
        "-c",
        "from oauth2_provider.models import Application; Application.objects.create("
        "name='Tunes', client_id='tunes-here', client_type='confidential', "
        "authorization_grant_type='authorization-code', "
        "redirect_uris='https://tunes.example/callback/')",
    )
    yield "Tunes (tunes-here)"
    assistant.manage(
        "shell",
        "--verbosity=0",
        "-c",
        "from reciprocal_oauth.models import Peer; from oauth2_provider.models import Application; "
        "Peer.objects.filter(slug='tunes').delete(); "
        "Application.objects.filter(client_id='tunes-here').delete()",
    )


@pytest.fixture
def give_redirect_uri(sites: tuple[Site, Site]) -> Iterator[Callable[[str], None]]:
    """Adds a redirect URI to the assistant's application at the other site, until the test ends."""
    assistant, music = sites
    given: list[str] = []

    def change(expression: str) -> None:
        music.manage(
            "shell",
            "--verbosity=0",
            "-c",
            "from oauth2_provider.models import Application\n"
            f"application = Application.objects.get(client_id={assistant.client_id!r})\n"
            f"application.redirect_uris = application.redirect_uris{expression}\n"
            "application.save()",
        )

    def give(uri: str) -> None:
        given.append(f" {uri}")
        change(f" + {given[-1]!r}")

    yield give
    for each in given:
        change(f".replace({each!r}, '')")


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop"),
        pytest.param(PHONE, "dark", id="phone dark"),
    ],
)
def test_a_peer_is_added_by_its_address_tested_and_given_a_secret(
    sites: tuple[Site, Site],
    application: str,
    new_page: Callable[..., Any],
    check: Callable[[Any, str], None],
    give_redirect_uri: Callable[[str], None],
    options: dict[str, Any],
    scheme: str,
) -> None:
    assistant, music = sites
    page = new_page(**options, color_scheme=scheme)
    sign_in(page, assistant, "admin")
    page.goto(f"{assistant.url}{PEERS}add/")
    check(page, "kinds")
    page.get_by_role("link", name="Another site that uses this app").click()
    check(page, "first-step")
    page.fill("input[name=address]", music.url)
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("Found: Issuer").wait_for()
    check(page, "looked-up")
    assert page.input_value("input[name=issuer]") == music.issuer
    assert not page.locator("input[name=issuer]").is_visible()

    page.fill("input[name=slug]", "tunes")
    shown = page.locator("[data-redirect-uri]")
    assert shown.inner_text() == f"{assistant.url}/connections/tunes/callback/"
    page.fill("input[name=client_id]", assistant.client_id)
    page.fill("input[name=client_secret]", assistant.client_secret)
    page.get_by_role("group", name="Scope", exact=True).get_by_label("playback").check()
    page.select_option("select[name=application]", label=application)
    page.press("input[name=client_id]", "Enter")
    page.get_by_role("link", name="Name", exact=True).wait_for()
    check(page, "add-errors")
    assert page.evaluate("document.activeElement.name") == "name"
    page.fill("input[name=name]", "Tunes")
    page.press("input[name=name]", "Enter")
    page.get_by_role("link", name="Next, give the other site").wait_for()

    page.get_by_role("link", name="Tunes", exact=True).first.click()
    page.get_by_role("button", name="Test the connection").click()
    page.get_by_text("1 test failed.").wait_for()
    page.get_by_text("It must have the redirect URI").wait_for()
    check(page, "tested-and-failed")
    give_redirect_uri(f"{assistant.url}/connections/tunes/callback/")
    page.get_by_role("button", name="Test again").click()
    page.get_by_text("No test failed.").wait_for()
    check(page, "tested")

    page.get_by_role("link", name="Back to the peer").click()
    page.get_by_role("link", name="Give this to the other site").click()
    page.get_by_text("tunes-here").wait_for()
    page.get_by_role("button", name="Copy: Redirect URI of this site").click()
    page.get_by_role("status").get_by_text("Copied").wait_for()
    check(page, "sheet")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Make a new secret").click()
    shown = page.get_by_role("textbox", name="Client secret of your site here")
    secret = shown.input_value()
    assert len(secret) >= 32
    assert secret not in page.url
    check(page, "secret")
    page.get_by_role("link", name="Back to the peer").click()
    page.get_by_role("link", name="Give this to the other site").click()
    page.get_by_role("button", name="Make a new secret").wait_for()
    assert secret not in page.content()


def test_the_sheet_of_one_site_is_imported_at_the_other(
    sites: tuple[Site, Site],
    application: str,
    new_page: Callable[..., Any],
    check: Callable[[Any, str], None],
    tmp_path: Path,
) -> None:
    assistant, music = sites
    page = new_page(**DESKTOP, color_scheme="dark")
    sign_in(page, music, "admin")
    page.goto(f"{music.url}{PEERS}")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("link", name="Give this to the other site").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as a file").click()
    download.value.save_as(tmp_path / "sheet.json")

    sign_in(page, assistant, "admin")
    page.goto(f"{assistant.url}{PEERS}add/?dialect=ietf")
    page.set_input_files("input[name=sheet]", tmp_path / "sheet.json")
    page.get_by_role("button", name="Use the sheet").click()
    page.get_by_text("This sheet says that it is from").wait_for()
    check(page, "imported")
    assert page.input_value("input[name=client_id]") == assistant.client_id
    assert page.input_value("input[name=token_endpoint]").startswith(music.url)


@pytest.fixture
def forget_vendor(sites: tuple[Site, Site]) -> Iterator[None]:
    """The peer of the vendor and its application go again."""
    yield
    sites[0].manage(
        "shell",
        "--verbosity=0",
        "-c",
        "from reciprocal_oauth.models import Peer; from oauth2_provider.models import Application; "
        "Peer.objects.filter(slug='smartthings').delete(); "
        "Application.objects.filter(name='SmartThings').delete()",
    )


@pytest.mark.usefixtures("forget_vendor")
@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        pytest.param(DESKTOP, "dark", id="desktop dark"),
        pytest.param({**PHONE, "viewport": {"width": 320, "height": 700}}, "light", id="phone"),
    ],
)
def test_a_peer_of_a_vendor_is_added_with_what_its_console_shows(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    check: Callable[[Any, str], None],
    options: dict[str, Any],
    scheme: str,
) -> None:
    """Its console shows the values only after the application was entered there."""
    assistant, _music = sites
    page = new_page(**options, color_scheme=scheme)
    sign_in(page, assistant, "admin")
    page.goto(f"{assistant.url}{PEERS}add/")
    page.get_by_role("link", name="SmartThings").click()
    check(page, "vendor")
    page.get_by_role("checkbox", name="profile").check()
    page.get_by_role("button", name="Make the application first").click()
    shown = page.get_by_role("textbox", name="Client secret of your site here")
    secret = shown.input_value()
    check(page, "vendor-application")
    page.get_by_role("link", name="Continue").click()

    assert page.get_by_role("checkbox", name="profile").is_checked()
    page.fill("input[name=client_id]", "not possible")
    page.fill("input[name=client_secret]", "0123456789abcdef")
    page.press("input[name=client_id]", "Enter")
    page.get_by_text("has another form").first.wait_for()
    check(page, "vendor-errors")
    page.fill("input[name=client_id]", "0a1b2c3d-0000-4000-8000-0123456789ab")
    page.fill("input[name=client_secret]", "0123456789abcdef")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("was added. Now enter these values").wait_for()
    assert secret not in page.content()
    check(page, "vendor-sheet")


def test_a_failed_hand_over_is_sent_again(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    check: Callable[[Any, str], None],
) -> None:
    assistant, music = sites
    person = new_page(**DESKTOP)
    go_to_consent(person, assistant, music)
    music.stop()
    try:
        person.get_by_role("button", name="Allow", exact=True).click()
        person.wait_for_url(f"{assistant.url}/connections/links/*/")
        person.locator("[data-drawn=E][data-state=running]").wait_for(state="attached")
        assistant.manage(
            "shell",
            "--verbosity=0",
            "-c",
            "from django.utils import timezone; from reciprocal_oauth.links import lifecycle; "
            "from reciprocal_oauth.models import Link, OutboxItem; "
            "OutboxItem.objects.update(live_key=None, "
            "**OutboxItem.final_values('failed', timezone.now(), reason='unreachable')); "
            "lifecycle.break_incoming(Link.objects.get(), 'unreachable')",
        )
    finally:
        music.start()
        music.wait_until_ready()

    page = new_page(**DESKTOP, color_scheme="dark")
    sign_in(page, assistant, "admin")
    page.goto(f"{assistant.url}{PEERS}overview/")
    check(page, "overview")
    page.goto(f"{assistant.url}/admin/reciprocal_oauth/outboxitem/?state__exact=failed")
    page.locator("#result_list tbody input[type=checkbox]").check()
    page.select_option("select[name=action]", "resend")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    page.get_by_text("Send 1 hand-over again?").wait_for()
    check(page, "resend")
    page.get_by_role("button", name="Yes, send again").click()
    page.get_by_text("Sent again: 1 hand-over.").wait_for()
    assert page.url.endswith("?state__exact=failed")

    wait_for_both_ways(person)
    page.goto(f"{assistant.url}/admin/reciprocal_oauth/link/")
    page.locator("#result_list tbody th a").first.click()
    # To measure what scrolls, axe writes styles into the page, which its policy would keep out.
    without_policy = new_page(bypass_csp=True)
    sign_in(without_policy, assistant, "admin")
    without_policy.goto(page.url)
    for width in (320, 768, 1440):
        without_policy.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            without_policy.emulate_media(color_scheme=scheme)
            check(without_policy, f"link-{scheme}")
    page.get_by_role("button", name="Disconnect").click()
    page.get_by_text("End this link?").wait_for()
    check(page, "disconnect")
    page.get_by_role("button", name="Yes, disconnect").click()
    page.get_by_text("1 link was ended.").wait_for()
