"""The whole flow between two processes over real HTTP, as a person with a browser goes through it,
and what stands in both databases and logs afterwards."""

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from example_project.driver import Person
from example_project.sites import Site, free_ports, running, two_sites

from ..site_shell import run_inside, shells

pytestmark = pytest.mark.two_process

#: What a site may be set up with; the flow is the same with each.
SETUPS = {
    "plain": {},
    "with OpenID Connect": {"EXAMPLE_OIDC": "1"},
    "with a user model of its own": {"EXAMPLE_USER_MODEL": "uuid"},
    "with hashed token storage": {"EXAMPLE_HASHED_TOKENS": "1"},
    "with LoginRequiredMiddleware": {"EXAMPLE_LOGIN_REQUIRED": "1"},
}

#: Reads, inside a site, what its links hold. The tokens leave the process as checksums only.
READ_LINKS = """
import hashlib, json
from reciprocal_oauth.models import Link
checksum = lambda secret: hashlib.sha256(secret.reveal().encode()).hexdigest()
print(json.dumps([
    {
        "user": link.user.get_username(), "peer": link.peer.slug,
        "token": checksum(link.access_token), "refresh": checksum(link.refresh_token),
        "outgoing_scope": link.outgoing_scope, "incoming_scope": link.incoming_scope,
        "two_way": link.is_two_way, "subject": link.subject,
    }
    for link in Link.objects.filter(status="active")
]))
"""
#: Reads, inside a site, the tokens that it has issued.
READ_TOKENS = """
import json
from oauth2_provider.models import get_access_token_model
print(json.dumps([
    {
        "token": token.token_checksum, "user": token.user.get_username(),
        "client": token.application.client_id, "scope": token.scope,
    }
    for token in get_access_token_model().objects.all()
]))
"""

#: Forgets, inside a site, every link and every token.
FORGET = """
from oauth2_provider.models import get_access_token_model
from reciprocal_oauth.models import Link
Link.objects.all().delete()
get_access_token_model().objects.all().delete()
"""
#: Breaks, inside a site, the access that it holds at the other one.
BREAK = """
from reciprocal_oauth.models import Link
Link.objects.update(outgoing_state="broken", outgoing_reason="refresh_refused")
print([])
"""
#: Brings forward what waits for its next attempt: slow machines start a site after the second one.
MAKE_DUE = """
from django.utils import timezone
from reciprocal_oauth.models import OutboxItem
OutboxItem.objects.filter(state="pending").update(next_attempt_at=timezone.now())
print([])
"""


@pytest.fixture(params=SETUPS.values(), ids=SETUPS)
def sites(
    request: pytest.FixtureRequest, tmp_path: Path, give_tables: Callable[[Site], None]
) -> Iterator[tuple[Site, Site]]:
    """Both sites, running, with everything logged."""
    first, second = free_ports()
    env = {"EXAMPLE_LOG_LEVEL": "DEBUG", **request.param}
    assistant, music = two_sites(tmp_path, ports=(first, second), env=env)
    give_tables(assistant)
    give_tables(music)
    with running(assistant, music, prepare=True), shells(assistant, music):
        yield assistant, music


@pytest.fixture
def alice(sites: tuple[Site, Site]) -> Person:
    person = Person("alice")
    for site in sites:
        person.sign_in(site)
    return person


@pytest.mark.draft("Reciprocal Authorization Flow")
@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.threat("I9", "X1", "X2")
def test_both_sites_hold_what_the_other_issued_and_nothing_in_clear(
    sites: tuple[Site, Site], alice: Person
) -> None:
    assistant, music = sites
    seen_in_browser = connect_both_ways(alice, assistant, music)

    (at_assistant,), (at_music,) = read(assistant, READ_LINKS), read(music, READ_LINKS)
    assert at_assistant["two_way"]
    assert at_music["two_way"]
    assert issued_by(music, at_assistant["token"]) == {
        "user": "alice",
        "client": assistant.client_id,
        "scope": at_assistant["outgoing_scope"],
    }
    assert issued_by(assistant, at_music["token"]) == {
        "user": "alice",
        "client": music.client_id,
        "scope": at_music["outgoing_scope"],
    }
    assert at_assistant["incoming_scope"] == at_music["outgoing_scope"] == "now-playing"
    assert bool(at_assistant["subject"]) == (assistant.env.get("EXAMPLE_OIDC") == "1")

    heard = alice.press(assistant, "/play/").text_of("heard")
    assert heard

    secrets = seen_in_browser | {assistant.client_secret, music.client_secret}
    checksums = {at_assistant["token"], at_music["token"]} | {
        at_assistant["refresh"],
        at_music["refresh"],
    }
    for site in sites:
        assert_absent(secrets, checksums, our_tables(site), f"a table of {site}")
        assert_absent(secrets, checksums, site.read_log(), f"the log of {site}")


@pytest.mark.draft("Introduction")
def test_either_site_can_be_the_one_where_a_person_starts(
    plain_sites: tuple[Site, Site], alice_at_plain: Person
) -> None:
    assistant, music = plain_sites
    connect_both_ways(alice_at_plain, music, assistant)

    for site in plain_sites:
        assert [link["two_way"] for link in read(site, READ_LINKS)] == [True]


def test_denying_leaves_one_way_and_can_be_finished_later(
    plain_sites: tuple[Site, Site], alice_at_plain: Person
) -> None:
    assistant, music = plain_sites
    question = alice_at_plain.authorize(alice_at_plain.connect(assistant))
    denied = alice_at_plain.answer(question, allow=False)

    assert [link["two_way"] for link in read(assistant, READ_LINKS)] == [False]
    assert read(assistant, READ_TOKENS) == []

    question = alice_at_plain.browser.open(f"{denied.url}consent/")
    finished = alice_at_plain.answer(question)
    alice_at_plain.wait_until_two_way(finished.url)
    alice_at_plain.wait_until_two_way(alice_at_plain.link_page(music).url)


@pytest.mark.threat("R1")
def test_a_hand_over_that_finds_nobody_there_arrives_later(
    plain_sites: tuple[Site, Site], alice_at_plain: Person
) -> None:
    assistant, music = plain_sites
    question = alice_at_plain.authorize(alice_at_plain.connect(assistant))
    music.stop()
    waiting = alice_at_plain.answer(question)
    assert waiting.status == 200
    wait_until_tried(assistant)

    music.start()
    music.wait_until_ready()
    read(assistant, MAKE_DUE)
    alice_at_plain.wait_until_two_way(waiting.url, seconds=20)


def test_the_home_pages_offer_nothing_that_cannot_work(
    plain_sites: tuple[Site, Site], alice_at_plain: Person
) -> None:
    assistant, music = plain_sites
    connect_both_ways(alice_at_plain, assistant, music)
    assert forms_at_home(alice_at_plain, assistant) >= {"/play/", "/check/"}

    read(music, BREAK)
    assert "/check/" not in forms_at_home(alice_at_plain, music)
    page = alice_at_plain.browser.open(f"{music.url}/")
    assert "Assistant does not let Music in at the moment" in page.text

    assistant.manage("reciprocal_peer", "add", "music", "--disable")
    try:
        assert forms_at_home(alice_at_plain, assistant).isdisjoint({"/play/", "/check/"})
        page = alice_at_plain.browser.open(f"{assistant.url}/")
        assert "Assistant has switched Music off for now." in page.text
        read(assistant, FORGET + "print([])")
        assert "has switched Music off" in alice_at_plain.browser.open(f"{assistant.url}/").text
    finally:
        assistant.manage("reciprocal_peer", "add", "music", "--enable")


@pytest.fixture(scope="module")
def running_sites(
    tmp_path_factory: pytest.TempPathFactory, give_tables: Callable[[Site], None]
) -> Iterator[tuple[Site, Site]]:
    first, second = free_ports()
    assistant, music = two_sites(tmp_path_factory.mktemp("plain"), ports=(first, second))
    give_tables(assistant)
    give_tables(music)
    with running(assistant, music, prepare=True), shells(assistant, music):
        yield assistant, music


@pytest.fixture
def plain_sites(running_sites: tuple[Site, Site]) -> tuple[Site, Site]:
    """Both sites, running as they come, nobody connected."""
    for site in running_sites:
        run_inside(site, FORGET)
    return running_sites


@pytest.fixture
def alice_at_plain(plain_sites: tuple[Site, Site]) -> Person:
    person = Person("alice")
    for site in plain_sites:
        person.sign_in(site)
    return person


def connect_both_ways(person: Person, assistant: Site, music: Site) -> set[str]:
    """Goes through the flow; gives the codes and states that went through the browser."""
    asked = person.connect(assistant)
    question = person.authorize(asked)
    answered = person.answer(question)
    person.wait_until_two_way(person.link_page(music).url)
    person.wait_until_two_way(answered.url)
    queries = [dict(parse_qsl(urlsplit(url).query)) for url in asked.visited + question.visited]
    seen = {query[name] for query in queries for name in ("code", "state") if name in query}
    assert len(seen) == 2
    return seen


def forms_at_home(person: Person, site: Site) -> set[str]:
    """Where the forms on the home page of ``site`` lead."""
    page = person.browser.open(f"{site.url}/")
    return {urlsplit(form.get("action")).path for form in page.document.all("form")}


def wait_until_tried(site: Site) -> None:
    """Wait until the site has tried to hand over, and failed."""
    program = "import json; from reciprocal_oauth.models import OutboxItem as O; print(json.dumps("
    program += "list(O.objects.exclude(last_error='').values_list('attempts'))))"
    give_up = time.monotonic() + 20
    while not read(site, program):
        assert time.monotonic() < give_up, site.log_tail()
        time.sleep(0.05)


def read(site: Site, program: str) -> list[dict[str, Any]]:
    return json.loads(run_inside(site, program))


def issued_by(site: Site, checksum: str) -> dict[str, str]:
    """What the site's own row says about the token with this checksum."""
    (token,) = [token for token in read(site, READ_TOKENS) if token.pop("token") == checksum]
    return token


def our_tables(site: Site) -> str:
    """Everything in the tables of this app, as SQL."""
    with sqlite3.connect(site.database_path) as database:
        lines = [line for line in database.iterdump() if '"reciprocal_oauth_' in line]
    assert any("INSERT" in line for line in lines)
    return "\n".join(lines)


def assert_absent(secrets: set[str], checksums: set[str], text: str, where: str) -> None:
    """No secret stands in ``text``, nor any word whose checksum is one of ``checksums``."""
    assert [secret for secret in secrets if secret and secret in text] == [], where
    words = {word for word in split_words(text) if 16 <= len(word) <= 512}
    found = [word for word in words if hashlib.sha256(word.encode()).hexdigest() in checksums]
    assert found == [], where


def split_words(text: str) -> set[str]:
    """Runs of the characters that tokens are made of."""
    return set(re.findall(r"[A-Za-z0-9._~+/-]+", text)) | set(re.findall(r"[A-Za-z0-9]+", text))
