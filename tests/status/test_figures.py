"""The figures for operators: queues, workers, paused peers, links, pairings, failed attempts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import (
    AuthorizationRequest,
    Heartbeat,
    InboxItem,
    Link,
    OutboxItem,
    Pairing,
    Peer,
    Reason,
)
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.status.figures import collect
from reciprocal_oauth.status.problems import problems_in
from reciprocal_oauth.status.queues import is_anything_overdue

State = OutboxItem.State
Problem = AuthorizationRequest.Problem


def ago(**units: float) -> Any:
    return timezone.now() - timedelta(**units)


@pytest.fixture
def make_row(peer: Peer) -> Callable[..., OutboxItem]:
    def make(**values: Any) -> OutboxItem:
        return OutboxItem.objects.create(
            **{"kind": OutboxItem.Kind.REVOCATION, "peer": peer, **values}
        )

    return make


def test_a_new_site_has_no_figures_and_needs_no_worker(db: None) -> None:
    found = collect()

    assert not found.worker_missing
    assert found.worker_seen_at is None
    assert found.workers == found.paused_peers == found.unreadable == ()
    assert [(each.name, each.due, each.oldest_due_seconds) for each in found.queues] == [
        ("outbox", 0, None),
        ("inbox", 0, None),
    ]


def test_the_due_rows_and_the_oldest_of_them(make_row: Callable[..., OutboxItem]) -> None:
    make_row(next_attempt_at=ago(seconds=90))
    make_row(next_attempt_at=ago(seconds=10))
    make_row(next_attempt_at=timezone.now() + timedelta(minutes=1))

    outbox = collect().queue("outbox")

    assert (outbox.unfinished, outbox.due, outbox.overdue) == (3, 2, 0)
    assert outbox.oldest_due_seconds == pytest.approx(90, abs=20)


def test_an_interrupted_row_is_due_since_its_lease_has_expired(
    make_row: Callable[..., OutboxItem],
) -> None:
    interrupted = {"state": State.CLAIMED, "next_attempt_at": ago(hours=1)}
    make_row(**interrupted, lease_until=ago(seconds=90), lease_owner="somebody")

    outbox = collect().queue("outbox")

    assert outbox.due == 1
    assert outbox.oldest_due_seconds == pytest.approx(90, abs=20)


def test_a_code_that_a_peer_handed_over_counts_in_the_inbox(peer: Peer, link_as_a: Link) -> None:
    code = {"code": Secret("the-code"), "code_hash": hash_of("the-code")}
    InboxItem.objects.create(peer=peer, link=link_as_a, **code)

    found = collect()

    assert (found.queue("inbox").due, found.queue("outbox").due) == (1, 0)


class TestOverdue:
    """A row is overdue if no worker has taken it for WORKER_MISSING_SECONDS."""

    @pytest.fixture
    def overdue(self, make_row: Callable[..., OutboxItem]) -> OutboxItem:
        return make_row(next_attempt_at=ago(seconds=301))

    def test_after_the_time_in_the_setting(self, overdue: OutboxItem, settings: Settings) -> None:
        assert collect().queue("outbox").overdue == 1
        assert is_anything_overdue()

        settings.RECIPROCAL_OAUTH = {"WORKER_MISSING_SECONDS": 400}
        assert collect().queue("outbox").overdue == 0
        assert not is_anything_overdue()

    def test_not_while_its_peer_is_paused(self, overdue: OutboxItem, peer: Peer) -> None:
        Peer.objects.filter(pk=peer.pk).update(paused_at=timezone.now())

        outbox = collect().queue("outbox")

        assert (outbox.due, outbox.overdue, outbox.on_hold) == (0, 0, 1)
        assert outbox.oldest_due_seconds is None
        assert not is_anything_overdue()

    def test_not_while_a_worker_serves_its_peer(
        self, overdue: OutboxItem, make_row: Callable[..., OutboxItem]
    ) -> None:
        """A slow peer with many rows keeps them waiting, although the worker does what it can."""
        in_a_minute = timezone.now() + timedelta(minutes=1)
        make_row(state=State.CLAIMED, lease_until=in_a_minute, lease_owner="somebody")

        assert collect().queue("outbox").overdue == 0
        assert not is_anything_overdue()


def test_failed_rows_count_in_the_period(make_row: Callable[..., OutboxItem]) -> None:
    make_row(state=State.FAILED, next_attempt_at=None, finished_at=ago(hours=2))
    make_row(state=State.FAILED, next_attempt_at=None, finished_at=ago(hours=30))

    assert collect().queue("outbox").failed == 1
    assert collect(timedelta(hours=1)).queue("outbox").failed == 0
    assert collect(timedelta(hours=48)).queue("outbox").failed == 2


def test_a_paused_peer_with_time_and_reason(peer: Peer, make_peer: Callable[..., Peer]) -> None:
    at = ago(hours=1)
    values = {"paused_at": at, "paused_reason": Reason.CREDENTIALS_REFUSED}
    Peer.objects.filter(pk=peer.pk).update(**values)
    make_peer(slug="off", enabled=False, paused_at=at)

    (paused,) = collect().paused_peers

    assert (paused.slug, paused.reason) == (peer.slug, Reason.CREDENTIALS_REFUSED)
    assert abs(paused.since - at) < timedelta(seconds=1)


def test_a_site_with_a_peer_needs_a_worker(peer: Peer) -> None:
    assert collect().worker_missing


def test_a_site_with_an_invitation_needs_a_worker(db: None) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    Pairing.objects.create(role="inviter", slug="music", expires_at=tomorrow)

    assert collect().worker_missing


def test_workers_that_were_seen_lately_the_newest_first(db: None) -> None:
    for kind, seen_at in (("thread", ago(minutes=6)), ("celery", ago(seconds=5))):
        Heartbeat.objects.create(kind=kind, host="web-1", seen_at=seen_at)
    Heartbeat.objects.create(kind="command", host="web-0", seen_at=ago(days=8))

    found = collect()

    assert [(each.kind, each.is_missing) for each in found.workers] == [
        ("celery", False),
        ("thread", True),
    ]
    assert not found.worker_missing


def test_broken_links_without_those_that_a_person_has_ended(link_as_a: Link) -> None:
    broken = {"outgoing_state": "broken", "incoming_state": "broken"}
    Link.objects.filter(pk=link_as_a.pk).update(**broken, incoming_reason=Reason.UNREACHABLE)
    found = collect()
    assert (found.broken_outgoing, found.broken_incoming) == (1, 1)

    Link.objects.filter(pk=link_as_a.pk).update(incoming_reason=Reason.REVOKED_HERE)
    found = collect()
    assert (found.broken_outgoing, found.broken_incoming) == (1, 0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"state": "accepted"}, "confirm"),
        ({"state": "draft", "attempts": 3, "last_error": "no response"}, "failing"),
        ({"state": "draft", "attempts": 1, "last_error": "no response"}, None),
        ({"state": "complete", "last_error": "refused"}, "error"),
        ({"state": "complete", "findings": [{"check": "token", "state": "failed"}]}, "test"),
        ({"state": "complete", "findings": [{"check": "token", "state": "passed"}]}, None),
        ({"state": "open"}, None),
        ({"state": "withdrawn", "last_error": "no response", "attempts": 9}, None),
    ],
)
def test_pairings_that_stand_still(peer: Peer, values: dict[str, Any], reason: str | None) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    Pairing.objects.create(role="accepter", slug="music", peer=peer, expires_at=tomorrow, **values)

    assert [each.reason for each in collect().stalled_pairings] == ([reason] if reason else [])


def test_a_disabled_peer_is_no_problem(user: Any, peer: Peer) -> None:
    """Its administrator has decided that nobody connects."""
    tomorrow = timezone.now() + timedelta(days=1)
    failed = [{"check": "token", "state": "failed"}]
    Pairing.objects.create(
        role="accepter",
        slug="music",
        state="complete",
        peer=peer,
        findings=failed,
        expires_at=tomorrow,
    )
    AuthorizationRequest.objects.create(
        user=user, peer=peer, state_hash="1", problem=Problem.CREDENTIALS
    )
    assert len(collect().stalled_pairings) == len(collect().failed_connections) == 1
    for problem in problems_in(collect()):
        assert "Run “reciprocal_peer test music”" in problem.remedy or problem.code == "no_worker"

    Peer.objects.update(enabled=False)

    assert collect().stalled_pairings == collect().failed_connections == ()


def test_failed_attempts_to_connect_by_peer_and_reason(user: Any, peer: Peer) -> None:
    for number, (problem, hours) in enumerate(
        [(Problem.SCOPE, 1), (Problem.SCOPE, 2), (Problem.DENIED, 3), ("", 1), (Problem.SCOPE, 30)]
    ):
        AuthorizationRequest.objects.create(
            user=user,
            peer=peer,
            state_hash=str(number),
            problem=problem,
            created_at=ago(hours=hours),
        )

    assert [(each.slug, each.problem, each.count) for each in collect().failed_connections] == [
        (peer.slug, "scope", 2),
        (peer.slug, "denied", 1),
    ]


def test_a_secret_that_no_key_decrypts(peer: Peer, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"ENCRYPTION_KEYS": ["1" * 43 + "="]}

    assert collect().unreadable == (f"peer {peer.slug}",)
