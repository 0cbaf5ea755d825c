"""What party A does for each response of party B to a hand-over."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from oauth2_provider.models import get_grant_model

import reciprocal_oauth
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.exceptions import PeerError
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Peer, ReciprocalCode, Step
from reciprocal_oauth.party_a import consent

from ..client.servers import RawServer, answering, resetting
from ..conftest import always_had
from ..fakes import FakePeer, Received, Reply, token_response

pytestmark = pytest.mark.django_db(transaction=True)

State = OutboxItem.State
Incoming, Outgoing = Link.Incoming, Link.Outgoing


@pytest.fixture
def party_b(fake_peer: FakePeer) -> Callable[..., list[Received]]:
    """Has the peer answer hand-overs with these replies, the last of which stays, and refreshes
    with ``refresh``. Gives the list of hand-overs that arrive."""

    def answer(*replies: Reply, refresh: Reply | None = None) -> list[Received]:
        left, arrived = list(replies), list[Received]()

        def script(received: Received) -> Reply:
            if received.form["grant_type"] == "refresh_token":
                return refresh or token_response(access_token="second-token")
            arrived.append(received)
            return left.pop(0) if len(left) > 1 else left[0]

        fake_peer.answers["/token/"] = script
        return arrived

    return answer


Answers = Callable[..., list[Received]]


def _row(link: Link) -> OutboxItem:
    link.refresh_from_db()
    return OutboxItem.objects.get(kind=OutboxItem.Kind.HANDOVER)


def _refreshes(fake_peer: FakePeer) -> int:
    return sum(each.form["grant_type"] == "refresh_token" for each in fake_peer.to("/token/"))


@pytest.mark.draft("Reciprocal Authorization Code")
def test_the_hand_over_carries_the_four_parameters(granted: Link, party_b: Answers) -> None:
    arrived = party_b(Reply())

    worker.drain()

    (handover,) = arrived
    code = get_grant_model().objects.get().code
    assert handover.form == {
        "grant_type": GRANT_TYPE,
        "code": code,
        "client_id": "us-at-music",
        "access_token": "token-of-the-peer",
    }
    assert handover.headers["Authorization"].startswith("Basic ")


ACCEPTED = [
    Reply(),
    Reply(200, b""),
    Reply(200, b"<html>welcome</html>"),
    Reply(200, b'{"half": '),
    Reply(200, b"x" * 10_000_000),
    Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
    Reply(201, b"{}"),
    Reply(204, b""),
]


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("R5")
@pytest.mark.parametrize("reply", ACCEPTED, ids=lambda each: f"{each.status} {each.body[:10]!r}")
def test_any_200_is_accepted_but_not_done(reply: Reply, granted: Link, party_b: Answers) -> None:
    arrived = party_b(reply)

    worker.drain()

    row = _row(granted)
    assert (row.state, row.last_error) == (State.ACCEPTED, "")
    assert granted.incoming_state == Incoming.GRANTED
    assert len(arrived) == 1


RETRIED = [
    Reply(400, b"<!doctype html><h1>Bad Request (400)</h1>", {"Content-Type": "text/html"}),
    Reply(404, b"not here"),
    Reply(405, b""),
    Reply(408, b""),
    Reply(425, b""),
    Reply(429, b""),
    Reply(500, b"<html>Server Error</html>"),
    Reply(502, b""),
    Reply.json(503, error="temporarily_unavailable"),
    Reply(504, b""),
    Reply(302, b"", {"Location": "/elsewhere/"}),
    Reply(307, b"", {"Location": "/elsewhere/"}),
    Reply(308, b"", {"Location": "/elsewhere/"}),
]


@pytest.mark.threat("R3", "R6", "R62")
@pytest.mark.parametrize("reply", RETRIED, ids=lambda each: str(each.status))
def test_what_may_pass_is_tried_again(
    reply: Reply, granted: Link, party_b: Answers, fake_peer: FakePeer
) -> None:
    arrived = party_b(reply)

    worker.drain()

    row = _row(granted)
    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert row.next_attempt_at is not None
    assert 3 <= (row.next_attempt_at - timezone.now()).total_seconds() <= 7
    assert f"HTTP {reply.status}" in row.last_error
    assert granted.incoming_state == Incoming.GRANTED
    assert len(arrived) == 1
    assert fake_peer.to("/elsewhere/") == []


REFUSED = [
    (Reply.json(400, error="invalid_request"), Link.Reason.HANDOVER_REFUSED),
    (Reply.json(400, error="unauthorized_client"), Link.Reason.HANDOVER_REFUSED),
    (Reply.json(400, error="unsupported_grant_type"), Link.Reason.NO_REVERSE),
    (Reply.json(401, error="unsupported_grant_type"), Link.Reason.NO_REVERSE),
    (Reply(403, b""), Link.Reason.HANDOVER_REFUSED),
    (Reply(410, b""), Link.Reason.GONE),
    (Reply(415, b""), Link.Reason.HANDOVER_REFUSED),
    (Reply.json(401, error="invalid_client"), Link.Reason.CREDENTIALS_REFUSED),
    (Reply.json(400, error="invalid_client"), Link.Reason.CREDENTIALS_REFUSED),
    (Reply.json(401, error="access_denied"), Link.Reason.HANDOVER_REFUSED),
    (Reply(401, b""), Link.Reason.CREDENTIALS_REFUSED),
]


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    ("reply", "reason"),
    REFUSED,
    ids=[f"{reply.status} {reply.body!r}" for reply, _ in REFUSED],
)
def test_a_refusal_is_final_and_leaves_our_access_there_as_it_is(
    reply: Reply, reason: str, granted: Link, party_b: Answers
) -> None:
    arrived = party_b(reply)

    worker.drain()

    assert _row(granted).state == State.FAILED
    assert (granted.incoming_state, granted.incoming_reason) == (Incoming.BROKEN, reason)
    assert granted.outgoing_state == Outgoing.ACTIVE
    assert len(arrived) == 1


STALE = [
    Reply.json(400, error="invalid_grant"),
    Reply(400, b""),
    Reply.json(401, error="invalid_token"),
    Reply.json(401, error="invalid_grant"),
]
ALL_STALE = pytest.mark.parametrize(
    "reply", STALE, ids=[f"{each.status} {each.body!r}" for each in STALE]
)


@pytest.mark.draft("Reciprocal Authorization Code")
@ALL_STALE
def test_a_token_that_may_be_stale_is_refreshed_once_and_the_hand_over_tried_once_more(
    reply: Reply, granted: Link, party_b: Answers, fake_peer: FakePeer
) -> None:
    arrived = party_b(reply, Reply())

    worker.drain()

    assert _row(granted).state == State.ACCEPTED
    assert [each.form["access_token"] for each in arrived] == ["token-of-the-peer", "second-token"]
    assert arrived[0].form["code"] != arrived[1].form["code"]
    assert _refreshes(fake_peer) == 1
    assert OutboxItem.objects.get().attempts == 1


@pytest.mark.threat("R61")
@ALL_STALE
@pytest.mark.parametrize("renewable", [True, False])
def test_a_fresh_token_that_is_refused_as_well_ends_the_hand_over_and_not_our_access_there(
    renewable: bool, reply: Reply, granted: Link, party_b: Answers, fake_peer: FakePeer
) -> None:
    """It may be about the code, or the person there: only a refresh or a call can tell."""
    if not renewable:
        Link.objects.update(refresh_token="")
    arrived = party_b(reply)

    worker.drain()

    assert _row(granted).state == State.FAILED
    assert (granted.incoming_state, granted.incoming_reason) == (
        Incoming.BROKEN,
        Link.Reason.HANDOVER_REFUSED,
    )
    assert (granted.outgoing_state, granted.outgoing_reason) == (Outgoing.ACTIVE, "")
    assert (len(arrived), _refreshes(fake_peer)) == ((2, 1) if renewable else (1, 0))
    assert not Peer.objects.get().paused_at

    fake_peer.answers["/api/"] = Reply()
    with reciprocal_oauth.get_session(granted) as session:
        assert session.get(f"{fake_peer.url}/api/").status_code == 200


@pytest.mark.parametrize(
    ("refresh", "state", "outgoing"),
    [
        (Reply.json(400, error="invalid_grant"), State.FAILED, Outgoing.BROKEN),
        (Reply(503, b""), State.PENDING, Outgoing.ACTIVE),
        (Reply(200, b"nonsense"), State.PENDING, Outgoing.ACTIVE),
    ],
    ids=["refused", "down", "nonsense"],
)
def test_what_comes_of_a_stale_token_that_cannot_be_refreshed(
    refresh: Reply, state: str, outgoing: str, granted: Link, party_b: Answers
) -> None:
    arrived = party_b(Reply.json(400, error="invalid_grant"), refresh=refresh)

    worker.drain()

    assert _row(granted).state == state
    assert granted.outgoing_state == outgoing
    assert len(arrived) == 1


def test_a_row_that_fails_with_our_access_has_the_same_reason(
    granted: Link, party_b: Answers
) -> None:
    refused = Reply.json(400, error="invalid_grant")
    party_b(refused, refresh=refused)

    worker.drain()

    assert _row(granted).reason == granted.outgoing_reason == Link.Reason.REFRESH_REFUSED


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R60")
def test_a_hand_over_waits_for_as_long_as_the_peer_does_not_want_to_renew_the_token(
    granted: Link, party_b: Answers, fake_peer: FakePeer
) -> None:
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    party_b(Reply(), refresh=Reply(429, b"", {"Retry-After": "6000"}))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        with pytest.raises(PeerError):
            fresh_access_token(granted)
        worker.drain()

        next_attempt_at = _row(granted).next_attempt_at
        assert next_attempt_at == timezone.now() + timedelta(seconds=6000)
        clock.shift(5999)
        worker.drain()
    assert _refreshes(fake_peer) == 1


@pytest.mark.threat("R7")
@pytest.mark.parametrize(
    "talk",
    [resetting(), resetting(b"HTTP/1.1 2"), answering(), answering(b"garbage\r\n\r\n")],
    ids=["reset", "reset in the answer", "hung up", "garbage in place of a status line"],
)
def test_a_connection_that_breaks_is_tried_again(talk: Callable[..., None], granted: Link) -> None:
    server = RawServer(talk)
    always_had(reciprocal_endpoint=f"{server.url}/")

    worker.drain()

    server.stop()
    row = _row(granted)
    assert row.state == State.PENDING
    assert server.connections == 1
    assert "127.0.0.1" in row.last_error


@pytest.mark.threat("R4")
@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [("120", 115, 125), ("999999", 86395, 86405), ("soon", 3, 7), ("-5", 3, 7), ("1", 3, 7)],
)
def test_a_peer_that_asks_to_wait_is_not_asked_before(
    header: str, at_least: int, at_most: int, granted: Link, party_b: Answers
) -> None:
    party_b(Reply(429, b"", {"Retry-After": header}))

    worker.drain()

    next_attempt_at = _row(granted).next_attempt_at
    assert next_attempt_at is not None
    pause = (next_attempt_at - timezone.now()).total_seconds()
    assert at_least <= pause <= at_most


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("K2", "K4")
def test_each_attempt_carries_a_fresh_code_and_the_older_one_is_dead(
    granted: Link, party_b: Answers
) -> None:
    arrived = party_b(Reply(503, b""), Reply(503, b""), Reply())
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(3):
            worker.drain()
            clock.shift(timedelta(hours=1))

    codes = [each.form["code"] for each in arrived]
    assert len(set(codes)) == 3
    assert [each.code for each in get_grant_model().objects.all()] == codes[-1:]
    states = ReciprocalCode.objects.order_by("created_at").values_list("state", flat=True)
    assert list(states) == ["revoked", "revoked", "live"]


@pytest.mark.threat("R1", "R3", "D4")
def test_a_peer_that_cannot_be_reached_is_asked_ten_times_and_then_the_row_fails(
    granted: Link, party_b: Answers
) -> None:
    arrived = party_b(Reply(503, b""))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(15):
            worker.drain()
            clock.shift(timedelta(hours=30))

    row = _row(granted)
    assert (row.state, row.attempts, row.live_key) == (State.FAILED, 10, None)
    assert len(arrived) == 10
    assert granted.incoming_reason == Link.Reason.UNREACHABLE


def test_the_history_has_a_line_for_each_attempt(granted: Link, party_b: Answers) -> None:
    party_b(Reply(503, b""), Reply())
    with time_machine.travel(timezone.now(), tick=False) as clock:
        worker.drain()
        clock.shift(timedelta(minutes=1))
        worker.drain()

    events = LinkEvent.objects.filter(step=Step.E).order_by("id")
    assert [(each.outcome, each.detail) for each in events] == [
        ("failed", "attempt 1: HTTP 503 without a readable error"),
        ("ok", "attempt 2: HTTP 200"),
    ]


@pytest.mark.threat("R27")
def test_a_consent_that_has_not_reached_a_replica_is_handed_over(
    link_as_a: Link, party_b: Answers, replica_falls_behind: Callable[..., None]
) -> None:
    arrived = party_b(Reply())
    replica_falls_behind()
    consent.allow(link_as_a, ["playback"])

    worker.drain()

    row = _row(link_as_a)
    assert (row.state, link_as_a.incoming_state) == (State.ACCEPTED, Incoming.GRANTED)
    assert len(arrived) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R13")
@pytest.mark.parametrize("is_lost", [False, True])
def test_the_lease_is_renewed_before_the_refresh_and_the_second_request(
    is_lost: bool, granted: Link, fake_peer: FakePeer
) -> None:
    """A worker that has lost its lease sends nothing more."""
    kinds: list[str] = []
    leases: list[Any] = []

    def refuse(received: Received) -> Reply:
        kinds.append(received.form["grant_type"])
        if kinds[-1] == "refresh_token":
            return token_response(access_token="second-token")
        leases.append(OutboxItem.objects.values_list("lease_until", flat=True).get())
        OutboxItem.objects.update(lease_until=timezone.now() + timedelta(seconds=5))
        if is_lost:
            OutboxItem.objects.update(lease_owner="another worker")
        return Reply.json(400, error="invalid_grant")

    fake_peer.answers["/token/"] = refuse

    worker.work_for(0.1)

    if is_lost:
        assert kinds == [GRANT_TYPE]
        assert OutboxItem.objects.get().state == OutboxItem.State.CLAIMED
    else:
        assert kinds == [GRANT_TYPE, "refresh_token", GRANT_TYPE]
        assert all(lease - timezone.now() > timedelta(seconds=30) for lease in leases)
