"""A peer that does not know the reciprocal grant: the link is a good one-way link, says so, and
offers nothing that cannot help."""

import json
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.party_a import resending, scope_changes

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import call_api, connect, fill_in, link_both_ways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.rfc("6749", "5.2"),
    pytest.mark.threat("T42"),
]

SAYS = "Music works with this site in one direction only."


def answer_handovers(fake_peer: FakePeer, answer: Reply) -> None:
    def reply(received: Received) -> Reply:
        return answer if received.form["grant_type"] == GRANT_TYPE else token_response()

    fake_peer.answers["/token/"] = reply


@pytest.fixture
def link(browser: Client, peer: Peer, fake_peer: FakePeer) -> Link:
    """Alice has allowed the reverse, and the peer knows no such thing."""
    answer_handovers(fake_peer, Reply.json(400, error="unsupported_grant_type"))
    fill_in(browser, connect(browser)["Location"], {"scopes": ["profile"]})
    worker.drain()
    assert OutboxItem.objects.get().state == OutboxItem.State.FAILED
    return Link.objects.get()


@pytest.mark.draft("Reciprocal Authorization Code")
def test_the_link_works_one_way_and_says_so(browser: Client, link: Link) -> None:
    assert (link.incoming_reason, link.outgoing_state) == ("no_reverse", "active")
    for path in ("/connections/", f"/connections/links/{link.pk}/"):
        page = browser.get(path).content.decode()
        assert SAYS in page
        assert "Connected one way" in page
        for useless in ("Try again", "Needs your attention", "Not working", "Allow it again"):
            assert useless not in page
        assert "Change what Music may do" not in page
        assert f"/connections/links/{link.pk}/retry/" not in page


@pytest.mark.draft("Reciprocal Authorization Code")
def test_nothing_is_sent_again_and_nobody_is_asked(
    browser: Client, link: Link, fake_peer: FakePeer
) -> None:
    fake_peer.requests.clear()

    browser.post(f"/connections/links/{link.pk}/retry/")
    page = f"/connections/links/{link.pk}/"
    assert browser.get(f"{page}consent/")["Location"] == page
    assert connect(browser)["Location"] == page
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        worker.drain()

    assert [r for r in fake_peer.to("/token/") if r.form["grant_type"] == GRANT_TYPE] == []
    link.refresh_from_db()
    assert (link.incoming_state, link.incoming_reason) == ("none", "no_reverse")
    assert SAYS in browser.get(page).content.decode()


def test_administrators_read_it_on_the_peer(link: Link) -> None:
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin", password="admin"))

    page = admin.get(f"/admin/reciprocal_oauth/peer/{link.peer_id}/change/").content.decode()
    listed = admin.get("/admin/reciprocal_oauth/peer/").content.decode()

    assert "Music does not support the reverse direction" in page
    assert "one way only" in listed
    out = StringIO()
    call_command("reciprocal_peer", "show", "music", "--json", stdout=out)
    assert json.loads(out.getvalue())["reverse_refused_at"]
    assert Peer.objects.get().paused_at is None, "what it can do goes on"


def grant_finding() -> dict[str, str]:
    out = StringIO()
    with suppress(SystemExit):
        call_command("reciprocal_peer", "test", "music", "--json", stdout=out)
    findings: list[dict[str, str]] = json.loads(out.getvalue())
    return next(finding for finding in findings if finding["check"] == "grant")


def refuse_codes(fake_peer: FakePeer, handover: str) -> None:
    def reply(received: Received) -> Reply:
        error = handover if received.form["grant_type"] == GRANT_TYPE else "invalid_grant"
        return Reply.json(400, error=error)

    fake_peer.answers["/token/"] = reply


def test_the_test_of_the_connection_says_the_same(
    peer: Peer, fake_peer: FakePeer, browser: Client
) -> None:
    refuse_codes(fake_peer, "unsupported_grant_type")

    finding = grant_finding()

    assert finding["state"] == "failed"
    assert "does not support the reverse direction" in finding["reason"]
    assert not Peer.objects.get().supports_reverse
    fake_peer.answers["/token/"] = token_response(reciprocal="profile")
    connect(browser)
    assert SAYS in browser.get("/connections/").content.decode()


@pytest.mark.draft("Reciprocal Authorization Code")
def test_once_it_does_the_person_may_try_again(
    browser: Client, link: Link, fake_peer: FakePeer
) -> None:
    refuse_codes(fake_peer, "invalid_grant")
    assert grant_finding()["state"] == "passed"
    answer_handovers(fake_peer, Reply())

    assert "Try again" in browser.get("/connections/").content.decode()
    browser.post(f"/connections/links/{link.pk}/retry/")
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        worker.drain()

    assert OutboxItem.objects.get().state == OutboxItem.State.ACCEPTED


def test_a_code_that_it_takes_after_all_ends_it(link: Link, fake_peer: FakePeer) -> None:
    answer_handovers(fake_peer, Reply())

    resending.resend(OutboxItem.objects.get())
    worker.drain()

    assert Peer.objects.get().supports_reverse


def test_another_endpoint_ends_it(link: Link, fake_peer: FakePeer) -> None:
    url = f"{fake_peer.url}/reciprocal/"
    call_command("reciprocal_peer", "add", "music", "--reciprocal-endpoint", url, stdout=StringIO())

    assert Peer.objects.get().supports_reverse


def test_a_peer_that_no_longer_knows_it_keeps_what_it_has_and_can_be_narrowed(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    token = link_both_ways(browser, fake_peer, application)["access_token"]
    answer_handovers(fake_peer, Reply.json(400, error="unsupported_grant_type"))
    link = Link.objects.get()
    scope_changes.change(link, ["profile"])
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        worker.drain()
        page = browser.get(f"/connections/links/{link.pk}/").content.decode()

    assert call_api(token) == 200
    assert "Connected both ways" in page
    assert "Your last change is in force, but Music could not be told about it" in page
    assert SAYS in page
    assert "Try again" not in page
    link.refresh_from_db()
    assert scope_changes.can_change(link)
    assert [name for name, _words in scope_changes.choices(link)] == ["profile"]
