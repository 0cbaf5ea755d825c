"""Two administrators pair their sites in the admin, each in a browser of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from example_project.sites import Site, free_ports, running, two_sites

from .conftest import HOSTS, Collector
from .people import DESKTOP, faults_in_the_admin, go_to_consent, sign_in, wait_for_both_ways

pytestmark = [pytest.mark.browser, pytest.mark.two_process]

PAIRINGS = "/admin/reciprocal_oauth/pairing/"
#: Where axe looks at the pages.
PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 700}}
_FORGET = (
    "from reciprocal_oauth.models import Link, Pairing, Peer; "
    "from oauth2_provider.models import Application; Link.objects.all().delete(); "
    "Pairing.objects.all().delete(); Peer.objects.all().delete(); "
    "Application.objects.all().delete()"
)
Check = Callable[[Any, str], None]


@pytest.fixture(scope="module")
def sites_without_peers(
    chromium: Any, report_collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """Two sites that do not know each other."""
    sites = two_sites(
        tmp_path_factory.mktemp("strangers"),
        ports=tuple(free_ports()),
        hosts=HOSTS,
        env={"EXAMPLE_REPORT_URI": report_collector.url},
        paired=True,
    )
    with running(*sites, prepare=True):
        yield sites


@pytest.fixture
def strangers(sites_without_peers: tuple[Site, Site]) -> tuple[Site, Site]:
    for site in sites_without_peers:
        site.manage("shell", "--verbosity=0", "-c", _FORGET)
    return sites_without_peers


@pytest.fixture
def check(picture: Check) -> Check:
    """Looks at a page: a picture, whether it fits, and axe on a phone."""

    def look(page: Any, name: str) -> None:
        width = page.viewport_size["width"]
        picture(page, f"pairing-{name}-{width}")
        if width == PHONE["viewport"]["width"]:
            assert faults_in_the_admin(page) == [], name
        fits = "document.documentElement.scrollWidth <= window.innerWidth"
        assert page.evaluate(fits), f"{name} scrolls sideways"

    return look


def tick(page: Any, legend: str, *names: str) -> None:
    """Tick scopes of the site, by their names."""
    for name in names:
        page.locator(f"input[name={legend}][value='{name}']").check()


def wait_until(page: Any, text: str) -> None:
    """Wait until the page of a pairing says ``text``. Without JavaScript, somebody has to press
    “Look again”."""
    for _attempt in range(60):
        if page.get_by_text(text).count():
            return
        page.wait_for_timeout(250)
        if page.get_by_role("link", name="Look again").count():
            page.get_by_role("link", name="Look again").click()
    pytest.fail(f"{text!r} is not on the page: {page.inner_text('#content')}")


def invite(page: Any, site: Site, other: Site | None, look: Check) -> str:
    """Make an invitation for ``other``, or for whoever has it, and return it."""
    sign_in(page, site, "admin")
    page.goto(f"{site.url}/admin/reciprocal_oauth/peer/")
    page.get_by_role("link", name="Invite another site").click()
    look(page, "invite")
    if other is None:
        page.get_by_label("whoever has it").check()
    else:
        page.get_by_label("Address of the other site").fill(other.url)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Make the invitation").wait_for()
    look(page, "terms-of-invitation")
    page.get_by_label("Short name").fill(site.role.other.slug)
    if other is not None:
        tick(page, "asked_scope", *site.role.scope.split())
    tick(page, "allowed_scope", *site.role.scopes)
    page.get_by_label("Name of this site").fill(site.role.name)
    page.get_by_label("Let people connect").check()
    page.get_by_role("button", name="Make the invitation").click()
    text: str = page.get_by_role("textbox", name="Invitation for").input_value()
    look(page, "invitation")
    page.get_by_role("link", name="See how far the pairing is").click()
    look(page, "open")
    assert text not in page.content()
    return text


def accept(page: Any, site: Site, text: str, look: Check) -> None:
    sign_in(page, site, "admin")
    page.goto(f"{site.url}{PAIRINGS}")
    page.get_by_role("link", name="Accept an invitation").click()
    page.get_by_label("Invitation").fill("https://mistake.example/")
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("This is not an invitation.").wait_for()
    look(page, "not-an-invitation")
    page.get_by_label("Invitation").fill(text)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("button", name="Pair with").wait_for()
    look(page, "terms")
    page.get_by_label("Short name").fill(site.role.other.slug)
    tick(page, "asked_scope", *site.role.scope.split())
    tick(page, "allowed_scope", *site.role.scopes)
    page.get_by_label("Name of this site").fill(site.role.name)
    page.get_by_label("Let people connect").check()
    page.get_by_role("button", name="Pair with").click()
    page.get_by_text("What both sites should see alike").wait_for()
    assert text not in page.content()


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop"),
        pytest.param(PHONE, "dark", id="phone dark"),
    ],
)
def test_an_invitation_for_one_site_completes_by_itself(
    strangers: tuple[Site, Site],
    new_page: Callable[..., Any],
    check: Check,
    options: dict[str, Any],
    scheme: str,
) -> None:
    assistant, music = strangers
    inviting = new_page(**options, color_scheme=scheme)
    accepting = new_page(**options, color_scheme=scheme)

    text = invite(inviting, assistant, music, check)
    accept(accepting, music, text, check)

    for page in (accepting, inviting):
        wait_until(page, "Nothing. People can connect.")
        page.get_by_text("The peer accepts our credentials").wait_for()
        assert page.get_by_text("✗").count() == 0
        check(page, "complete")
    numbers = [page.locator(".ro-check-number").inner_text() for page in (inviting, accepting)]
    assert numbers[0] == numbers[1]
    inviting.get_by_role("link", name="Go to the peer").click()
    inviting.get_by_text("Paired on").wait_for()
    check(inviting, "peer")
    person = new_page(**DESKTOP)
    go_to_consent(person, assistant, music)
    person.get_by_role("button", name="Allow", exact=True).click()
    person.wait_for_url(f"{assistant.url}/connections/links/*/")
    wait_for_both_ways(person)


def test_without_javascript_whoever_has_the_invitation_waits_for_a_confirmation(
    strangers: tuple[Site, Site], new_page: Callable[..., Any], check: Check
) -> None:
    assistant, music = strangers
    inviting, accepting = (new_page(java_script_enabled=False, **DESKTOP) for _ in range(2))
    looking = new_page(**PHONE)
    sign_in(looking, assistant, "admin")

    text = invite(inviting, assistant, None, lambda page, name: None)
    accept(accepting, music, text, lambda page, name: None)

    wait_until(inviting, "Check that this is the right site")
    inviting.get_by_role("link", name="Check and confirm").click()
    looking.goto(inviting.url)
    check(looking, "confirm")
    looking.get_by_role("link", name="Withdraw").click()
    check(looking, "withdraw")
    assert inviting.get_by_text(f"Yes, pair with {music.url.removeprefix('http://')}").count()
    tick(inviting, "asked_scope", *assistant.role.scope.split())
    inviting.get_by_role("button", name="Yes, pair with").click()
    for page in (inviting, accepting):
        wait_until(page, "Nothing. People can connect.")
    looking.goto(inviting.url)
    looking.get_by_role("link", name="End the pairing").click()
    check(looking, "end")
    looking.get_by_role("button", name="Yes, end the pairing").click()
    looking.get_by_text("The pairing has ended.").first.wait_for()
