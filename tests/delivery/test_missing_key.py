"""A missing encryption key stops the sending, and nothing else."""

from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply

pytestmark = pytest.mark.django_db(transaction=True)

State = OutboxItem.State


@pytest.fixture
def _another_key(granted: Link, settings: Settings) -> None:
    """The rows were written with a key that is no longer there."""
    _use_another_key(settings)


def _use_another_key(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]
    }


@pytest.mark.threat("X7")
@pytest.mark.usefixtures("_another_key")
def test_ten_polls_send_nothing_and_the_worker_lives(granted: Link, fake_peer: FakePeer) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for poll in range(10):
            worker.drain()
            assert fake_peer.requests == []
            if poll < 9:
                assert OutboxItem.objects.get().state == State.PENDING
            clock.shift(timedelta(hours=30))

    row = OutboxItem.objects.get()
    assert "cannot be decrypted" in row.last_error
    assert "ENCRYPTION_KEYS" in row.last_error
    granted.refresh_from_db()
    assert granted.incoming_reason == Link.Reason.UNREADABLE
    assert granted.outgoing_state == Link.Outgoing.ACTIVE


@pytest.mark.threat("X7")
def test_once_the_key_is_back_it_is_sent(
    granted: Link, fake_peer: FakePeer, settings: Settings
) -> None:
    before = settings.RECIPROCAL_OAUTH
    _use_another_key(settings)
    worker.drain()
    settings.RECIPROCAL_OAUTH = before
    fake_peer.answers["/token/"] = Reply()

    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=False):
        worker.drain()

    assert OutboxItem.objects.get().state == State.ACCEPTED
    assert fake_peer.requests[0].form["access_token"] == "token-of-the-peer"


@pytest.mark.threat("X7")
@pytest.mark.usefixtures("_another_key")
def test_one_unreadable_row_does_not_hold_up_the_others(
    granted: Link, other_user: object, peer: Peer, fake_peer: FakePeer
) -> None:
    peer.client_secret = Secret("our-secret-at-the-peer")
    peer.save()
    other = Link.objects.create(
        user=other_user,
        peer=peer,
        account_key="unknown",
        outgoing_state=Link.Outgoing.ACTIVE,
        access_token=Secret("token-of-bob"),
        incoming_state=Link.Incoming.OFFERED,
        offered_scope="playback",
    )
    consent.allow(other, ["playback"])
    fake_peer.answers["/token/"] = Reply()

    worker.drain()

    assert [each.form["access_token"] for each in fake_peer.requests] == ["token-of-bob"]


@pytest.mark.threat("X7")
def test_a_received_code_that_cannot_be_read_is_not_redeemed(
    link_as_a: Link, peer: Peer, fake_peer: FakePeer, settings: Settings
) -> None:
    InboxItem.objects.create(peer=peer, link=link_as_a, code=Secret("c0de"), code_hash="x")
    _use_another_key(settings)

    worker.drain()

    assert fake_peer.requests == []
    assert InboxItem.objects.get().state in (State.FAILED, State.PENDING)


@pytest.mark.threat("X7")
def test_a_link_that_cannot_be_read_can_still_be_ended(
    link_as_a: Link, fake_peer: FakePeer, settings: Settings
) -> None:
    _use_another_key(settings)

    assert lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
    worker.drain()

    assert fake_peer.requests == []
    assert OutboxItem.objects.get().state == State.PENDING
