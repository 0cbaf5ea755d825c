"""An app with an access token connects a peer in the browser of its user (RFC 8252): two sites and
the app, each in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.driver import Page, Person
from example_project.sites import Site, free_ports, running, two_sites

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    assistant, music = two_sites(tmp_path_factory.mktemp("sites"), ports=free_ports())  # type: ignore[arg-type]
    with running(assistant, music, prepare=True):
        yield assistant, music


@pytest.fixture
def app(sites: tuple[Site, Site]) -> Iterator[Any]:
    """The app; it prints the addresses that it would open in the browser."""
    command = [sys.executable, "-m", "example_project.phone_app", "--print", sites[0].url, "music"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield process
    process.kill()
    process.wait()


def next_address(app: Any) -> str:
    """What the app prints next that is an address."""
    for line in app.stdout:
        if line.startswith("http"):
            return str(line).strip()
    raise AssertionError("The app has ended.")


def sign_in_to(app: Any, alice: Person) -> None:
    """Let the app have an access token."""
    asked = alice.browser.open(next_address(app))
    assert alice.browser.submit(asked.form(button="allow"), button="allow").status == 200


def press_continue(app: Any, alice: Person) -> Page:
    """Open the page of the start, press its button, and sign in at the peer if necessary."""
    page = alice.browser.open(next_address(app))
    assert "Example app" in page.text
    page = alice.browser.submit(page.form(button="Continue to Music"))
    return alice._sign_in_on(page) if page.path == "/accounts/login/" else page


def return_to(page: Page) -> str:
    """The address of the app on the last page of the site."""
    link = page.document.first("a", id="ro-back-to-app")
    assert link is not None, page.text
    assert page.response.headers["Refresh"] == f"0; url={link.get('href')}"
    return link.get("href")


@pytest.mark.rfc("8252", "7.3")
def test_an_app_connects_both_ways(sites: tuple[Site, Site], app: Any) -> None:
    alice = Person("alice")
    alice.sign_in(sites[0])
    sign_in_to(app, alice)

    question = alice.authorize(press_continue(app, alice))
    back = alice.browser.open(return_to(alice.answer(question)))

    assert "go back to the app" in back.response.text
    said, _ = app.communicate()
    assert app.returncode == 0, said
    assert "'result': 'linked'" in said
    assert said.strip().endswith("Music: Connected both ways")
    for site in sites:
        log = site.read_log()
        assert "Traceback" not in log
        assert "?start=" not in log


def test_an_app_is_told_that_its_user_cancelled(sites: tuple[Site, Site], app: Any) -> None:
    alice = Person("alice")
    alice.sign_in(sites[0])
    sign_in_to(app, alice)

    back = alice.authorize(press_continue(app, alice), allow=False)
    alice.browser.open(return_to(back))

    said, _ = app.communicate()
    assert app.returncode == 1
    assert "Not connected: denied." in said
