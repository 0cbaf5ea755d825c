"""A peer is paused when it refuses our credentials or its endpoint no longer exists."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from reciprocal_oauth import signals
from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.delivery import pausing, worker
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent, resending
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply, token_response

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State

REFUSALS = [
    (Reply.json(401, error="invalid_client"), Link.Reason.CREDENTIALS_REFUSED),
    (Reply.json(400, error="invalid_client"), Link.Reason.CREDENTIALS_REFUSED),
    (Reply(401, b""), Link.Reason.CREDENTIALS_REFUSED),
    (Reply(410, b"gone"), Link.Reason.GONE),
]
ALL = pytest.mark.parametrize(
    ("reply", "reason"), REFUSALS, ids=[f"{each.status} {each.body!r}" for each, _ in REFUSALS]
)


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
def test_the_row_fails_and_the_others_of_the_peer_wait(
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
    assert (first.state, first.reason) == (State.FAILED, reason)
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


@pytest.fixture
def while_refusing(fake_peer: FakePeer) -> Callable[[Reply, Callable[[], Any]], None]:
    """Has something happen at this site while the peer's first refusal is in the air; later it
    takes everything."""

    def arrange(reply: Reply, event: Callable[[], Any]) -> None:
        def refuse(received: Received) -> Reply:
            event()
            connections.close_all()
            return reply

        fake_peer.answers["/token/"] = [refuse, token_response()]

    return arrange


def _correct_and_resume() -> None:
    peer = Peer.objects.get()
    peer.client_secret = Secret("corrected")
    peer.save()
    resending.resume(peer)


def _hand_over(link: Link) -> None:
    consent.allow(link, ["playback"])


def _redeem(link: Link) -> None:
    InboxItem.objects.create(
        peer=link.peer, link=link, code=Secret("code"), code_hash=hash_of("code")
    )


@pytest.mark.threat("R3")
@pytest.mark.usefixtures("shared_database")
@pytest.mark.parametrize("what", [_hand_over, _redeem])
def test_a_refusal_of_what_has_been_corrected_meanwhile_pauses_nothing(
    what: Callable[[Link], None],
    link_as_a: Link,
    fake_peer: FakePeer,
    while_refusing: Callable[..., None],
    announced: list[tuple[Peer, str]],
) -> None:
    what(link_as_a)
    while_refusing(Reply.json(401, error="invalid_client"), _correct_and_resume)

    worker.drain()

    assert Peer.objects.get().paused_at is None
    assert announced == []
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        worker.drain()
    first, second = [each.headers["Authorization"] for each in fake_peer.requests]
    assert first != second
    states = [*OutboxItem.objects.values_list("state"), *InboxItem.objects.values_list("state")]
    assert states in ([(State.ACCEPTED,)], [(State.DONE,)])


@pytest.mark.threat("R3", "X6")
@pytest.mark.usefixtures("shared_database")
def test_a_secret_that_is_only_encrypted_anew_is_refused_like_before(
    link_as_a: Link, while_refusing: Callable[..., None]
) -> None:
    def encrypt_anew() -> None:
        peer = Peer.objects.get()
        peer.client_secret = Secret(peer.client_secret.reveal())
        Peer.objects.update(client_secret=peer.client_secret)

    _hand_over(link_as_a)
    while_refusing(Reply(401, b""), encrypt_anew)

    worker.drain()

    assert Peer.objects.get().paused_at
    assert OutboxItem.objects.get().state == State.FAILED


@pytest.mark.threat("R3")
def test_rows_that_are_refused_at_once_are_sent_again_together(
    link_as_a: Link, other_user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    other = Link.objects.create(
        user=other_user,
        peer=peer,
        account_key="other",
        outgoing_state=Link.Outgoing.ACTIVE,
        access_token=Secret("other"),
        incoming_state=Link.Incoming.OFFERED,
        offered_scope="playback",
    )
    _hand_over(link_as_a)
    _hand_over(other)
    fake_peer.answers["/token/"] = Reply(401, b"")

    for item in worker.claim(2):
        worker.work(item)

    assert set(OutboxItem.objects.values_list("state", flat=True)) == {State.FAILED}
    assert resending.resume(peer).total() == 2


def test_other_peers_go_on(
    link_as_a: Link, make_row: MakeRow, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    _hand_over(link_as_a)
    refused, waiting = OutboxItem.objects.get(), make_row()
    healthy = make_row(peer=make_peer("healthy", fake_peer.url))
    fake_peer.answers["/token/"] = Reply(401, b"")
    fake_peer.answers["/revoke/"] = Reply()

    worker.drain()

    states = [OutboxItem.objects.get(pk=row.pk).state for row in (refused, waiting, healthy)]
    assert states == [State.FAILED, State.PENDING, State.DONE]


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
    pausing.pause(peer, Link.Reason.CREDENTIALS_REFUSED)

    refused = hand_over(access_token=token_of_a.raw)

    assert (refused.status_code, refused["Retry-After"]) == (503, "600")
    assert not InboxItem.objects.exists()
    pausing.resume(peer)
    assert hand_over(access_token=token_of_a.raw).status_code == 200


@pytest.mark.rfc("7009", "2.2.1")
@pytest.mark.threat("R61")
@pytest.mark.parametrize(
    ("reply", "reason"), [*REFUSALS, (Reply(403, b""), Link.Reason.TOKEN_REFUSED)]
)
def test_what_a_revocation_endpoint_refuses_says_nothing_about_the_others(
    reply: Reply, reason: str, make_row: MakeRow, peer: Peer, fake_peer: FakePeer
) -> None:
    row, next_one = make_row(), make_row()
    fake_peer.answers["/revoke/"] = [reply, Reply()]

    worker.drain()

    row.refresh_from_db()
    next_one.refresh_from_db()
    peer.refresh_from_db()
    assert (row.state, row.reason, next_one.state) == (State.FAILED, reason, State.DONE)
    assert peer.paused_at is None


@pytest.mark.threat("R61")
@pytest.mark.parametrize("error", ["invalid_token", "invalid_grant"])
@pytest.mark.parametrize("what", [_hand_over, _redeem])
def test_a_401_about_something_else_than_our_credentials_pauses_nothing(
    what: Callable[[Link], None], error: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    what(link_as_a)
    Link.objects.update(refresh_token="")
    fake_peer.answers["/token/"] = Reply.json(401, error=error)

    worker.drain()

    assert Peer.objects.get().paused_at is None
    states = [*OutboxItem.objects.values_list("state"), *InboxItem.objects.values_list("state")]
    assert states == [(State.FAILED,)]
    assert Link.objects.get().outgoing_state == Link.Outgoing.ACTIVE


@pytest.mark.threat("R61")
@pytest.mark.usefixtures("shared_database")
@pytest.mark.parametrize("what", [_hand_over, _redeem])
@pytest.mark.parametrize(
    "reply", [Reply(401, b""), Reply(410, b""), Reply.json(400, error="invalid_grant")],
    ids=lambda each: str(each.status),
)  # fmt: skip
def test_a_refusal_that_arrives_when_the_row_is_another_worker_s_changes_nothing(
    reply: Reply,
    what: Callable[[Link], None],
    link_as_a: Link,
    while_refusing: Callable[..., None],
) -> None:
    what(link_as_a)
    Link.objects.update(refresh_token="")

    def take_over() -> None:
        for queue in (OutboxItem, InboxItem):
            queue._default_manager.update(lease_owner="another worker")

    while_refusing(reply, take_over)
    columns = ("outgoing_state", "incoming_state", "generation", "updated_at")
    before = Link.objects.values(*columns).get()

    worker.drain()

    assert Peer.objects.get().paused_at is None
    assert Link.objects.values(*columns).get() == before
    states = [*OutboxItem.objects.values_list("state"), *InboxItem.objects.values_list("state")]
    assert states == [(State.CLAIMED,)]
