"""Chromium against the two running example sites.

Where there is no Chromium the tests are skipped; with ``REQUIRE_BROWSER`` set they fail instead.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.sites import Site, free_ports, running, two_sites

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
#: Where pictures of the pages go; git ignores the folder.
PICTURES = Path(__file__).parent / "pictures"


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


@pytest.fixture(scope="package")
def running_sites(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    first, second = free_ports()
    assistant, music = two_sites(tmp_path_factory.mktemp("sites"), ports=(first, second))
    with running(assistant, music, prepare=True):
        yield assistant, music


@pytest.fixture
def sites(running_sites: tuple[Site, Site]) -> tuple[Site, Site]:
    """The assistant and the music service, running, nobody connected."""
    forget = "from reciprocal_oauth.models import Link; Link.objects.all().delete()"
    for site in running_sites:
        site.manage("shell", "--verbosity=0", "-c", forget)
    return running_sites


@pytest.fixture
def new_page(chromium: Any) -> Iterator[Callable[..., Any]]:
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


@pytest.fixture
def picture() -> Callable[[Any, str], None]:
    """Keeps a picture of a page, to be looked at."""

    def take(page: Any, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    return take
