"""A peer that refuses our credentials, or is gone, is left alone until somebody has seen to it."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reciprocal_oauth import signals
from reciprocal_oauth.delivery import pausing, worker
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.models.ledger import hash_of
from reciprocal_oauth.party_a import consent, resending
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply, token_response

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State

REFUSALS = [
    (Reply.json(401, error="invalid_client"), Link.Reason.CREDENTIALS_REFUSED),
    (Reply(410, b"gone"), Link.Reason.GONE),
]
ALL = pytest.mark.parametrize(("reply", "reason"), REFUSALS, ids=["401", "410"])


@pytest.fixture
def announced() -> Iterator[list[tuple[Peer, str]]]:
    received: list[tuple[Peer, str]] = []

    def receive(sender: type, peer: Peer, reason: str, **kwargs: Any) -> None:
        received.append((peer, reason))

    signals.peer_paused.connect(receive)
    yield received
    signals.peer_paused.disconnect(receive)


@pytest.mark.django_db(transaction=True)
@ALL
def test_the_row_dies_and_the_others_of_the_peer_wait(
    reply: Reply,
    reason: str,
    link_as_a: Link,
    make_row: MakeRow,
    peer: Peer,
    fake_peer: FakePeer,
    announced: list[tuple[Peer, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    consent.allow(link_as_a, ["playback"])
    first = OutboxItem.objects.get()
    others = [make_row() for _ in range(4)]
    fake_peer.answers["/token/"] = reply

    worker.drain()

    first.refresh_from_db()
    assert (first.state, first.reason) == (State.DEAD, reason)
    assert {OutboxItem.objects.get(pk=row.pk).state for row in others} == {State.PENDING}
    assert len(fake_peer.requests) == 1
    peer.refresh_from_db()
    assert peer.paused_at
    assert peer.paused_reason == reason
    assert announced == [(peer, reason)]
    assert worker.next_due_at() is None, "a dispatcher need not look every second"
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "Nothing is delivered to peer music any more" in record.getMessage()


@ALL
def test_a_refusal_of_a_redemption_or_a_refresh_counts_as_well(
    reply: Reply,
    reason: str,
    peer: Peer,
    link_as_a: Link,
    token_of_a: Any,
    fake_peer: FakePeer,
) -> None:
    fake_peer.answers["/token/"] = reply
    opened_there = Link.objects.exclude(pk=link_as_a.pk).get()
    InboxItem.objects.create(
        peer=peer, link=opened_there, code=Secret("code"), code_hash=hash_of("code")
    )
    worker.drain()
    peer.refresh_from_db()
    assert peer.paused_reason == reason

    resending.resume(peer)
    Link.objects.filter(pk=link_as_a.pk).update(access_token_expires_at=link_as_a.created_at)
    consent.allow(link_as_a, ["playback"])
    worker.drain()

    peer.refresh_from_db()
    assert peer.paused_reason == reason
    link_as_a.refresh_from_db()
    assert link_as_a.outgoing_state == Link.Outgoing.ACTIVE, "the token is not to blame"


def test_other_peers_go_on(
    make_row: MakeRow, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    refused, waiting = make_row(), make_row()
    healthy = make_row(peer=make_peer("healthy", fake_peer.url))
    fake_peer.answers["/revoke/"] = [Reply(401, b""), Reply()]

    worker.drain()

    states = [OutboxItem.objects.get(pk=row.pk).state for row in (refused, waiting, healthy)]
    assert states == [State.DEAD, State.PENDING, State.DONE]


def test_what_was_refused_goes_on_once_the_peer_is_resumed(
    link_as_a: Link, peer: Peer, fake_peer: FakePeer, make_row: MakeRow
) -> None:
    consent.allow(link_as_a, ["playback"])
    fake_peer.answers["/token/"] = Reply(401, b"")
    worker.drain()
    waiting = make_row()
    link_as_a.refresh_from_db()
    assert link_as_a.incoming_reason == Link.Reason.CREDENTIALS_REFUSED

    fake_peer.answers["/token/"] = token_response()
    fake_peer.answers["/revoke/"] = Reply()
    peer.refresh_from_db()
    assert resending.resume(peer).total() == 1
    worker.drain()

    waiting.refresh_from_db()
    assert waiting.state == State.DONE
    assert link_as_a.outbox.get(kind=OutboxItem.Kind.HANDOVER).state == State.ACCEPTED
    link_as_a.refresh_from_db()
    assert (link_as_a.incoming_state, link_as_a.incoming_reason) == (Link.Incoming.GRANTED, "")
    assert not resending.resume(peer)


@pytest.mark.rfc("6749", "5.2")
def test_a_code_that_a_paused_peer_hands_over_is_left_with_it(
    peer: Peer, token_of_a: Any, hand_over: Callable[..., Any]
) -> None:
    """It would be dead by the time that it can be redeemed."""
    pausing.pause(peer.pk, Link.Reason.CREDENTIALS_REFUSED)

    refused = hand_over(access_token=token_of_a.raw)

    assert (refused.status_code, refused["Retry-After"]) == (503, "600")
    assert not InboxItem.objects.exists()
    pausing.resume(peer)
    assert hand_over(access_token=token_of_a.raw).status_code == 200


def test_a_revocation_endpoint_that_is_gone_says_nothing_about_the_others(
    make_row: MakeRow, peer: Peer, fake_peer: FakePeer
) -> None:
    row = make_row()
    fake_peer.answers["/revoke/"] = Reply(410, b"")

    worker.drain()

    row.refresh_from_db()
    peer.refresh_from_db()
    assert (row.state, row.reason) == (State.DEAD, Link.Reason.GONE)
    assert peer.paused_at is None
