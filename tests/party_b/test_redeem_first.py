"""A peer that takes the response to a hand-over as "the code is redeemed": the code is redeemed
before the response, or the response is a failure."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import dispatchers, worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_b import redeem

from ..conftest import PEER_SECRET, basic, post_form
from ..delivery.processes import soon
from ..dialects.ietf_first import DIALECTS
from ..fakes import FakePeer, Received, Reply, token_response

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
State = InboxItem.State
BUSY = (503, {"error": "temporarily_unavailable"})
REFUSED = (400, {"error": "invalid_grant"})
TAKEN = (200, {})


@pytest.fixture(autouse=True)
def _first(settings: Settings, peer: Peer) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}
    Peer.objects.update(dialect="ietf-first")
    peer.refresh_from_db()


@pytest.fixture
def use(settings: Settings) -> Callable[..., None]:
    def change(**members: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, **members}

    return change


@pytest.fixture
def peer_waits(fake_peer: FakePeer) -> Iterator[threading.Event]:
    """The peer issues tokens when the event is set, and not before."""
    may_go_on = threading.Event()

    def respond(request: Received) -> Reply:
        assert may_go_on.wait(30)
        return token_response()

    fake_peer.answers["/token/"] = respond
    fake_peer.answers["/revoke/"] = Reply(200, b"")
    yield may_go_on
    may_go_on.set()


def said(response: Any) -> tuple[int, Any]:
    return response.status_code, response.json()


def post_from_a_thread(application: Any, token: str, code: str = "code-of-party-a") -> Any:
    parameters = {
        "grant_type": GRANT_TYPE,
        "code": code,
        "client_id": application.client_id,
        "access_token": token,
    }
    return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))


def the_row() -> InboxItem:
    return InboxItem.objects.get()


def is_asked(fake_peer: FakePeer, times: int = 1) -> Callable[[], bool]:
    return lambda: len(fake_peer.to("/token/")) >= times


# What the response says


@pytest.mark.rfc("6749", "4.1.3")
def test_success_means_that_the_tokens_are_here(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    assert said(hand_over(access_token=token_of_a.raw)) == TAKEN

    assert [request.form["code"] for request in fake_peer.to("/token/")] == ["code-of-party-a"]
    link, row = Link.objects.get(), the_row()
    assert link.is_two_way
    assert link.access_token.reveal() == "token-of-the-peer"
    assert (row.state, row.attempts, row.lease_owner) == (State.DONE, 1, None)
    assert not row.code
    assert worker.drain() == 0, "nothing is left to do"


def test_the_same_code_again_is_refused_after_the_end_of_its_link(
    hand_over: HandOver, token_of_a: Any, peer: Peer, user: Any, make_token: Callable[..., Any]
) -> None:
    assert said(hand_over(access_token=token_of_a.raw)) == TAKEN
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    token_of_a_new_link = make_token(peer.application, user, "playback")

    assert said(hand_over(access_token=token_of_a_new_link.raw)) == REFUSED


@pytest.mark.parametrize(
    ("reply", "answer", "reason"),
    [
        (Reply.json(400, error="invalid_grant"), REFUSED, "code_refused"),
        (Reply(500, b"down"), BUSY, ""),
        (Reply(429, b"", {"Retry-After": "1"}), BUSY, ""),
        (Reply(200, b"<html>"), BUSY, ""),
    ],
    ids=["invalid_grant", "500", "429", "a page"],
)
def test_a_failure_of_the_redemption_is_a_failure_of_the_hand_over(
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
    reply: Reply,
    answer: tuple[int, Any],
    reason: str,
) -> None:
    fake_peer.answers["/token/"] = reply

    assert said(hand_over(access_token=token_of_a.raw)) == answer

    row = the_row()
    assert row.state == (State.FAILED if reason else State.CANCELLED)
    assert row.reason == reason
    assert not row.code
    assert not Link.objects.get().access_token
    fake_peer.answers["/token/"] = token_response()
    assert worker.drain() == 0, "a later success would make a link that the peer does not know"
    assert len(fake_peer.to("/token/")) == 1


def test_a_peer_that_cannot_be_reached_is_a_failure(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    fake_peer.stop()

    assert said(hand_over(access_token=token_of_a.raw)) == BUSY
    assert the_row().state == State.CANCELLED


@pytest.mark.rfc("6749", "5.2")
def test_a_peer_that_refuses_our_credentials_is_paused(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply.json(401, error="invalid_client")

    assert said(hand_over(access_token=token_of_a.raw)) == BUSY

    assert Peer.objects.get().paused_at is not None
    assert the_row().state == State.CANCELLED
    answer = hand_over(access_token=token_of_a.raw, code="another-code")
    assert (said(answer), answer["Retry-After"]) == (BUSY, "600")
    assert len(fake_peer.to("/token/")) == 1


def test_an_error_of_our_own_is_a_failure(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*args: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(redeem.deadline, "within", break_down)

    assert said(hand_over(access_token=token_of_a.raw)) == BUSY
    assert the_row().state == State.CANCELLED


# The same code again


@pytest.mark.parametrize("answer", [TAKEN, REFUSED, BUSY], ids=["taken", "refused", "busy"])
def test_the_same_code_again_gets_the_same_answer_and_is_redeemed_once(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer, answer: tuple[int, Any]
) -> None:
    replies = {TAKEN[0]: token_response(), REFUSED[0]: Reply.json(400, error="invalid_grant")}
    fake_peer.answers["/token/"] = replies.get(answer[0], Reply(500, b""))

    first = said(hand_over(access_token=token_of_a.raw))
    fake_peer.answers["/token/"] = token_response()
    second = said(hand_over(access_token=token_of_a.raw))

    assert first == second == answer
    assert len(fake_peer.to("/token/")) == 1
    assert InboxItem.objects.count() == 1


def test_a_code_that_came_for_somebody_else_is_refused(
    hand_over: HandOver,
    token_of_a: Any,
    make_token: Callable[..., Any],
    application: Any,
    other_user: Any,
    fake_peer: FakePeer,
) -> None:
    hand_over(access_token=token_of_a.raw)
    other = make_token(application, other_user)

    assert said(hand_over(access_token=other.raw)) == REFUSED
    assert len(fake_peer.to("/token/")) == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_code_twice_at_once_is_redeemed_once_and_both_get_the_result(
    at_once: Callable[..., list[Any]], token_of_a: Any, application: Any, fake_peer: FakePeer
) -> None:
    def respond(request: Received) -> Reply:
        time.sleep(0.3)
        return token_response()

    fake_peer.answers["/token/"] = respond

    answers = at_once(4, lambda: post_from_a_thread(application, token_of_a.raw))

    assert [said(answer) for answer in answers] == [TAKEN] * 4
    assert len(fake_peer.to("/token/")) == 1
    assert Link.objects.get().is_two_way


@pytest.mark.django_db(transaction=True)
def test_a_second_request_gets_the_failure_of_the_first(
    at_once: Callable[..., list[Any]], token_of_a: Any, application: Any, fake_peer: FakePeer
) -> None:
    def respond(request: Received) -> Reply:
        time.sleep(0.3)
        return Reply.json(400, error="invalid_grant")

    fake_peer.answers["/token/"] = respond

    answers = at_once(3, lambda: post_from_a_thread(application, token_of_a.raw))

    assert [said(answer) for answer in answers] == [REFUSED] * 3
    assert len(fake_peer.to("/token/")) == 1


# In time


@pytest.mark.django_db(transaction=True)
def test_tokens_that_come_too_late_are_revoked(
    shared_database: None,
    use: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
    peer_waits: threading.Event,
) -> None:
    use(REDEEM_FIRST_SECONDS=0.3)
    assert said(hand_over(access_token=token_of_a.raw)) == BUSY

    assert the_row().state == State.CANCELLED
    assert not the_row().code
    assert fake_peer.to("/revoke/") == []
    peer_waits.set()
    soon(OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists)
    worker.drain()
    assert [each.form["token"] for each in fake_peer.to("/revoke/")] == ["refresh-of-the-peer"]
    link = Link.objects.get()
    assert (link.is_two_way, bool(link.access_token)) == (False, False)
    assert the_row().state == State.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_after_a_failure_another_code_is_accepted(
    shared_database: None,
    use: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
    peer_waits: threading.Event,
) -> None:
    """The late tokens of the first code do not replace those of the second, and are revoked."""
    use(REDEEM_FIRST_SECONDS=0.3)
    Peer.objects.update(revoke_replaced=True)
    assert said(hand_over(access_token=token_of_a.raw)) == BUSY
    newer = token_response(access_token="newer", refresh_token="newer-refresh")
    fake_peer.answers["/token/"] = newer
    use(REDEEM_FIRST_SECONDS=20)

    assert said(hand_over(access_token=token_of_a.raw, code="second-code")) == TAKEN

    peer_waits.set()
    soon(OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists)
    worker.drain()
    assert [each.form["token"] for each in fake_peer.to("/revoke/")] == ["refresh-of-the-peer"]
    assert Link.objects.get().access_token.reveal() == "newer"


@pytest.mark.django_db(transaction=True)
def test_the_time_begins_when_the_request_comes(
    shared_database: None,
    use: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    peer_waits: threading.Event,
) -> None:
    use(REDEEM_FIRST_SECONDS=0)

    assert said(hand_over(access_token=token_of_a.raw)) == BUSY
    assert the_row().state == State.CANCELLED
    peer_waits.set()
    soon(OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_back", [True, False], ids=["is back soon", "is back too late"])
def test_a_database_that_fails_meanwhile_does_not_make_the_peer_wait(
    shared_database: None,
    use: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
    is_back: bool,
) -> None:
    """Tokens that cannot be saved in time are revoked."""
    use(REDEEM_FIRST_SECONDS=20 if is_back else 1)
    fake_peer.answers["/revoke/"] = Reply(200, b"")
    store, calls = redeem._store_tokens, []

    def store_badly(*args: Any) -> Any:
        calls.append(args)
        if is_back and len(calls) > 1:
            return store(*args)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(redeem, "_store_tokens", store_badly)
    begun = time.monotonic()

    answer = said(hand_over(access_token=token_of_a.raw))

    assert time.monotonic() - begun < 30, "it did not wait for the end of the lease"
    assert answer == (TAKEN if is_back else BUSY)
    assert the_row().state == (State.DONE if is_back else State.CANCELLED)
    if not is_back:
        soon(OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists)
    worker.drain()
    revoked = [each.form["token"] for each in fake_peer.to("/revoke/")]
    assert revoked == ([] if is_back else ["refresh-of-the-peer"])


# A request that is interrupted


@pytest.fixture
def killed(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed when it was about to redeem the code."""

    class Killed(BaseException):
        pass

    def kill(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("reciprocal_oauth.party_b.redeem_first.worker.work", kill)
        with pytest.raises(Killed):
            hand_over(access_token=token_of_a.raw)


def test_the_code_of_a_killed_request_is_never_redeemed(
    killed: None, fake_peer: FakePeer, hand_over: HandOver, token_of_a: Any
) -> None:
    """The peer got no answer, so it does not count on this code any more."""
    assert the_row().state == State.CLAIMED
    assert worker.drain() == 0, "its lease has not expired"

    InboxItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    worker.drain()

    assert fake_peer.requests == []
    assert the_row().state == State.CANCELLED
    assert not the_row().code


def test_the_code_of_a_killed_request_that_comes_again_is_a_failure_in_time(
    killed: None,
    use: Callable[..., None],
    fake_peer: FakePeer,
    hand_over: HandOver,
    token_of_a: Any,
) -> None:
    use(REDEEM_FIRST_SECONDS=0.3)
    begun = time.monotonic()

    assert said(hand_over(access_token=token_of_a.raw)) == BUSY

    assert time.monotonic() - begun < 30, "it did not wait for the end of the lease"
    assert fake_peer.requests == []
    use(REDEEM_FIRST_SECONDS=20)
    assert said(hand_over(access_token=token_of_a.raw, code="another")) == TAKEN
    assert the_row_of("another").state == State.DONE


def the_row_of(code: str) -> InboxItem:
    return InboxItem.objects.get(code_hash=hash_of(code))


# Many at once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dispatcher", ["none", "thread", "eager"])
def test_a_burst_for_many_people_succeeds_as_a_whole(
    at_once: Callable[..., list[Any]],
    use: Callable[..., None],
    make_token_of_a: Callable[..., Any],
    django_user_model: Any,
    application: Any,
    fake_peer: FakePeer,
    dispatcher: str,
) -> None:
    """The share of the peer does not limit codes that the peer waits for."""
    use(DISPATCHER=dispatcher, DELIVERIES_PER_PEER=4, DISPATCHER_SWEEP_SECONDS=0.1)

    def respond(request: Received) -> Reply:
        time.sleep(0.5)
        code = request.form["code"]
        return token_response(access_token=f"a-{code}", refresh_token=f"r-{code}")

    fake_peer.answers["/token/"] = respond
    tokens = []
    for number in range(8):
        user = django_user_model.objects.create_user(f"person-{number}")
        token = make_token_of_a(application.reciprocal_peer, user)
        tokens.append(token.raw)
    left = iter(enumerate(tokens))
    lock = threading.Lock()

    def hand_over_one() -> Any:
        with lock:
            number, token = next(left)
        return post_from_a_thread(application, token, f"code-{number}")

    try:
        answers = at_once(8, hand_over_one)
    finally:
        if dispatcher == "thread":
            dispatchers.get_dispatcher().stop()

    assert [said(answer) for answer in answers] == [TAKEN] * 8
    assert len(fake_peer.to("/token/")) == 8
    assert {link.access_token.reveal() for link in Link.objects.all()} == {
        f"a-code-{number}" for number in range(8)
    }
    assert not InboxItem.objects.exclude(state=State.DONE).exists()
