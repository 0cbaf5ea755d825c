"""What happens to a received code when things change before, or while, it is redeemed."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connections
from django.dispatch import Signal
from django.utils import timezone

from reciprocal_oauth.client.token_endpoint import TokenResponse
from reciprocal_oauth.delivery import queue, worker
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a.snapshot import is_same, make_snapshot
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.signals import delivery_failed, linked_both_ways

from ..fakes import FakePeer, Received, Reply, token_response

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
State = InboxItem.State


class Interrupted(IETFDialect):
    """The draft's dialect; something happens after the peer has answered and before we store."""

    event: Callable[[], None]

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        answer = super().redeem(peer, code)
        event, Interrupted.event = Interrupted.event, staticmethod(lambda: None)
        event()
        return answer


@pytest.fixture
def item(hand_over: HandOver, token_of_a: Any) -> InboxItem:
    """A code of the peer that waits to be redeemed."""
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    return InboxItem.objects.get()


@pytest.fixture
def before_storing(item: InboxItem, settings: Any) -> Callable[[Callable[[], None]], None]:
    def arrange(event: Callable[[], None]) -> None:
        Interrupted.event = staticmethod(event)
        own = {"DIALECTS": {"own": f"{__name__}.Interrupted"}}
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, **own}
        Peer.objects.update(dialect="own")

    return arrange


def given_back(fake_peer: FakePeer) -> list[str]:
    """The tokens that were revoked at the peer."""
    return [request.form["token"] for request in fake_peer.to("/revoke/")]


def end_link() -> None:
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=False)


def disable_peer() -> None:
    Peer.objects.update(enabled=False)


def deactivate_user() -> None:
    get_user_model().objects.update(is_active=False)


def delete_user() -> None:
    get_user_model().objects.all().delete()


@pytest.mark.threat("Y1", "Y3", "T3")
@pytest.mark.parametrize("event", [end_link, disable_peer, deactivate_user])
def test_a_code_that_nobody_wants_any_more_is_not_redeemed(
    item: InboxItem, fake_peer: FakePeer, event: Callable[[], None]
) -> None:
    event()
    worker.drain()

    assert fake_peer.requests == []
    item.refresh_from_db()
    assert item.state == State.CANCELLED
    assert not item.code


@pytest.mark.threat("Y1")
def test_the_code_of_a_deleted_user_goes_with_the_user(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    delete_user()
    worker.drain()

    assert fake_peer.requests == []
    assert not InboxItem.objects.exists()


@pytest.mark.threat("T3")
def test_an_answer_that_comes_after_the_end_of_the_link_is_not_stored(
    before_storing: Callable[..., None], fake_peer: FakePeer
) -> None:
    before_storing(end_link)
    worker.drain()

    assert len(fake_peer.to("/token/")) == 1
    assert given_back(fake_peer) == ["refresh-of-the-peer"], "nobody will ever use it"
    link = Link.objects.get()
    assert link.status == Link.Status.ENDED
    assert not link.access_token
    assert not link.refresh_token


@pytest.mark.threat("Y1")
def test_an_answer_that_comes_after_the_user_is_deleted_harms_nobody(
    before_storing: Callable[..., None], fake_peer: FakePeer
) -> None:
    before_storing(delete_user)
    worker.drain()

    assert len(fake_peer.to("/token/")) == 1
    assert given_back(fake_peer) == ["refresh-of-the-peer"]
    assert not Link.objects.exists()
    assert not InboxItem.objects.exists()


def delete_peer() -> None:
    Peer.objects.all().delete()


@pytest.mark.threat("Y1", "Y3")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("event", [delete_user, delete_peer])
@pytest.mark.parametrize("asked", [False, True])
def test_a_worker_whose_row_is_deleted_goes_on(
    item: InboxItem,
    fake_peer: FakePeer,
    event: Callable[[], None],
    asked: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has claimed the row, or has asked the peer, which refuses."""

    def refuse(received: Received) -> Reply:
        event()
        connections.close_all()
        return Reply.json(400, error="invalid_grant")

    fake_peer.answers["/token/"] = refuse
    (claimed,) = worker.claim(1)
    if not asked:
        event()

    worker.work(claimed)

    assert len(fake_peer.to("/token/")) == (1 if asked else 0)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S10", "K6")
def test_an_answer_that_comes_after_a_newer_code_does_not_stay(
    before_storing: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
) -> None:
    def answer(received: Received) -> Reply:
        return token_response(access_token=f"token-for-{received.form['code']}")

    fake_peer.answers["/token/"] = answer
    before_storing(lambda: hand_over(access_token=token_of_a.raw, code="newer-code"))
    worker.drain()

    assert Link.objects.get().access_token.reveal() == "token-for-newer-code"
    older, newer = InboxItem.objects.order_by("pk")
    assert (older.state, newer.state) == (State.DONE, State.DONE)
    assert not older.code
    assert not newer.code


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S10")
def test_a_code_that_was_overtaken_on_the_way_does_not_undo_the_newer_one(
    before_storing: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
) -> None:
    def answer(received: Received) -> Reply:
        if received.form["code"] == "killed by the newer one":
            return Reply.json(400, error="invalid_grant")
        return token_response(access_token="of-the-newer-one")

    fake_peer.answers["/token/"] = answer
    before_storing(lambda: hand_over(access_token=token_of_a.raw, code="killed by the newer one"))
    worker.drain()

    assert Link.objects.get().access_token.reveal() == "of-the-newer-one"
    assert Link.objects.get().is_two_way


@pytest.mark.draft("Authorization Update Flow")
def test_the_tokens_of_a_newer_code_replace_the_older_ones(
    item: InboxItem, hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    worker.drain()
    linked_at = Link.objects.get().linked_at
    fake_peer.answers["/token/"] = Reply.json(access_token="narrower", token_type="bearer")
    hand_over(access_token=token_of_a.raw, code="newer-code")
    worker.drain()

    link = Link.objects.get()
    assert link.access_token.reveal() == "narrower"
    assert not link.refresh_token, "the old one died with its family there"
    assert link.linked_at == linked_at
    assert link.is_two_way


@pytest.mark.threat("L40")
def test_a_page_from_before_the_newer_tokens_is_outdated(
    item: InboxItem, hand_over: HandOver, token_of_a: Any
) -> None:
    """They may be for another account at the peer, which does not say whose account it is."""
    worker.drain()
    shown = make_snapshot(Link.objects.get())

    hand_over(access_token=token_of_a.raw, code="newer-code")
    assert is_same(shown, make_snapshot(Link.objects.get()))
    worker.drain()

    assert not is_same(shown, make_snapshot(Link.objects.get()))


@pytest.mark.threat("K7", "K9")
def test_a_worker_that_lost_its_lease_does_not_overwrite_what_another_one_stored(
    before_storing: Callable[..., None], fake_peer: FakePeer
) -> None:
    def another_worker_is_faster() -> None:
        InboxItem.objects.update(state=State.DONE, lease_owner=None)
        link = Link.objects.get()
        link.access_token = Secret("stored-by-the-other")
        Link.objects.update(access_token=link.access_token)

    before_storing(another_worker_is_faster)
    worker.drain()

    assert Link.objects.get().access_token.reveal() == "stored-by-the-other"


@pytest.mark.threat("K7", "K9")
@pytest.mark.parametrize("state", [State.PENDING, State.CLAIMED])
def test_a_worker_whose_row_was_given_to_another_one_keeps_what_it_got_for_the_code(
    state: str, before_storing: Callable[..., None], fake_peer: FakePeer, item: InboxItem
) -> None:
    """The code is spent: whoever comes with it now gets nothing, and to revoke these tokens would
    end the link at the peer."""

    def it_was_given_back() -> None:
        InboxItem.objects.update(state=state, lease_owner="another-worker")

    before_storing(it_was_given_back)
    worker.drain()

    assert Link.objects.get().access_token.reveal() == "token-of-the-peer"
    item.refresh_from_db()
    assert (item.state, item.lease_owner) == (State.DONE, None)
    assert len(fake_peer.to("/token/")) == 1
    assert not OutboxItem.objects.exists()


@pytest.mark.threat("X7")
def test_a_code_that_cannot_be_decrypted_is_given_up_and_nothing_is_sent(
    settings: Any, item: InboxItem, fake_peer: FakePeer
) -> None:
    settings.SECRET_KEY = "another-" * 8
    worker.drain()

    assert fake_peer.requests == []
    item.refresh_from_db()
    assert item.state == State.FAILED


# Signals


@pytest.fixture
def heard() -> Iterator[list[tuple[Signal, dict[str, Any]]]]:
    """What the public signals told, in order."""
    told: list[tuple[Signal, dict[str, Any]]] = []
    receivers = []
    for signal in (linked_both_ways, delivery_failed):

        def receiver(signal: Signal, sender: type, **arguments: Any) -> None:
            told.append((signal, arguments))

        signal.connect(receiver)
        receivers.append((signal, receiver))
    yield told
    for signal, receiver in receivers:
        signal.disconnect(receiver)


@pytest.mark.django_db(transaction=True)
def test_sites_are_told_once_that_both_directions_work(
    item: InboxItem,
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
    heard: list[tuple[Signal, dict[str, Any]]],
) -> None:
    worker.drain()
    hand_over(access_token=token_of_a.raw, code="newer-code")
    worker.drain()

    assert heard == [(linked_both_ways, {"link": Link.objects.get()})]


@pytest.mark.django_db(transaction=True)
def test_sites_are_told_of_a_code_that_was_given_up(
    item: InboxItem, fake_peer: FakePeer, heard: list[tuple[Signal, dict[str, Any]]]
) -> None:
    fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")
    worker.drain()

    assert heard == [(delivery_failed, {"item": item})]


@pytest.mark.threat("T3")
def test_the_token_of_the_newer_code_is_not_given_back_with_those_of_the_older(
    before_storing: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
) -> None:
    def answer(received: Received) -> Reply:
        if received.form["code"] == "newer":
            return token_response(access_token="new", refresh_token="new-refresh")
        return Reply.json(access_token="old", token_type="bearer")

    def newer_is_faster() -> None:
        hand_over(access_token=token_of_a.raw, code="newer")
        (item,) = queue.claim(InboxItem, 1)
        worker.work(item)

    Peer.objects.update(revoke_replaced=True)
    fake_peer.answers["/token/"] = answer
    before_storing(newer_is_faster)
    worker.drain()

    assert Link.objects.get().refresh_token.reveal() == "new-refresh"
    assert given_back(fake_peer) == ["old"]


@pytest.mark.threat("D3")
def test_a_peer_that_is_down_is_asked_for_the_newest_code_only(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(503)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(10):
            hand_over(access_token=token_of_a.raw, code=f"code-{number}")
            worker.drain()
            clock.shift(6)
            worker.drain()

    states = list(InboxItem.objects.order_by("pk").values_list("state", flat=True))
    assert states == [State.CANCELLED] * 9 + [State.PENDING]
    assert len(fake_peer.to("/token/")) <= 30


@pytest.mark.threat("B12", "D3")
def test_a_code_that_was_taken_is_answered_like_the_first_time_at_the_limit_too(
    hand_over: HandOver, token_of_a: Any
) -> None:
    for number in range(10):
        assert hand_over(access_token=token_of_a.raw, code=f"c{number}").status_code == 200

    assert hand_over(access_token=token_of_a.raw, code="c9").status_code == 200
    assert hand_over(access_token=token_of_a.raw, code="c10").status_code == 429
