"""Revoking a token at the peer (RFC 7009) until the peer accepts."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.party_a import resending
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.rfc("7009", "2.1")]

State = OutboxItem.State


@pytest.fixture
def ended(link_as_a: Link) -> Link:
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
    return link_as_a


def _drain_for(hours: int) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(hours):
            worker.drain()
            clock.shift(timedelta(hours=1))


@pytest.mark.threat("T3", "K13")
def test_the_refresh_token_is_revoked_with_our_credentials(
    ended: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply(200, b"")

    worker.drain()

    (sent,) = fake_peer.to("/revoke/")
    assert sent.form == {"token": "refresh-of-the-peer"}
    assert sent.headers["Authorization"].startswith("Basic ")
    row = OutboxItem.objects.get()
    assert row.state == State.DONE
    assert not row.token


@pytest.mark.threat("T3")
def test_without_a_refresh_token_the_access_token_is_revoked(
    link_as_a: Link, fake_peer: FakePeer
) -> None:
    Link.objects.update(refresh_token="")
    link_as_a.refresh_from_db()
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
    fake_peer.answers["/revoke/"] = Reply()

    worker.drain()

    assert fake_peer.to("/revoke/")[0].form == {"token": "token-of-the-peer"}


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "reply", [Reply(503, b""), Reply(429, b""), Reply(404, b"")], ids=lambda each: str(each.status)
)
def test_it_is_tried_again_until_the_peer_says_200(
    reply: Reply, ended: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = [reply, reply, Reply()]

    worker.drain()
    assert OutboxItem.objects.get().state == State.PENDING
    _drain_for(hours=6)

    assert OutboxItem.objects.get().state == State.DONE
    assert len(fake_peer.to("/revoke/")) == 3


@pytest.mark.threat("T4")
def test_a_peer_that_hangs_is_asked_again(
    ended: Link, fake_peer: FakePeer, settings: Settings
) -> None:
    usual = settings.RECIPROCAL_OAUTH
    settings.RECIPROCAL_OAUTH = usual | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.2}
    over = threading.Event()

    def hang(received: Received) -> Reply:
        over.wait(20)
        return Reply()

    fake_peer.answers["/revoke/"] = [hang, Reply()]

    worker.drain()
    over.set()
    settings.RECIPROCAL_OAUTH = usual

    row = OutboxItem.objects.get()
    assert (row.state, bool(row.token)) == (State.PENDING, True), "it may not have heard of it"
    _drain_for(hours=2)
    assert OutboxItem.objects.get().state == State.DONE
    assert len(fake_peer.to("/revoke/")) == 2


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "reply",
    [
        Reply.json(400, error="unsupported_token_type"),
        Reply.json(401, error="invalid_client"),
        Reply(403, b""),
    ],
    ids=lambda each: str(each.status),
)
def test_a_clear_refusal_is_final_and_never_reported_as_done(
    reply: Reply, ended: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = reply

    _drain_for(hours=3)

    row = OutboxItem.objects.get()
    assert row.state == State.FAILED
    assert row.token  # So that an administrator can have it tried again.
    assert len(fake_peer.to("/revoke/")) == 1


@pytest.mark.threat("T4", "D4")
def test_a_peer_that_stays_away_is_asked_ten_times(ended: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers["/revoke/"] = Reply(503, b"")

    _drain_for(hours=120)

    assert OutboxItem.objects.get().state == State.FAILED
    assert len(fake_peer.to("/revoke/")) == 10


@pytest.mark.threat("Y1")
def test_it_is_sent_although_the_user_is_deleted_by_then(ended: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    ended.user.delete()

    worker.drain()

    assert len(fake_peer.to("/revoke/")) == 1


@pytest.mark.threat("T4")
@pytest.mark.parametrize("refresh_token", ["refresh-of-the-peer", None])
def test_a_token_that_the_peer_gives_again_to_the_next_connection_is_not_revoked_late(
    refresh_token: str | None, link_as_a: Link, browser: Client, fake_peer: FakePeer
) -> None:
    link_as_a.refresh_token = Secret(refresh_token or "")
    link_as_a.save()
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
    fake_peer.answers["/revoke/"] = [Reply(503, b""), Reply()]
    worker.drain()
    fake_peer.answers["/token/"] = token_response(refresh_token=refresh_token)

    connect(browser)
    _drain_for(hours=2)

    assert len(fake_peer.to("/revoke/")) == 1, "the one before"
    row = OutboxItem.objects.get()
    assert (row.state, bool(row.token)) == (State.CANCELLED, False)
    assert Link.objects.get().access_token.reveal() == "token-of-the-peer"


@pytest.mark.threat("T4")
def test_nor_is_it_when_an_administrator_has_the_revocation_tried_again(
    ended: Link, browser: Client, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = [Reply(403, b""), Reply()]
    worker.drain()
    connect(browser)

    resending.resend(OutboxItem.objects.get())
    worker.drain()

    assert len(fake_peer.to("/revoke/")) == 1
    assert OutboxItem.objects.get().state == State.CANCELLED


@pytest.mark.threat("T4")
def test_the_next_connection_with_tokens_of_its_own_keeps_no_old_one_alive(
    ended: Link, browser: Client, fake_peer: FakePeer, make_peer: Callable[..., Peer]
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    make_peer("heating", fake_peer.url)
    connect(browser, "heating")  # Which happens to give the same.
    fake_peer.answers["/token/"] = token_response(access_token="other", refresh_token="other")
    connect(browser)

    worker.drain()

    assert [sent.form["token"] for sent in fake_peer.to("/revoke/")] == ["refresh-of-the-peer"]


@pytest.mark.threat("T4", "X7")
def test_links_whose_tokens_nobody_can_read_are_in_nobody_s_way(
    ended: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    lost = Secret(ciphertext="fernet1:written-with-a-key-that-is-lost")
    Link.objects.create(user=ended.user, peer=ended.peer, account_key="another", access_token=lost)

    worker.drain()

    assert OutboxItem.objects.get().state == State.DONE


def test_it_does_not_hold_up_the_hand_over_of_a_new_link(
    ended: Link, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    assert OutboxItem.objects.get().live_key is None


def test_a_peer_without_revocation_endpoint_is_asked_for_nothing(
    link_as_a: Link, fake_peer: FakePeer
) -> None:
    Peer.objects.update(revocation_endpoint="")
    link_as_a.peer.refresh_from_db()
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    worker.drain()

    assert not OutboxItem.objects.exists()
    assert fake_peer.requests == []


def test_a_peer_that_loses_its_endpoint_meanwhile_cancels_the_row(
    ended: Link, fake_peer: FakePeer
) -> None:
    Peer.objects.update(revocation_endpoint="")

    worker.drain()

    row = OutboxItem.objects.get()
    assert row.state == State.CANCELLED
    assert not row.token
