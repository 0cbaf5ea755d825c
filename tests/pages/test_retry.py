"""A person has a failed hand-over sent again."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent, scope_changes

from ..columns import columns_of
from ..fakes import FakePeer, Reply
from ..party_a.visits import redeem

State, Incoming, Reason = OutboxItem.State, Link.Incoming, Link.Reason


@pytest.fixture
def link(link_as_a: Link, fake_peer: FakePeer) -> Link:
    """A link whose hand-over the peer refused; now the peer would accept it."""
    consent.allow(link_as_a, ["playback"])
    fake_peer.answers["/token/"] = [Reply(403, b""), Reply()]
    worker.drain()
    link_as_a.refresh_from_db()
    assert link_as_a.incoming_state == Incoming.BROKEN
    return link_as_a


def button(link: Link) -> str:
    return f"/connections/links/{link.pk}/retry/"


def deliver() -> None:
    """Deliver all that waits, as if the pause between two codes had passed."""
    OutboxItem.objects.filter(state=State.PENDING).update(next_attempt_at=timezone.now())
    worker.drain()


def codes(fake_peer: FakePeer) -> list[str]:
    requests = fake_peer.to("/token/")
    return [each.form["code"] for each in requests if each.form["grant_type"] == GRANT_TYPE]


@pytest.mark.usefixtures("worker_seen")
def test_it_is_sent_once_more_and_nothing_is_asked(
    browser: Client, link: Link, fake_peer: FakePeer, application: Any
) -> None:
    response = browser.post(button(link))

    assert response["Location"] == f"/connections/links/{link.pk}/"
    assert "Allowed, on its way to Music" in browser.get(response["Location"]).content.decode()
    deliver()
    assert redeem(codes(fake_peer)[-1], application).json()["scope"] == "playback"
    link.refresh_from_db()
    assert link.is_two_way
    assert link.generation == 1


def test_the_failed_row_itself_is_sent_again(browser: Client, link: Link) -> None:
    browser.post(button(link))

    row = link.outbox.get()
    assert (row.state, row.attempts, row.reason) == (State.PENDING, 0, "")


@pytest.mark.threat("R3")
def test_pressing_twice_sends_once(browser: Client, link: Link, fake_peer: FakePeer) -> None:
    for _press in range(3):
        browser.post(button(link))
    deliver()

    assert len(codes(fake_peer)) == 2
    assert link.outbox.count() == 1


def test_the_peer_is_not_called_in_a_loop(browser: Client, link: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers["/token/"] = Reply(403, b"")

    for _press in range(5):
        browser.post(button(link))
        worker.drain()

    assert len(codes(fake_peer)) == 1
    [due] = link.outbox.values_list("next_attempt_at", flat=True)
    pause = due - link.codes.get().created_at
    assert pause.total_seconds() == scope_changes.PAUSE_SECONDS


def test_what_was_cancelled_while_the_peer_was_switched_off_is_sent(
    browser: Client, link_as_a: Link, fake_peer: FakePeer
) -> None:
    consent.allow(link_as_a, ["playback"])
    Peer.objects.update(enabled=False)
    worker.drain()
    Peer.objects.update(enabled=True)
    link_as_a.refresh_from_db()
    assert link_as_a.incoming_reason == Reason.PEER_DISABLED

    browser.post(button(link_as_a))
    deliver()

    assert len(codes(fake_peer)) == 1


@pytest.mark.django_db(transaction=True)
def test_workers_are_told(browser: Client, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    from reciprocal_oauth.delivery import dispatchers

    told: list[Any] = []
    monkeypatch.setattr(dispatchers, "wake", lambda link=None: told.append(link))

    browser.post(button(link))

    assert told == [link]


@pytest.mark.parametrize(
    "values",
    [
        {"incoming_state": Incoming.ACTIVE, "incoming_reason": ""},
        {"incoming_state": Incoming.DENIED, "incoming_reason": ""},
        {"incoming_reason": Reason.STOPPED},
        {"incoming_reason": Reason.REVOKED_HERE},
        {"confirmed_generation": 1},
        {"outgoing_state": Link.Outgoing.BROKEN},
        {"incoming_scope": "openid"},
    ],
)
def test_where_there_is_nothing_to_try_again_nothing_is_sent(
    browser: Client, link: Link, fake_peer: FakePeer, values: dict[str, Any]
) -> None:
    Link.objects.update(**values)
    before = columns_of(Link.objects.get())

    assert browser.post(button(link))["Location"] == f"/connections/links/{link.pk}/"

    deliver()
    assert columns_of(Link.objects.get()) == before
    assert len(codes(fake_peer)) == 1


@pytest.mark.parametrize("values", [{"enabled": False}, {"paused_at": timezone.now()}])
def test_nothing_is_put_on_its_way_to_a_peer_that_takes_nothing(
    browser: Client, link: Link, values: dict[str, Any]
) -> None:
    Peer.objects.update(**values)

    browser.post(button(link))

    assert not OutboxItem.objects.filter(state=State.PENDING).exists()


def test_an_ended_link_stays_ended(browser: Client, link: Link) -> None:
    lifecycle.end_link(link, Reason.REVOKED_HERE, revoke_outgoing=False)

    browser.post(button(link))

    link.refresh_from_db()
    assert link.incoming_state == Incoming.ENDED


@pytest.mark.threat("L9")
def test_the_button_of_another_person_does_not_exist(link: Link, other_user: Any) -> None:
    stranger = Client()
    stranger.force_login(other_user)

    assert stranger.post(button(link)).status_code == 404
    assert stranger.post(f"/connections/links/{uuid4()}/retry/").status_code == 404
    assert link.outbox.get().state == State.FAILED


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_only_a_post_from_the_page_sends_anything(user: Any, link: Link, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    getattr(strict, method)(button(link))
    assert strict.post(button(link)).status_code == 403

    assert link.outbox.get().state == State.FAILED
