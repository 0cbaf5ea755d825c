"""OpenID Connect is switched on at a site that has a peer: the page about it, followed."""

import pytest

from example_project.driver import Person

from .conftest import Projects
from .pages_of_docs import blocks_of
from .people import connect, sign_in
from .provider import Quickstart, create_provider
from .reader import Reader

pytestmark = pytest.mark.two_process


def test_afterwards_people_see_which_account_they_have_connected(projects: Projects) -> None:
    assistant, music = projects
    quickstart = Quickstart(assistant, music)
    for project in projects:
        create_provider(project)
        quickstart.install_in(project)
        project.serve()
    quickstart.pair()
    reader = Reader(projects)
    for block in blocks_of("openid_connect"):
        if block.kind == "console" and "manage.py" in block.text:
            music.stop()  # “Restart the site.”
            music.serve()
        reader.follow(block)

    page = connect(assistant, "music")

    alice = Person("alice")
    sign_in(alice.browser, alice.browser.open(f"{assistant.url}/connections/"))
    listed = alice.browser.open(f"{assistant.url}/connections/")
    assert "alice" in listed.text
    assert "Connected both ways" in page.text
    accounts = assistant.run("python manage.py reciprocal_links --json")
    assert '"alice"' in accounts
