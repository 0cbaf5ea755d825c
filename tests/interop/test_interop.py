"""The whole flow with authorization servers and clients of other projects, in both roles."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from example_project.driver import Page, Person

from .foreign import (
    ALLAUTH,
    AUTHLIB,
    AUTHLIB_PLAIN,
    AUTHLIB_POST,
    OIDC_PROVIDER,
    OIDC_PROVIDER_KEYS,
    ForeignSite,
    Kind,
    OurSite,
)

pytestmark = pytest.mark.interop

WITH_THE_GRANT = [AUTHLIB, AUTHLIB_POST, OIDC_PROVIDER, OIDC_PROVIDER_KEYS]
WITHOUT_THE_GRANT = [AUTHLIB_PLAIN, ALLAUTH]

StartWith = Callable[[Kind], tuple[OurSite, ForeignSite]]

#: Calls the foreign resource as our site does, through the session of the link.
CALL = """
import json
import reciprocal_oauth
from reciprocal_oauth.models import Link
{first}
link = Link.objects.get(status="active")
session = reciprocal_oauth.get_session(link)
response = session.get("{url}/whoami")
print(json.dumps({{"status": response.status_code, "body": response.json()}}))
"""
RUN_OUT = """
from datetime import timedelta
from django.utils import timezone
Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
"""
READ_LINKS = """
import json
from reciprocal_oauth.models import Link
print(json.dumps([
    {
        "status": link.status, "two_way": link.is_two_way, "subject": link.subject,
        "account_name": link.account_name,
        "outgoing": link.outgoing_state, "outgoing_scope": link.outgoing_scope,
        "incoming": link.incoming_state, "incoming_scope": link.incoming_scope,
    }
    for link in Link.objects.all()
]))
"""


def connect(alice: Person, ours: OurSite) -> Page:
    """Press “Connect” at our site and return the page to which the foreign site redirects.

    The foreign site asks nothing, so it is the page with the question or that of the connection.
    """
    page = alice.browser.open(f"{ours.url}/connections/")
    return alice.browser.submit(page.form(action="/connections/music/connect/"))


def call(ours: OurSite, foreign: ForeignSite, first: str = "") -> Any:
    return ours.read(CALL.format(url=foreign.url, first=first))


def alice_at(ours: OurSite) -> Person:
    alice = Person("alice")
    alice.sign_in(ours)
    return alice


@pytest.mark.draft("Reciprocal Authorization Flow")
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize("kind", WITH_THE_GRANT, ids=str)
def test_a_person_starts_here_and_both_sites_hold_access(kind: Kind, start_with: StartWith) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)

    link_page = alice.answer(connect(alice, ours))
    alice.wait_until_two_way(link_page.url)

    (link,) = ours.read(READ_LINKS)
    assert link["outgoing_scope"].split() == [*["openid"] * kind.openid, "playback", "history"]
    assert link["subject"] == ("alice-there" if kind.openid else "")
    assert link["account_name"] == ("Alice There" if kind.openid else "")
    assert [each["scope"] for each in foreign.happened("redeemed")] == ["now-playing"]
    assert foreign.call()["body"]["username"] == "alice"
    assert call(ours, foreign)["body"]["sub"] == "alice-there"


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.draft("Reciprocal Scope Request")
@pytest.mark.parametrize("kind", WITH_THE_GRANT, ids=str)
def test_a_person_starts_there_and_both_sites_hold_access(
    kind: Kind, start_with: StartWith
) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)

    asked = alice.browser.open(f"{foreign.url}/start")
    answered = alice.authorize(asked)

    assert answered.response.json() == {"status": 200, "body": {}}
    assert [each["reciprocal"] for each in foreign.happened("connected")] == ["playback"]
    alice.wait_until_two_way(alice.link_page(ours).url)
    (link,) = ours.read(READ_LINKS)
    assert link["outgoing_scope"] == "playback"
    assert foreign.call()["body"]["username"] == "alice"
    assert call(ours, foreign)["body"]["sub"] == "alice-there"


@pytest.mark.rfc(6749, "6")
@pytest.mark.parametrize("kind", WITH_THE_GRANT, ids=str)
def test_each_site_refreshes_its_access_at_the_other(kind: Kind, start_with: StartWith) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)
    alice.wait_until_two_way(alice.answer(connect(alice, ours)).url)

    assert call(ours, foreign, RUN_OUT)["status"] == 200
    assert foreign.happened("refreshed")
    assert call(ours, foreign, RUN_OUT)["status"] == 200
    assert foreign.call(refresh=True)["body"]["username"] == "alice"
    assert foreign.call(refresh=True)["body"]["username"] == "alice"


@pytest.mark.rfc(7009, "2.1")
@pytest.mark.parametrize("kind", WITH_THE_GRANT, ids=str)
def test_disconnecting_ends_the_access_of_both(kind: Kind, start_with: StartWith) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)
    alice.wait_until_two_way(alice.answer(connect(alice, ours)).url)

    alice.disconnect(ours)

    assert foreign.call()["status"] == 401
    wait_for(lambda: foreign.happened("revoked"))
    assert [link["status"] for link in ours.read(READ_LINKS)] == ["ended"]


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize("kind", WITHOUT_THE_GRANT, ids=str)
def test_a_site_without_the_reciprocal_grant_is_linked_one_way_and_the_page_says_so(
    kind: Kind, start_with: StartWith
) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)

    link_page = alice.answer(connect(alice, ours))

    wait_for(lambda: ours.read(READ_LINKS)[0]["incoming"] == "broken")
    page = alice.browser.open(link_page.url)
    assert "works with this site in one direction only" in page.text
    assert call(ours, foreign)["body"]["sub"] == "alice-there"
    assert call(ours, foreign, RUN_OUT)["status"] == 200


@pytest.mark.rfc(6749, "4.1")
@pytest.mark.parametrize("kind", [ALLAUTH], ids=str)
def test_a_plain_oauth_client_gets_its_tokens_and_its_link_waits(
    kind: Kind, start_with: StartWith
) -> None:
    ours, foreign = start_with(kind)
    alice = alice_at(ours)

    asked = alice.browser.open(f"{foreign.url}/start")
    alice.authorize(asked)

    assert foreign.happened("connected")
    assert foreign.call()["body"]["username"] == "alice"
    (link,) = ours.read(READ_LINKS)
    assert (link["outgoing"], link["incoming"]) == ("waiting", "active")


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until ``condition`` is true; another process makes it true."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "It did not happen in time."
        time.sleep(0.2)
