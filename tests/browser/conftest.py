"""Chromium against the two running example sites.

Where there is no Chromium the tests are skipped; with ``REQUIRE_BROWSER`` set they fail instead.
"""

import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from example_project.pairing import pair
from example_project.sites import Site, free_ports, running, two_sites

from .rendered import Screen

#: Debian's name first. Chromium's own requests to the network are of no use here.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: Two hosts, so that browsers take them for what they are: two sites, with cookies of their own.
HOSTS = ("127.0.0.1", "localhost")
#: Where pictures of the pages go; git ignores the folder.
PICTURES = Path(__file__).parent / "pictures"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Lets the tests that start no sites use the database of this process. Playwright runs an event
    loop in this thread, and Django refuses to use a database beside one."""
    if item.get_closest_marker("two_process"):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        return (yield)


def missing(what: str) -> None:
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"{what} is needed (REQUIRE_BROWSER is set)")
    pytest.skip(f"needs {what}; see CONTRIBUTING.md")


# Not for the session: while Playwright runs, no other test can start an event loop of its own.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Collector:
    """Where browsers report what the content security policy of a site has kept out.

    :ivar reports: the reports so far, as JSON.
    """

    def __init__(self) -> None:
        self.reports: list[str] = []
        reports = self.reports

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                reports.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/reports/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="package")
def report_collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def reports(report_collector: Collector) -> list[str]:
    """What browsers report during the test."""
    report_collector.reports.clear()
    return report_collector.reports


@pytest.fixture(scope="package")
def running_sites(
    chromium: Any, report_collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    first, second = free_ports()
    assistant, music = two_sites(
        tmp_path_factory.mktemp("sites"),
        ports=(first, second),
        hosts=HOSTS,
        env={"EXAMPLE_REPORT_URI": report_collector.url},
        paired=True,
    )
    with running(assistant, music, prepare=True):
        pair(assistant, music)
        yield assistant, music


@pytest.fixture(scope="package")
def running_by_hand(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """Two sites whose peers were set up by hand, with client secrets."""
    assistant, music = two_sites(
        tmp_path_factory.mktemp("by-hand"), ports=free_ports(), hosts=HOSTS
    )
    with running(assistant, music, prepare=True):
        yield assistant, music


@pytest.fixture(scope="package")
def sites_with_accounts(
    chromium: Any, report_collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """Two sites that tell each other which account it is (OpenID Connect)."""
    first, second = free_ports()
    env = {"EXAMPLE_REPORT_URI": report_collector.url, "EXAMPLE_OIDC": "1"}
    assistant, music = two_sites(
        tmp_path_factory.mktemp("sites-with-accounts"),
        ports=(first, second),
        hosts=HOSTS,
        env=env,
        paired=True,
    )
    with running(assistant, music, prepare=True):
        pair(assistant, music)
        yield assistant, music


@pytest.fixture(scope="package")
def strict_sites(
    chromium: Any, report_collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """Two sites whose session cookies are ``SameSite=Strict``."""
    first, second = free_ports()
    env = {"EXAMPLE_REPORT_URI": report_collector.url, "EXAMPLE_SESSION_SAMESITE": "Strict"}
    assistant, music = two_sites(
        tmp_path_factory.mktemp("strict"), ports=(first, second), hosts=HOSTS, env=env, paired=True
    )
    with running(assistant, music, prepare=True):
        pair(assistant, music)
        yield assistant, music


@pytest.fixture
def sites(running_sites: tuple[Site, Site]) -> tuple[Site, Site]:
    """The assistant and the music service, running, nobody connected."""
    return forget_links(running_sites)


@pytest.fixture
def sites_by_hand(running_by_hand: tuple[Site, Site]) -> tuple[Site, Site]:
    """The same, with peers that were set up by hand."""
    return forget_links(running_by_hand)


@pytest.fixture
def sites_that_know_accounts(sites_with_accounts: tuple[Site, Site]) -> tuple[Site, Site]:
    """The same, where accounts at the other site can be told apart."""
    return forget_links(sites_with_accounts)


def forget_links(sites: tuple[Site, Site]) -> tuple[Site, Site]:
    forget = "from reciprocal_oauth.models import Link; Link.objects.all().delete()"
    for site in sites:
        site.manage("shell", "--verbosity=0", "-c", forget)
    return sites


@pytest.fixture
def new_page(chromium: Any, reports: list[str]) -> Iterator[Callable[..., Any]]:
    """Opens a page in a browser of its own; keyword arguments are those of Playwright's
    ``new_context``. In the end, none may have broken its site's content security policy."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(**options: Any) -> Any:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in complaints if "Content Security Policy" in text] == []
    assert reports == []


@pytest.fixture
def picture() -> Callable[[Any, str], None]:
    """Keeps a picture of a page, to be looked at."""

    def take(page: Any, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def examine(picture: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Looks at a page on a phone and on a desktop, in both colour schemes: keeps a picture of each,
    axe finds nothing, and nothing scrolls sideways."""
    from .people import faults_of

    def look(page: Any, name: str) -> None:
        before = page.viewport_size
        for width, height in ((390, 844), (1280, 900)):
            page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                where = f"{name}-{width}-{scheme}"
                picture(page, where)
                if (width < 1000) is (scheme == "light"):
                    continue  # Two of the four show axe every width and every colour.
                assert faults_of(page) == [], where
                fits = "document.documentElement.scrollWidth <= window.innerWidth"
                assert page.evaluate(fits), f"{where} scrolls sideways"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(before)

    return look


@pytest.fixture(scope="package")
def screen(chromium: Any) -> Iterator[Screen]:
    """Shows responses of Django's test client, under the policy that each of them has."""
    screen = Screen(chromium)
    yield screen
    screen.close()


@pytest.fixture(scope="package")
def screen_without_policy(chromium: Any) -> Iterator[Screen]:
    """The same without content security policies: to measure what scrolls, axe writes styles into
    the page, which a policy would keep out."""
    screen = Screen(chromium, bypass_csp=True)
    yield screen
    screen.close()


@pytest.fixture
def strict_policy(settings: Settings) -> None:
    """The site sends the policy of the example sites with every page."""
    settings.CSP_REPORT_URI = ""
    settings.MIDDLEWARE = [
        "example_project.middleware.ContentSecurityPolicy",
        *settings.MIDDLEWARE,
    ]


@pytest.fixture
def see(
    screen: Screen, strict_policy: None, picture: Callable[[Any, str], None]
) -> Callable[..., None]:
    """Looks at a page that Django's test client got: its policy keeps nothing out, axe finds
    nothing, and nothing scrolls sideways. With a ``name``, it keeps pictures."""
    return looking(screen, "html", picture)


@pytest.fixture
def see_admin(
    screen_without_policy: Screen, picture: Callable[[Any, str], None]
) -> Callable[..., None]:
    """Looks at a page of the admin in the same way, between Django's own header and footer."""
    return looking(screen_without_policy, "#content", picture)


def looking(screen: Screen, part: str, picture: Callable[[Any, str], None]) -> Callable[..., None]:
    """Return a function that looks at ``part`` of a page, which is a CSS selector."""

    def look(response: Any, name: str = "") -> None:
        # A page of Django, such as that for an unknown address, would be without a fault as well.
        templates = [template.name or "" for template in response.templates]
        assert any("reciprocal_oauth/" in name or "admin/" in name for name in templates), templates
        assert screen.show(response) == []
        assert screen.faults(part) == []
        if name:
            keep_pictures(screen, picture, name)

    return look


def keep_pictures(screen: Screen, picture: Callable[[Any, str], None], name: str) -> None:
    for width, scheme in ((320, "dark"), (1440, "light")):
        screen.look(width, scheme)
        picture(screen.page, f"{name}-{width}-{scheme}")
