"""A hand-over is done when the code is redeemed. Otherwise, a new code is sent a few times."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth import signals
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, Peer

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply

pytestmark = pytest.mark.django_db(transaction=True)

State = OutboxItem.State
#: A code's life, and the margin after it.
WATCH = timedelta(seconds=120)


@pytest.fixture
def arrived(fake_peer: FakePeer) -> list[Received]:
    """The hand-overs; the peer says 200 to each and does nothing."""
    fake_peer.answers["/token/"] = Reply()
    return fake_peer.requests


@pytest.fixture
def redeem(peer: Peer) -> Callable[[str], Any]:
    """Redeems a code at our token endpoint, as the peer."""

    def post(code: str) -> Any:
        return post_form(
            Client(),
            {"grant_type": "authorization_code", "code": code},
            basic(peer.application.client_id, PEER_SECRET),
        )

    return post


@pytest.mark.threat("R5")
def test_an_accepted_code_has_its_whole_life_and_a_margin_to_be_redeemed(
    granted: Link, arrived: list[Received]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(WATCH - timedelta(seconds=1))
        worker.drain()
        assert len(arrived) == 1

        clock.shift(2)
        worker.drain()
        assert len(arrived) == 2


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("R5", "R15")
def test_a_code_that_nobody_redeems_is_sent_again_three_times_and_then_fails(
    granted: Link, arrived: list[Received]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(8):
            worker.drain()
            clock.shift(WATCH + timedelta(seconds=1))

    row = OutboxItem.objects.get()
    assert (row.state, row.resends, len(arrived)) == (State.FAILED, 3, 4)
    assert len({each.form["code"] for each in arrived}) == 4
    granted.refresh_from_db()
    assert granted.incoming_state == Link.Incoming.BROKEN
    assert granted.incoming_reason == Link.Reason.UNCONFIRMED


@pytest.mark.parametrize("resends", [0, 1])
def test_how_often_is_a_setting(
    resends: int, granted: Link, arrived: list[Received], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"MAX_RESENDS": resends}
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(4):
            worker.drain()
            clock.shift(WATCH + timedelta(seconds=1))

    assert len(arrived) == 1 + resends


@pytest.mark.threat("R15")
def test_how_long_is_waited_for_is_a_setting(
    granted: Link, arrived: list[Received], settings: Settings
) -> None:
    short = {"CODE_LIFETIME_SECONDS": 5, "REDEMPTION_WATCH_SECONDS": 0}
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | short
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(timedelta(seconds=5))
        worker.drain()

    assert len(arrived) == 2


@pytest.mark.threat("R5")
def test_a_redemption_at_last_ends_it_well(
    granted: Link, arrived: list[Received], redeem: Callable[[str], Any]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(WATCH + timedelta(seconds=1))
        worker.drain()
        old, new = (each.form["code"] for each in arrived)

        assert redeem(old).status_code == 400
        assert redeem(new).status_code == 200
        clock.shift(WATCH + timedelta(seconds=1))
        worker.drain()

    assert OutboxItem.objects.get().state == State.DONE
    granted.refresh_from_db()
    assert granted.is_two_way
    assert len(arrived) == 2


@pytest.mark.threat("K5", "K6")
def test_a_peer_that_redeems_before_it_answers_is_done_whatever_it_answers(
    granted: Link, fake_peer: FakePeer, redeem: Callable[[str], Any]
) -> None:
    def redeem_and_fail(received: Received) -> Reply:
        assert redeem(received.form["code"]).status_code == 200
        return Reply(500, b"")

    fake_peer.answers["/token/"] = redeem_and_fail
    both: list[Link] = []

    def note(sender: type, link: Link, **kwargs: Any) -> None:
        both.append(link)

    signals.linked_both_ways.connect(note)
    worker.drain()
    signals.linked_both_ways.disconnect(note)

    assert OutboxItem.objects.get().state == State.DONE
    granted.refresh_from_db()
    assert granted.is_two_way
    assert both == [granted]
    assert len(fake_peer.requests) == 1
