"""Steps (F) and (G): the received code is traded at the peer's token endpoint, and nowhere else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, LinkEvent, Peer, Step
from reciprocal_oauth.party_a import resending
from reciprocal_oauth.secret import Secret

from ..conftest import OUR_SECRET, always_had, basic
from ..fakes import FakePeer, Reply, token_response

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
State = InboxItem.State

BAD_HOST = Reply(400, b"<!doctype html><h1>Bad Request (400)</h1>", {"Content-Type": "text/html"})


@pytest.fixture
def item(hand_over: HandOver, token_of_a: Any) -> InboxItem:
    """A code of the peer that waits to be redeemed."""
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    return InboxItem.objects.get()


def outcome(item: InboxItem) -> tuple[str, bool]:
    """The row's state, and whether it still holds the code."""
    item.refresh_from_db()
    return item.state, bool(item.code)


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "4.1.3")
def test_the_code_is_redeemed_as_the_client_that_we_are_there(
    item: InboxItem, fake_peer: FakePeer, peer: Peer
) -> None:
    worker.drain()

    request = fake_peer.requests[0]
    assert (request.method, request.path) == ("POST", "/token/")
    assert request.form == {"grant_type": "authorization_code", "code": "code-of-party-a"}
    assert request.headers["Authorization"] == basic("us-at-music", OUR_SECRET)["Authorization"]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.rfc("6749", "2.3.1")
def test_a_peer_that_wants_the_secret_in_the_body_gets_it_there_only(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    Peer.objects.update(token_endpoint_auth_method="client_secret_post")
    worker.drain()

    request = fake_peer.requests[0]
    assert "Authorization" not in request.headers
    assert (request.form["client_id"], request.form["client_secret"]) == ("us-at-music", OUR_SECRET)


@pytest.mark.rfc("6749", "5.1")
def test_the_tokens_are_kept_on_the_link_and_the_code_is_forgotten(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        worker.drain()

    assert outcome(item) == (State.DONE, False)
    link = Link.objects.get()
    assert link.is_two_way
    assert link.linked_at == now
    assert link.access_token.reveal() == "token-of-the-peer"
    assert link.refresh_token.reveal() == "refresh-of-the-peer"
    assert link.outgoing_scope == "play"
    assert now < link.access_token_expires_at < now + timedelta(seconds=3600)
    steps = [event.step for event in LinkEvent.objects.all()]
    assert steps == [Step.D, Step.E, Step.F, Step.G]


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.threat("T60")
def test_the_tokens_are_kept_of_an_answer_with_another_2xx(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(201, token_response(token_type=None).body)

    worker.drain()

    assert outcome(item) == (State.DONE, False)
    assert Link.objects.get().is_two_way


# Whose tokens they are, and where the code goes


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B16")
def test_what_the_answer_says_about_a_user_changes_nothing(
    item: InboxItem, fake_peer: FakePeer, user: Any, other_user: Any
) -> None:
    fake_peer.answers["/token/"] = token_response(
        sub=str(other_user.pk), user_id=other_user.pk, username="bob", email="bob@example.com",
        id_token="a.b.c", link=999,
    )  # fmt: skip
    worker.drain()

    link = Link.objects.get()
    assert link.user == user
    assert link.is_two_way
    assert link.subject == ""


@pytest.mark.threat("B15", "H12")
def test_the_code_goes_to_the_endpoint_on_file_whatever_the_request_said(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    evil = FakePeer()
    try:
        hand_over(
            access_token=token_of_a.raw,
            code=f"{evil.url}/code",
            token_endpoint=f"{evil.url}/token/",
            iss=evil.url,
            redirect_uri=f"{evil.url}/back",
            resource=evil.url,
            scope="everything",
            user="2",
        )
        worker.drain()
    finally:
        evil.stop()

    assert evil.requests == []
    assert fake_peer.to("/token/")[0].form["code"] == f"{evil.url}/code"
    assert "redirect_uri" not in fake_peer.to("/token/")[0].form


@pytest.mark.threat("B15", "H6")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_code_to_another_host(
    item: InboxItem, fake_peer: FakePeer, status: int
) -> None:
    evil = FakePeer()
    try:
        fake_peer.answers["/token/"] = Reply(status, b"", {"Location": f"{evil.url}/token/"})
        worker.drain()
    finally:
        evil.stop()

    assert evil.requests == []
    assert not Link.objects.get().access_token


@pytest.mark.threat("H12")
def test_the_code_is_redeemed_at_the_peer_that_sent_it(
    hand_over: HandOver,
    token_of_a: Any,
    make_peer: Callable[..., Peer],
    fake_peer: FakePeer,
) -> None:
    other = FakePeer()
    try:
        make_peer("other", other.url)
        hand_over(access_token=token_of_a.raw)
        worker.drain()
    finally:
        other.stop()

    assert (len(fake_peer.requests), other.requests) == (1, [])


# What the peer answers


LATER = "tries again"
NEVER = "gives up"

ANSWERS = [
    (Reply.json(400, error="invalid_grant"), NEVER, Link.Reason.CODE_REFUSED),
    (Reply.json(401, error="invalid_grant"), NEVER, Link.Reason.CODE_REFUSED),
    (Reply.json(400, error="invalid_client"), LATER, ""),
    (Reply.json(200, error="invalid_grant"), NEVER, Link.Reason.CODE_REFUSED),
    (Reply(204, b""), LATER, ""),
    (Reply(400, b""), NEVER, Link.Reason.CODE_REFUSED),
    (Reply.json(400, error={"type": "OAuthException"}), NEVER, Link.Reason.CODE_REFUSED),
    (Reply(400, b"<html>"), LATER, ""),
    (Reply(400, b"Bad Request"), LATER, ""),
    (Reply.json(400, message="no upstream"), LATER, ""),
    (Reply(400, b"x" * 100_000), LATER, ""),
    (Reply.json(401, error="invalid_client"), LATER, ""),
    (Reply(410), NEVER, Link.Reason.GONE),
    (Reply(403), NEVER, Link.Reason.CODE_REFUSED),
    (Reply(404), NEVER, Link.Reason.CODE_REFUSED),
    (Reply(408), LATER, ""),
    (Reply(425), LATER, ""),
    (Reply(429), LATER, ""),
    (Reply(500, b"<html>"), LATER, ""),
    (Reply(502), LATER, ""),
    (Reply(503), LATER, ""),
    (Reply(200, b"<html>hello</html>"), LATER, ""),
    (Reply(200, b""), LATER, ""),
    (Reply(200, b'{"access_token": "half'), LATER, ""),
    (Reply(200, b"[" * 200_000), LATER, ""),
    (Reply(200, b"null"), LATER, ""),
    (token_response(access_token=""), LATER, ""),
    (token_response(access_token="a\nb"), LATER, ""),
    (token_response(access_token=["x"]), LATER, ""),
    (token_response(token_type="mac"), LATER, ""),
    (Reply(200, b"x" * 100_000), LATER, ""),
]  # fmt: skip


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("R3", "R5", "T6", "F21")
@pytest.mark.parametrize(
    ("answer", "then", "reason"),
    ANSWERS,
    ids=[f"{answer.status} {answer.body[:24]!r}" for answer, *_ in ANSWERS],
)
def test_an_answer_that_is_no_token_response(
    item: InboxItem,
    fake_peer: FakePeer,
    caplog: pytest.LogCaptureFixture,
    answer: Reply,
    then: str,
    reason: str,
) -> None:
    caplog.set_level("WARNING", "reciprocal_oauth.party_b")
    fake_peer.answers["/token/"] = answer
    start = timezone.now()

    with time_machine.travel(start, tick=False):
        worker.drain()

    assert len(fake_peer.requests) == 1
    link = Link.objects.get()
    assert not link.access_token
    assert link.outgoing_state == Link.Outgoing.WAITING, "another code may come"
    assert link.incoming_state == Link.Incoming.ACTIVE
    failed = LinkEvent.objects.get(step=Step.F)
    assert failed.outcome == LinkEvent.Outcome.FAILED
    if then is LATER:
        assert outcome(item) == (State.PENDING, True)
        assert item.next_attempt_at > start
    else:
        assert outcome(item) == (State.FAILED, False)
        assert f"could not be redeemed ({reason})" in caplog.text


@pytest.mark.threat("R3")
def test_a_peer_that_recovers_gets_its_code_back(item: InboxItem, fake_peer: FakePeer) -> None:
    fake_peer.answers["/token/"] = [Reply(503), Reply(500), Reply(503), token_response()]
    now = timezone.now()
    for _ in range(4):
        with time_machine.travel(now, tick=False):
            worker.drain()
        now += timedelta(seconds=60)

    assert outcome(item) == (State.DONE, False)
    assert {request.form["code"] for request in fake_peer.requests} == {"code-of-party-a"}


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("R5", "R7")
@pytest.mark.parametrize("answer", [b"<html>a page</html>", b'{"access_token": "hal', b""])
def test_an_answer_that_was_spoilt_on_the_way_is_asked_for_again(
    item: InboxItem,
    fake_peer: FakePeer,
    hand_over: Callable[..., Any],
    answer: bytes,
    token_of_a: Any,
) -> None:
    # The peer has issued tokens, and takes the second request for a replay.
    replayed = Reply.json(400, error="invalid_grant")
    fake_peer.answers["/token/"] = [Reply(200, answer), replayed, token_response()]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(timedelta(seconds=5))
        worker.drain()

        hand_over(code="another-code", access_token=token_of_a.raw)
        worker.drain()

    codes = [request.form["code"] for request in fake_peer.requests]
    assert codes == ["code-of-party-a", "code-of-party-a", "another-code"]
    assert Link.objects.get().is_two_way


@pytest.mark.threat("R62")
def test_a_peer_whose_framework_lets_nothing_through_for_an_hour_loses_no_link(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    """A Django site with a wrong ``ALLOWED_HOSTS``."""
    fake_peer.answers["/token/"] = BAD_HOST
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(60):
            worker.drain()
            clock.shift(60)
        fake_peer.answers["/token/"] = token_response()
        clock.shift(timedelta(hours=3))
        worker.drain()

    assert outcome(item) == (State.DONE, False)
    assert Link.objects.get().is_two_way


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("R61")
@pytest.mark.parametrize("status", [400, 401])
def test_a_corrected_secret_mends_a_redemption_that_was_refused_for_the_old_one(
    status: int, item: InboxItem, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = [Reply.json(status, error="invalid_client"), token_response()]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        peer = Peer.objects.get()
        assert peer.paused_reason == Link.Reason.CREDENTIALS_REFUSED
        clock.shift(600)
        worker.drain()
        assert len(fake_peer.requests) == 1, "nothing is asked while it is paused"

        peer.client_secret = Secret("corrected")
        peer.save()
        resending.resume(peer)
        worker.drain()

    assert outcome(item) == (State.DONE, False)
    assert Link.objects.get().is_two_way
    assert {each.form["code"] for each in fake_peer.requests} == {"code-of-party-a"}


@pytest.mark.threat("R61", "X1")
def test_a_code_that_has_died_meanwhile_is_forgotten(item: InboxItem, fake_peer: FakePeer) -> None:
    fake_peer.answers["/token/"] = [
        Reply.json(401, error="invalid_client"),
        Reply.json(400, error="invalid_grant"),
    ]
    worker.drain()
    resending.resume(Peer.objects.get())
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        worker.drain()

    assert outcome(item) == (State.FAILED, False)


@pytest.mark.threat("R5")
def test_a_peer_that_only_talks_nonsense_is_given_up(
    item: InboxItem, fake_peer: FakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "reciprocal_oauth.party_b")
    fake_peer.answers["/token/"] = Reply(200, b"<html>hello</html>")
    now = timezone.now()
    for _ in range(20):
        with time_machine.travel(now, tick=False):
            worker.drain()
        now += timedelta(days=2)

    assert outcome(item) == (State.FAILED, False)
    assert len(fake_peer.requests) == 10
    assert f"could not be redeemed ({Link.Reason.BAD_RESPONSE})" in caplog.text


@pytest.mark.threat("R3", "X1")
def test_a_code_that_is_never_redeemed_is_given_up_and_forgotten(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(503)
    now = timezone.now()
    for _ in range(20):
        with time_machine.travel(now, tick=False):
            worker.drain()
        now += timedelta(days=2)

    assert outcome(item) == (State.FAILED, False)
    assert len(fake_peer.requests) == item.attempts == 10


@pytest.mark.threat("R1", "R7")
def test_a_peer_that_spent_the_code_and_fell_over_is_asked_for_a_day(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    # Its answer got lost. To it the link is complete: only a replay tells it otherwise.
    replayed = Reply.json(400, error="invalid_grant")
    fake_peer.answers["/token/"] = Reply(503)
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        while timezone.now() < start + timedelta(hours=24):
            worker.drain()
            clock.shift(timedelta(minutes=10))
        fake_peer.answers["/token/"] = replayed
        clock.shift(timedelta(days=2))
        worker.drain()

    item.refresh_from_db()
    assert (item.state, item.last_error) == (State.FAILED, "HTTP 400 invalid_grant")


@pytest.mark.threat("R3")
def test_when_it_is_tried_is_a_setting(
    item: InboxItem, fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"REDEMPTION_SCHEDULE_SECONDS": [0, 0]}
    fake_peer.answers["/token/"] = Reply(503)

    worker.drain()

    assert outcome(item) == (State.FAILED, False)
    assert len(fake_peer.requests) == 2


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R4")
def test_the_peer_is_left_alone_for_as_long_as_it_asks(
    item: InboxItem, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(429, b"", {"Retry-After": "120"})
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        worker.drain()

    item.refresh_from_db()
    assert item.next_attempt_at == start + timedelta(seconds=120)


@pytest.mark.threat("R7")
def test_a_peer_that_is_not_there_is_tried_again(item: InboxItem, fake_peer: FakePeer) -> None:
    always_had(token_endpoint="http://127.0.0.1:9/token/")
    worker.drain()

    assert outcome(item) == (State.PENDING, True)
    item.refresh_from_db()
    assert "code-of-party-a" not in item.last_error


@pytest.mark.threat("R27")
def test_a_code_whose_link_has_not_reached_a_replica_is_kept_and_redeemed(
    hand_over: HandOver,
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
    replica_falls_behind: Callable[..., None],
) -> None:
    replica_falls_behind()
    token = make_token(peer.application, user)

    assert hand_over(access_token=token.raw).status_code == 200
    worker.drain()

    item = InboxItem.objects.get()
    assert (item.state, item.link.outgoing_state) == (State.DONE, Link.Outgoing.ACTIVE)
