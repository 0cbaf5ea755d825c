"""Pages, admin, API and diagram tell what the peer can do now from a change that has not reached it
yet."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import incoming_access
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import scope_changes
from reciprocal_oauth.presentation import flow_diagram
from reciprocal_oauth.presentation.link_status import LinkStatus

from ..fakes import FakePeer, Reply
from ..party_a.visits import call_api, connect, fill_in, link_both_ways, redeem

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.threat("S40"),
]

DOWN, REFUSES = Reply(503, b""), Reply(403, b"")


@pytest.fixture
def change(
    browser: Client, fake_peer: FakePeer, peer: Peer, application: Any
) -> Callable[..., tuple[Link, str]]:
    """Makes a two-way link whose scope alice changes, while the peer sends a given response.
    Returns the link and the peer's access token, which works."""

    def decide(before: str, after: str, answer: Reply) -> tuple[Link, str]:
        token = link_both_ways(browser, fake_peer, application)
        if before != token["scope"]:
            scope_changes.change(Link.objects.get(), before.split())
            with time_machine.travel(timezone.now() + timedelta(seconds=10)):
                worker.drain()
            token = redeem(fake_peer.to("/token/")[-1].form["code"], application).json()
        fake_peer.answers["/token/"] = answer
        scope_changes.change(Link.objects.get(), after.split())
        with time_machine.travel(timezone.now() + timedelta(seconds=20)):
            worker.drain()
        link = Link.objects.get()
        assert call_api(token["access_token"]) == 200
        return link, token["access_token"]

    return decide


def said(scopes: Any) -> list[str]:
    return [each["name"] for each in scopes]


@pytest.fixture
def api(browser: Client, settings: Settings) -> Callable[[Link], dict[str, Any]]:
    settings.ROOT_URLCONF = "tests.api.urls"

    def read(link: Link) -> dict[str, Any]:
        return browser.get(f"/api/reciprocal/links/{link.pk}/").json()

    return read


@pytest.mark.draft("Authorization Update Flow")
def test_a_failed_narrowing_does_not_stop_what_works(
    browser: Client, change: Callable[..., Any], api: Callable[..., Any]
) -> None:
    link, _token = change("profile playback", "profile", REFUSES)
    assert link.incoming_state == Link.Incoming.BROKEN

    for page in ("/connections/", f"/connections/links/{link.pk}/"):
        text = browser.get(page).content.decode()
        assert "Not working" not in text
        assert "Connected both ways" in text
        assert "Your last change is in force, but Music could not be told about it" in text
        assert "Music refused what this site sent." in text
        assert "Try again" in text
    status = LinkStatus(link)
    assert [each.text for each in status.incoming.may] == ["See your name"]
    answer = api(link)
    assert answer["is_two_way"] is True
    assert (answer["incoming"]["state"], answer["incoming"]["reason"]) == ("active", None)
    assert said(answer["incoming"]["scopes"]) == ["profile"]
    pending = answer["incoming"]["pending"]
    assert (pending["state"], pending["reason"]) == ("broken", "handover_refused")
    assert pending["scopes"] == []
    assert answer["flow"]["is_change"] is True


@pytest.mark.draft("Authorization Update Flow")
def test_a_failed_widening_adds_nothing_and_takes_nothing_away(
    browser: Client, change: Callable[..., Any], api: Callable[..., Any]
) -> None:
    link, _token = change("profile", "profile playback", REFUSES)

    incoming = LinkStatus(link).incoming
    assert incoming.state == "Working"
    assert [each.text for each in incoming.may] == ["See your name"]
    assert incoming.pending is not None
    assert [each.text for each in incoming.pending.may] == ["Control what is playing"]
    assert incoming.pending.state == "Your last change did not reach Music"
    assert LinkStatus(link).state == "Needs your attention"
    page = browser.get(f"/connections/links/{link.pk}/").content.decode()
    assert "Not working" not in page
    assert page.index("See your name") < page.index("Working") < page.index("Control what is")
    answer = api(link)["incoming"]
    assert (answer["state"], said(answer["scopes"])) == ("active", ["profile"])
    assert (answer["pending"]["state"], said(answer["pending"]["scopes"])) == (
        "broken",
        ["playback"],
    )


@pytest.mark.draft("Authorization Update Flow")
def test_a_change_that_is_on_its_way_leaves_what_works(
    browser: Client, change: Callable[..., Any], api: Callable[..., Any]
) -> None:
    link, _token = change("profile", "profile playback", DOWN)
    assert link.incoming_state == Link.Incoming.GRANTED

    status = LinkStatus(link)
    assert status.state == "Connected both ways, a change is on its way to Music"
    assert status.incoming.state == "Working"
    assert status.incoming.pending is not None
    assert status.incoming.pending.state == "Your last change is on its way to Music"
    assert [each.text for each in status.incoming.pending.may] == ["Control what is playing"]
    answer = api(link)["incoming"]
    assert (answer["state"], said(answer["scopes"])) == ("active", ["profile"])
    assert answer["pending"]["state"] == "granted"


@pytest.mark.usefixtures("worker_seen")
def test_the_first_consent_gives_nothing_before_it_has_arrived(
    browser: Client, peer: Peer, fake_peer: FakePeer, api: Callable[..., Any]
) -> None:
    fill_in(browser, connect(browser)["Location"], {"scopes": ["profile"]})
    link = Link.objects.get()

    status = LinkStatus(link)
    assert status.incoming.state == "Allowed, on its way to Music"
    assert status.incoming.pending is None
    assert not status.works_both_ways
    answer = api(link)["incoming"]
    assert (answer["state"], answer["scopes"]) == ("granted", [])
    assert (answer["pending"]["state"], said(answer["pending"]["scopes"])) == (
        "granted",
        ["profile"],
    )
    drawn = flow_diagram.of_link(link)
    assert drawn is not None
    assert not drawn.is_change


def test_a_token_that_has_expired_and_can_be_renewed_counts(change: Callable[..., Any]) -> None:
    link, _token = change("profile", "profile playback", REFUSES)

    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert incoming_access.scope_in_force(link) == "profile"


def test_administrators_read_the_same(change: Callable[..., Any]) -> None:
    link, _token = change("profile", "profile playback", REFUSES)
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin", password="admin"))

    page = admin.get(f"/admin/reciprocal_oauth/link/{link.pk}/change/").content.decode()
    listed = admin.get("/admin/reciprocal_oauth/link/").content.decode()

    for text in (page, listed):
        assert "working, the last change failed: the other site refused the code" in text
    assert "scope that the peer has now" in page.lower()
    assert "These are the steps of the last change." in page
    out = StringIO()
    call_command("reciprocal_links", "--json", stdout=out)
    (document,) = json.loads(out.getvalue())
    assert document["incoming_scope"] == "profile playback"
    assert document["incoming_scope_in_force"] == "profile"


def test_after_the_access_was_taken_away_nothing_is_said_to_work(
    browser: Client, change: Callable[..., Any], api: Callable[..., Any]
) -> None:
    link, token = change("profile", "profile playback", REFUSES)
    get_refresh_token_model().objects.get(revoked=None).revoke()
    link.refresh_from_db()

    assert call_api(token) != 200
    assert LinkStatus(link).incoming.state == "Not working"
    answer = api(link)["incoming"]
    assert (answer["state"], answer["scopes"], answer["pending"]) == ("broken", [], None)
