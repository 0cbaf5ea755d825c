"""What waits at this site is told as that, on the pages and in the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import Heartbeat, InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.presentation.link_status import LinkStatus
from reciprocal_oauth.secret import Secret

pytestmark = pytest.mark.django_db
State = OutboxItem.State


@pytest.fixture
def granted(link_as_a: Link) -> Link:
    consent.allow(link_as_a, ["playback"])
    return link_as_a


def shown(link: Link) -> LinkStatus:
    return LinkStatus(Link.objects.get(pk=link.pk))


def was_due_for(seconds: float, **values: Any) -> None:
    OutboxItem.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=seconds), **values)


def test_while_no_worker_runs(granted: Link) -> None:
    status = shown(granted)

    assert status.state == "Allowed, waiting at this site"
    assert status.incoming.state == "Allowed, waiting at this site"
    assert status.incoming.reason == ("This site has not worked on it yet.")


def test_while_a_worker_runs_it_is_on_its_way(granted: Link, worker_seen: Heartbeat) -> None:
    assert shown(granted).state == f"Allowed, on its way to {granted.peer.name}"


def test_a_worker_runs_and_does_not_take_it(granted: Link, worker_seen: Heartbeat) -> None:
    was_due_for(31)

    assert shown(granted).state == "Allowed, waiting at this site"


def test_a_later_attempt_is_no_sign_of_that(granted: Link, worker_seen: Heartbeat) -> None:
    """The peer could not be reached before, so the person is not told that this site is slow."""
    was_due_for(31, attempts=1)

    assert shown(granted).state == f"Allowed, on its way to {granted.peer.name}"


def test_what_the_peer_has_accepted_waits_for_the_peer(granted: Link) -> None:
    was_due_for(31, state=State.ACCEPTED)

    assert shown(granted).state == f"Allowed, on its way to {granted.peer.name}"


def test_a_paused_peer_is_the_reason_that_is_told(granted: Link) -> None:
    Peer.objects.update(paused_at=timezone.now(), paused_reason="gone")

    assert shown(granted).state == "On hold"


def test_a_code_of_the_peer_waits(link_as_a: Link) -> None:
    Link.objects.update(outgoing_state=Link.Outgoing.WAITING, access_token="", refresh_token="")
    code = {"code": Secret("the-code"), "code_hash": hash_of("the-code")}
    InboxItem.objects.create(peer=link_as_a.peer, link=link_as_a, **code)

    status = shown(link_as_a)

    assert status.state == f"Allowed at {link_as_a.peer.name}, waiting at this site"
    assert status.outgoing.state == "Nothing yet: allowed, and waiting at this site"


def test_the_page_and_its_diagram_say_it(browser: Client, granted: Link) -> None:
    page = browser.get(f"/connections/links/{granted.pk}/").content.decode()

    assert "waiting at this site" in page
    assert "cannot be reached" not in page
    assert "Reload this page" in page


@pytest.mark.urls("tests.api.urls")
def test_the_api_says_it(browser: Client, granted: Link) -> None:
    link = browser.get(f"/api/reciprocal/links/{granted.pk}/").json()

    assert link["text"] == "Allowed, waiting at this site"
    assert link["incoming"]["state"] == "granted"
    assert link["incoming"]["advice"].startswith("If it stays like this")
