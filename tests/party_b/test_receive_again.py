"""Step (E) repeated: the same code again, a newer code, the same text from somebody else."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, Peer
from reciprocal_oauth.party_b.receive import OLDER_CODES_DELAY_SECONDS

from ..conftest import PEER_SECRET, basic
from ..fakes import FakePeer, Received, Reply, token_response

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
MakeToken = Callable[..., Any]
State = InboxItem.State


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B12")
def test_the_same_hand_over_again_is_answered_alike_and_redeemed_once(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    first = hand_over(access_token=token_of_a.raw)
    again = hand_over(access_token=token_of_a.raw)
    worker.drain()
    late = hand_over(access_token=token_of_a.raw)
    worker.drain()

    for response in (first, again, late):
        assert (response.status_code, response.content) == (200, b"{}")
    assert InboxItem.objects.count() == 1
    assert len(fake_peer.to("/token/")) == 1


@pytest.mark.threat("B12")
def test_the_same_code_with_a_renewed_access_token_of_the_link_is_the_same_hand_over(
    hand_over: HandOver, token_of_a: Any, make_token: MakeToken, user: Any, application: Any
) -> None:
    hand_over(access_token=token_of_a.raw)
    renewed = make_token(application, user)

    assert hand_over(access_token=renewed.raw).status_code == 200
    assert InboxItem.objects.count() == 1


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B16")
def test_the_same_code_for_another_user_is_refused(
    hand_over: HandOver,
    token_of_a: Any,
    make_token: MakeToken,
    application: Any,
    other_user: Any,
) -> None:
    hand_over(access_token=token_of_a.raw)
    of_bob = make_token(application, other_user)

    response = hand_over(access_token=of_bob.raw)

    assert (response.status_code, response.content) == (400, b'{"error": "invalid_grant"}')
    assert InboxItem.objects.get().link.user != other_user
    assert not Link.objects.filter(user=other_user).exists()


@pytest.mark.threat("B12", "I5")
def test_two_peers_may_send_the_same_text_as_code(
    hand_over: HandOver,
    token_of_a: Any,
    make_peer: Callable[..., Peer],
    make_token: MakeToken,
    user: Any,
) -> None:
    other = make_peer("other")
    token = make_token(other.application, user)
    hand_over(access_token=token_of_a.raw)

    response = hand_over(
        access_token=token.raw, client_id="other-here", headers=basic("other-here", PEER_SECRET)
    )

    assert response.status_code == 200
    assert set(InboxItem.objects.values_list("peer__slug", flat=True)) == {"music", "other"}


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("K6", "X1")
def test_a_newer_code_takes_the_place_of_one_that_still_waits(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    hand_over(access_token=token_of_a.raw, code="older")
    hand_over(access_token=token_of_a.raw, code="newer")

    worker.drain()

    assert [request.form["code"] for request in fake_peer.to("/token/")] == ["newer"]
    older, newer = InboxItem.objects.order_by("pk")
    assert (older.state, newer.state) == (State.CANCELLED, State.DONE)
    assert not older.code, "a code that is not wanted any more is not kept"


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S10")
def test_codes_that_overtook_each_other_end_with_the_one_that_party_a_still_takes(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    def answer(received: Received) -> Reply:
        if received.form["code"] == "first":
            return Reply.json(400, error="invalid_grant")  # Party A killed it with the second.
        return token_response(access_token="of-the-second")

    fake_peer.answers["/token/"] = answer
    with time_machine.travel(timezone.now(), tick=False) as clock:
        hand_over(access_token=token_of_a.raw, code="second")
        hand_over(access_token=token_of_a.raw, code="first")
        worker.drain()
        clock.shift(OLDER_CODES_DELAY_SECONDS + 1)
        worker.drain()

    assert Link.objects.get().access_token.reveal() == "of-the-second"
    assert Link.objects.get().is_two_way
    states = {item.code_hash: item.state for item in InboxItem.objects.all()}
    assert states == {hash_of("second"): State.DONE, hash_of("first"): State.FAILED}


# Too many


@pytest.mark.threat("D3")
def test_hundreds_of_codes_in_a_minute_cost_party_a_ten_redemptions(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    statuses = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(300):
            clock.shift(0.15)
            response = hand_over(access_token=token_of_a.raw, code=f"code-{number}")
            statuses.append(response.status_code)
            worker.drain()

    assert statuses == [200] * 10 + [429] * 290
    assert len(fake_peer.to("/token/")) == 10
    assert response.json() == {"error": "temporarily_unavailable"}
    assert 1 <= int(response["Retry-After"]) <= 60
    assert InboxItem.objects.count() == 10


@pytest.mark.threat("D3")
def test_who_waits_as_long_as_told_is_heard_again(hand_over: HandOver, token_of_a: Any) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(11):
            clock.shift(1)
            response = hand_over(access_token=token_of_a.raw, code=f"code-{number}")
        assert response.status_code == 429
        clock.shift(int(response["Retry-After"]) - 2)
        assert hand_over(access_token=token_of_a.raw, code="too early").status_code == 429
        clock.shift(2)

        assert hand_over(access_token=token_of_a.raw, code="in time").status_code == 200


@pytest.mark.threat("D3")
def test_the_codes_of_other_people_are_counted_apart(
    hand_over: HandOver,
    token_of_a: Any,
    make_token: MakeToken,
    application: Any,
    other_user: Any,
) -> None:
    for number in range(11):
        response = hand_over(access_token=token_of_a.raw, code=f"code-{number}")
    assert response.status_code == 429

    of_bob = make_token(application, other_user)
    assert hand_over(access_token=of_bob.raw, code="for bob").status_code == 200


@pytest.mark.threat("D3")
def test_the_limit_on_codes_can_be_switched_off(
    hand_over: HandOver, token_of_a: Any, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HANDOVERS_PER_MINUTE": 0}

    statuses = {
        hand_over(access_token=token_of_a.raw, code=f"code-{number}").status_code
        for number in range(20)
    }

    assert statuses == {200}


@pytest.mark.threat("B12")
def test_an_older_code_that_arrives_again_does_not_come_back_to_life(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    for code in ("older", "newer", "older"):
        assert hand_over(access_token=token_of_a.raw, code=code).status_code == 200
    worker.drain()

    assert [request.form["code"] for request in fake_peer.to("/token/")] == ["newer"]
