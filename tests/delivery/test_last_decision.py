"""Only the last decision is delivered: older rows are reused or cancelled."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.utils import timezone

from reciprocal_oauth.delivery import queue, worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, Peer, ReciprocalCode
from reciprocal_oauth.party_a import consent, send

from ..fakes import FakePeer, Received, Reply

pytestmark = pytest.mark.django_db(transaction=True)

State = OutboxItem.State


@pytest.fixture(autouse=True)
def _peer_says_200(fake_peer: FakePeer) -> None:
    fake_peer.answers["/token/"] = Reply()


def _decide_anew(link: Link, *scopes: str) -> None:
    """Alice is asked again, and answers."""
    Link.objects.filter(pk=link.pk).update(incoming_state=Link.Incoming.OFFERED)
    consent.allow(link, scopes)


@pytest.mark.threat("R16", "S11")
@pytest.mark.parametrize("state", [State.PENDING, State.CLAIMED, State.ACCEPTED])
def test_a_new_decision_takes_over_the_pending_row(state: str, granted: Link) -> None:
    OutboxItem.objects.update(
        state=state,
        attempts=7,
        resends=2,
        last_error="HTTP 503",
        accepted_at=timezone.now(),
        next_attempt_at=timezone.now() + timedelta(hours=10),
        lease_owner="a worker" if state == State.CLAIMED else None,
    )

    _decide_anew(granted, "profile")

    row = OutboxItem.objects.get()
    assert (row.state, row.generation, row.attempts, row.resends) == (State.PENDING, 2, 0, 0)
    assert (row.lease_owner, row.accepted_at, row.last_error) == (None, None, "")
    assert worker.drain() == 1


@pytest.mark.threat("S10")
def test_a_worker_that_still_sends_the_old_decision_does_not_disturb_the_new_one(
    granted: Link, fake_peer: FakePeer
) -> None:
    def decide_meanwhile(received: Received) -> Reply:
        if len(fake_peer.requests) == 1:
            _decide_anew(granted, "profile")
        return Reply(403, b"") if len(fake_peer.requests) == 1 else Reply()

    fake_peer.answers["/token/"] = decide_meanwhile

    worker.drain()

    row = OutboxItem.objects.get()
    assert (row.state, row.generation) == (State.ACCEPTED, 2)
    granted.refresh_from_db()
    assert (granted.incoming_state, granted.incoming_scope) == ("granted", "profile")
    live = ReciprocalCode.objects.get(state="live")
    assert live.generation == 2


def _end(link: Link) -> None:
    lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=False)


def _deactivate(link: Link) -> None:
    link.user.is_active = False
    link.user.save()


def _disable(link: Link) -> None:
    Peer.objects.update(enabled=False)


def _delete_user(link: Link) -> None:
    link.user.delete()


def _deny(link: Link) -> None:
    consent.deny(link)


EVENTS = [_end, _deactivate, _disable, _delete_user, _deny]


@pytest.mark.threat("Y1", "Y3", "T3")
@pytest.mark.parametrize("event", EVENTS, ids=lambda each: each.__name__.strip("_"))
@pytest.mark.parametrize("state", [State.PENDING, State.ACCEPTED, State.CLAIMED])
def test_nothing_is_sent_any_more(
    state: str, event: Callable[[Link], None], granted: Link, fake_peer: FakePeer
) -> None:
    OutboxItem.objects.update(
        state=state,
        lease_until=Now() - timedelta(seconds=1) if state == State.CLAIMED else None,
    )

    event(granted)
    worker.drain()

    assert fake_peer.to("/token/") == []
    row = OutboxItem.objects.get(kind=OutboxItem.Kind.HANDOVER)
    assert (row.state, row.live_key) == (State.CANCELLED, None)


@pytest.mark.threat("T3", "Y1")
@pytest.mark.parametrize("event", EVENTS, ids=lambda each: each.__name__.strip("_"))
def test_what_happens_while_a_hand_over_is_sent_is_not_undone_by_its_response(
    event: Callable[[Link], None],
    granted: Link,
    fake_peer: FakePeer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def happen_meanwhile(received: Received) -> Reply:
        event(granted)
        return Reply(503, b"")

    fake_peer.answers["/token/"] = happen_meanwhile

    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(timedelta(hours=1))
        worker.drain()

    assert len(fake_peer.to("/token/")) == 1
    row = OutboxItem.objects.get(kind=OutboxItem.Kind.HANDOVER)
    assert row.state == State.CANCELLED
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.threat("S10")
def test_a_row_of_an_older_generation_is_cancelled(granted: Link, fake_peer: FakePeer) -> None:
    Link.objects.update(generation=5)

    worker.drain()

    assert OutboxItem.objects.get().state == State.CANCELLED
    assert fake_peer.requests == []


@pytest.mark.threat("S10")
def test_a_decision_between_claim_and_code_cancels_the_sending(
    granted: Link, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = send.fresh_access_token

    def decide_meanwhile(link: Link, **kwargs: Any) -> Any:
        Link.objects.filter(pk=link.pk).update(generation=5)
        return fresh(link, **kwargs)

    monkeypatch.setattr(send, "fresh_access_token", decide_meanwhile)

    worker.drain()

    assert OutboxItem.objects.get().state == State.CANCELLED
    assert fake_peer.requests == []


@pytest.mark.parametrize("moment", ["before minting", "before the answer is recorded"])
@pytest.mark.threat("K1", "K2", "K3", "K4")
def test_a_worker_that_crashes_is_replaced_and_its_code_is_revoked(
    moment: str, granted: Link, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if moment == "before minting":
        assert queue.claim(OutboxItem, 1)
    else:
        with monkeypatch.context() as killed:
            killed.setattr(queue, "release", _die)
            with pytest.raises(KeyboardInterrupt):
                worker.drain()
    assert worker.drain() == 0  # The lease still holds.

    OutboxItem.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert worker.drain() == 1

    row = OutboxItem.objects.get()
    assert (row.state, row.attempts) == (State.ACCEPTED, 2)
    codes = [each.form["code"] for each in fake_peer.requests]
    assert len(codes) == len(set(codes)) == (1 if moment == "before minting" else 2)
    assert ReciprocalCode.objects.filter(state="live").count() == 1


def _die(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


def disable_peer() -> None:
    Peer.objects.update(enabled=False)


def enable_peer() -> None:
    Peer.objects.update(enabled=True)


def deactivate_user() -> None:
    get_user_model().objects.update(is_active=False)


def activate_user() -> None:
    get_user_model().objects.update(is_active=True)


def leave_nothing_to_give() -> None:
    Peer.objects.update(allowed_scope="profile")


def give_all_again() -> None:
    Peer.objects.update(allowed_scope="profile playback")


@pytest.mark.threat("Y3", "C14")
@pytest.mark.parametrize(
    ("event", "undo", "reason"),
    [
        (disable_peer, enable_peer, "peer_disabled"),
        (deactivate_user, activate_user, "user_inactive"),
        (leave_nothing_to_give, give_all_again, "nothing_left"),
    ],
)
def test_a_hand_over_that_may_not_be_sent_leaves_a_link_that_says_so_and_can_be_finished_later(
    granted: Link,
    fake_peer: FakePeer,
    event: Callable[[], None],
    undo: Callable[[], None],
    reason: str,
) -> None:
    event()
    worker.drain()

    assert fake_peer.requests == []
    granted.refresh_from_db()
    assert (granted.incoming_state, granted.incoming_reason) == ("broken", reason)
    undo()
    link = Link.objects.get()
    assert consent.can_answer(link)
    consent.allow(link, ["playback"])
    worker.drain()
    assert len(fake_peer.to("/token/")) == 1
