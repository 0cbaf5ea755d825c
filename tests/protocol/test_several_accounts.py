"""Two people of a household, each with an account of their own at one site, share one at the other:
two links, two tokens each way, ended one by one. Two processes over real HTTP."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.driver import Browser, Page, Person
from example_project.sites import Site, free_ports, running, two_sites

from ..site_shell import run_inside, shells

pytestmark = pytest.mark.two_process

ADD_BOB = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("bob", password="bob")
"""
#: Forgets, inside a site, every link and every token.
FORGET = """
from oauth2_provider.models import get_access_token_model
from reciprocal_oauth.models import Link
Link.objects.all().delete()
get_access_token_model().objects.all().delete()
"""
#: Counts, inside a site, the links that are not ended, and those that work both ways.
COUNT = """
import json
from reciprocal_oauth.models import Link
links = Link.objects.filter(status="active")
print(json.dumps([
    links.count(), links.filter(outgoing_state="active", incoming_state="active").count()
]))
"""
#: Calls the other site, from inside a site, through each link.
CALL = """
import json
import requests
import reciprocal_oauth
from reciprocal_oauth.models import Link
called = []
for link in Link.objects.filter(status="active").select_related("peer").order_by("created_at"):
    answer = reciprocal_oauth.get_session(link).get(f"{link.peer.homepage}api/whoami/").json()
    called.append({
        "link": str(link.pk), "here": link.user.get_username(), "there": answer["username"],
        "client": answer["client_id"], "token": link.access_token.reveal(),
        "two_way": link.is_two_way, "account": link.account_name,
    })
print(json.dumps(called))
"""


def call_through_links(site: Site) -> list[dict[str, Any]]:
    called: list[dict[str, Any]] = json.loads(run_inside(site, CALL))
    for each in called:
        assert each["two_way"], each
        assert each["client"] == site.client_id
    return called


def accounts(called: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who is called for whom: the person's account here, and there."""
    return sorted((each["here"], each["there"]) for each in called)


def status_of(token: str, site: Site) -> int:
    """What ``site`` says to a call with ``token``."""
    session = Browser().session
    headers = {"Authorization": f"Bearer {token}"}
    return session.get(f"{site.url}/api/whoami/", headers=headers, timeout=10).status_code


def household(site: Site, name: str, shared: Site) -> Person:
    """A browser in which ``name`` is signed in at ``site``, and alice at ``shared``."""
    person = Person(name)
    person.sign_in(site)
    Person("alice", browser=person.browser).sign_in(shared)
    return person


def link_both_ways(person: Person, asked: Page) -> str:
    """Allows both directions. Gives the address of the page of the link at the first site."""
    link = person.answer(person.authorize(asked)).url
    person.wait_until_two_way(link)
    return link


def disconnect(person: Person, link: str) -> None:
    page = person.browser.open(f"{link}disconnect/")
    person.browser.submit(page.form(button="Disconnect"))


def wait_for_links(site: Site, count: int) -> list[dict[str, Any]]:
    """What ``site`` calls, once it has so many links: the other site tells it of the rest."""
    give_up = time.monotonic() + 20
    while json.loads(run_inside(site, COUNT)) != [count, count]:
        assert time.monotonic() < give_up, site.log_tail()
        time.sleep(0.05)
    return call_through_links(site)


def assert_left(
    before: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    sites: tuple[Site, Site],
    left: tuple[tuple[str, str], tuple[str, str]],
) -> None:
    """One link works at both sites as before, in both directions, with the tokens it had; those of
    the other open nothing."""
    for site, called, account in zip(sites, before, left, strict=True):
        (works,) = wait_for_links(site, 1)
        assert (works["here"], works["there"]) == account
        # The two links of a person may be with the same account there.
        assert works in called
        (ended,) = [each for each in called if each != works]
        assert status_of(ended["token"], site.other) == 401
        assert status_of(works["token"], site.other) == 200


@pytest.fixture(scope="module")
def openid_running(
    tmp_path_factory: pytest.TempPathFactory, give_tables: Callable[[Site], None]
) -> Iterator[tuple[Site, Site]]:
    yield from _running(tmp_path_factory.mktemp("openid"), give_tables, {"EXAMPLE_OIDC": "1"})


@pytest.fixture(scope="module")
def plain_running(
    tmp_path_factory: pytest.TempPathFactory, give_tables: Callable[[Site], None]
) -> Iterator[tuple[Site, Site]]:
    yield from _running(tmp_path_factory.mktemp("plain"), give_tables, {})


def _running(
    data: Path, give_tables: Callable[[Site], None], env: dict[str, str]
) -> Iterator[tuple[Site, Site]]:
    assistant, music = two_sites(data, ports=free_ports(), env=env)
    give_tables(assistant)
    give_tables(music)
    with running(assistant, music, prepare=True), shells(assistant, music):
        for site in (assistant, music):
            run_inside(site, ADD_BOB)
        yield assistant, music


@pytest.fixture
def openid_sites(openid_running: tuple[Site, Site]) -> tuple[Site, Site]:
    return _forgotten(openid_running)


@pytest.fixture
def plain_sites(plain_running: tuple[Site, Site]) -> tuple[Site, Site]:
    return _forgotten(plain_running)


def _forgotten(sites: tuple[Site, Site]) -> tuple[Site, Site]:
    for site in sites:
        run_inside(site, FORGET)
    return sites


class TestAsPartyA:
    """Alice connects two accounts at the music service, which tells whose they are (ID token)."""

    @pytest.fixture
    def alice(self, openid_sites: tuple[Site, Site]) -> Person:
        assistant, _music = openid_sites
        alice = Person("alice")
        alice.sign_in(assistant)
        return alice

    @pytest.fixture
    def links(self, openid_sites: tuple[Site, Site], alice: Person) -> dict[str, str]:
        """The pages at the assistant of her two links, by the account at the music service."""
        assistant, music = openid_sites
        links = {}
        for name in ("alice", "bob"):
            # Whoever holds the browser now signs in at the music service.
            there = Person(name, browser=alice.browser)
            there.sign_in(music)
            links[name] = link_both_ways(there, there.connect(assistant))
            there.sign_out(music)
        return links

    def test_there_are_two_links_and_each_calls_its_own_account(
        self, openid_sites: tuple[Site, Site], alice: Person, links: dict[str, str]
    ) -> None:
        assistant, music = openid_sites

        at_assistant, at_music = wait_for_links(assistant, 2), wait_for_links(music, 2)

        assert accounts(at_assistant) == [("alice", "alice"), ("alice", "bob")]
        assert accounts(at_music) == [("alice", "alice"), ("bob", "alice")]
        assert {each["account"] for each in at_assistant} == {"alice", "bob"}
        tokens = {each["token"] for each in (*at_assistant, *at_music)}
        assert len(tokens) == 4
        page = alice.browser.open(f"{assistant.url}/connections/").text
        assert "Account there: alice" in page
        assert "Account there: bob" in page

    @pytest.mark.parametrize(("where", "ended"), [("here", "alice"), ("there", "bob")])
    def test_to_end_one_leaves_the_other(
        self,
        openid_sites: tuple[Site, Site],
        alice: Person,
        links: dict[str, str],
        where: str,
        ended: str,
    ) -> None:
        assistant, music = openid_sites
        before = wait_for_links(assistant, 2), wait_for_links(music, 2)
        stays = {"alice": "bob", "bob": "alice"}[ended]

        if where == "here":
            disconnect(alice, links[ended])
        else:
            person = Person(ended)
            person.sign_in(music)
            person.disconnect(music)

        assert_left(before, openid_sites, (("alice", stays), (stays, "alice")))

    def test_to_connect_one_again_leaves_the_other(
        self, openid_sites: tuple[Site, Site], alice: Person, links: dict[str, str]
    ) -> None:
        assistant, music = openid_sites
        at_assistant = wait_for_links(assistant, 2)
        bob = Person("bob", browser=alice.browser)
        bob.sign_in(music)

        again = link_both_ways(bob, bob.connect(assistant))

        assert again == links["bob"]
        (first, second) = wait_for_links(assistant, 2)
        assert accounts([first, second]) == [("alice", "alice"), ("alice", "bob")]
        assert first in at_assistant
        assert accounts(wait_for_links(music, 2)) == [("alice", "alice"), ("bob", "alice")]


class TestAsPartyB:
    """Two people start at the assistant, and both approve as alice at the music service. No ID
    token: what tells the links there apart is the family of tokens."""

    @pytest.fixture
    def people(self, plain_sites: tuple[Site, Site]) -> tuple[Person, Person]:
        assistant, music = plain_sites
        return household(assistant, "alice", music), household(assistant, "bob", music)

    def test_there_are_two_links_and_each_calls_its_own_account(
        self, plain_sites: tuple[Site, Site], people: tuple[Person, Person]
    ) -> None:
        """The music service has given both access, and waits for two codes."""
        assistant, music = plain_sites
        questions = [each.authorize(each.connect(assistant)) for each in people]

        for person, question in zip(people, questions, strict=True):
            person.wait_until_two_way(person.answer(question).url)

        at_assistant, at_music = wait_for_links(assistant, 2), wait_for_links(music, 2)

        assert accounts(at_assistant) == [("alice", "alice"), ("bob", "alice")]
        assert accounts(at_music) == [("alice", "alice"), ("alice", "bob")]
        assert len({each["token"] for each in (*at_assistant, *at_music)}) == 4

    @pytest.mark.parametrize("where", ["here", "there"])
    def test_to_end_one_leaves_the_other(
        self,
        plain_sites: tuple[Site, Site],
        people: tuple[Person, Person],
        where: str,
    ) -> None:
        assistant, music = plain_sites
        _page, page_of_bob = [link_both_ways(each, each.connect(assistant)) for each in people]
        before = wait_for_links(assistant, 2), wait_for_links(music, 2)

        if where == "there":
            disconnect(people[1], page_of_bob)
        else:
            (of_bob,) = [each["link"] for each in before[1] if each["there"] == "bob"]
            disconnect(people[0], f"{music.url}/connections/links/{of_bob}/")

        assert_left(before, plain_sites, (("alice", "alice"), ("alice", "alice")))
