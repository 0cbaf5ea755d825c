"""The outgoing access: refreshed when it has expired, by one worker at a time."""

import contextlib
import io
import itertools
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.exceptions import (
    BadResponse,
    NotLinked,
    PeerError,
    PeerRefused,
    PeerUnreachable,
    RefreshPostponed,
)
from reciprocal_oauth.links import lifecycle, outgoing_access
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.maintenance import key_rotation
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret, derived_key

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.rfc("6749", "6")]

INVALID_GRANT = Reply.json(400, error="invalid_grant")


@pytest.fixture
def renews(fake_peer: FakePeer) -> FakePeer:
    """The peer, which returns new tokens for the refresh token."""
    fake_peer.answers["/token/"] = token_response(
        access_token="new-token", refresh_token="new-refresh"
    )
    return fake_peer


def _again(link: Link) -> Link:
    return Link.objects.get(pk=link.pk)


@pytest.mark.parametrize("life", [timedelta(hours=1), None], ids=["still good", "unknown"])
def test_a_token_that_has_not_expired_is_returned(
    life: timedelta | None, link_as_a: Link, fake_peer: FakePeer
) -> None:
    link_as_a.access_token_expires_at = life and timezone.now() + life
    link_as_a.save()

    assert fresh_access_token(link_as_a).reveal() == "token-of-the-peer"
    assert fake_peer.requests == []


def test_an_expired_token_is_refreshed_and_the_new_one_is_stored(
    expired: Link, renews: FakePeer
) -> None:
    assert fresh_access_token(expired).reveal() == "new-token"

    (sent,) = renews.requests
    assert sent.form == {"grant_type": "refresh_token", "refresh_token": "refresh-of-the-peer"}
    kept = _again(expired)
    assert (kept.access_token.reveal(), kept.refresh_token.reveal()) == ("new-token", "new-refresh")
    assert kept.access_token_expires_at is not None
    assert kept.access_token_expires_at > timezone.now() + timedelta(minutes=50)
    assert kept.refresh_lease_until is None


@pytest.mark.threat("T6")
def test_without_a_new_refresh_token_the_old_one_is_kept(
    expired: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply.json(access_token="new-token", token_type="bearer")

    fresh_access_token(expired)

    kept = _again(expired)
    assert kept.refresh_token.reveal() == "refresh-of-the-peer"
    assert (kept.outgoing_scope, kept.access_token_expires_at) == ("play", None)


@pytest.mark.threat("T6")
@pytest.mark.parametrize(
    "members",
    [
        {"access_token": ""},
        {"token_type": "mac"},
        {"access_token": "x" * 8193},
        {"access_token": "new\ntoken"},
        {"access_token": None},
    ],
    ids=["blank", "not Bearer", "over 8 KiB", "control character", "missing"],
)
def test_a_response_that_cannot_be_used_changes_nothing(
    members: dict[str, Any], expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    fake_peer.answers["/token/"] = [
        token_response(**{"refresh_token": "new-refresh", **members}),
        token_response(access_token="new-token"),
    ]

    with pytest.raises(BadResponse):
        fresh_access_token(expired)

    kept = _again(expired)
    assert kept.access_token.reveal() == "token-of-the-peer"
    assert kept.refresh_token.reveal() == "refresh-of-the-peer"
    assert broken == []
    assert fresh_access_token(expired).reveal() == "new-token"


def test_a_token_that_the_peer_refused_is_refreshed_although_it_has_not_expired(
    link_as_a: Link, renews: FakePeer
) -> None:
    refused = fresh_access_token(link_as_a)

    assert fresh_access_token(link_as_a, not_this=refused).reveal() == "new-token"


def test_a_token_that_another_worker_has_refreshed_meanwhile_is_not_refreshed_again(
    link_as_a: Link, renews: FakePeer
) -> None:
    old = Secret("token-before-that")

    assert fresh_access_token(link_as_a, not_this=old).reveal() == "token-of-the-peer"
    assert renews.requests == []


@pytest.mark.parametrize("expires_in", [0, 5])
def test_a_token_that_expires_in_seconds_is_returned(
    expires_in: int, expired: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = token_response(access_token="brief", expires_in=expires_in)

    assert fresh_access_token(expired).reveal() == "brief"
    assert len(fake_peer.requests) == 1


@pytest.mark.threat("T1")
@pytest.mark.usefixtures("shared_database")
def test_ten_workers_that_find_it_expired_together_refresh_it_once(
    expired: Link, renews: FakePeer
) -> None:
    answer = renews.answers["/token/"]

    def slowly(received: Received) -> Reply:
        time.sleep(0.2)
        assert isinstance(answer, Reply)
        return answer

    renews.answers["/token/"] = slowly

    found = _in_ten_threads(lambda: fresh_access_token(_again(expired)).reveal())

    assert found == ["new-token"] * 10
    assert len(renews.requests) == 1


@pytest.mark.threat("T1")
@pytest.mark.usefixtures("shared_database")
def test_ten_workers_get_a_final_refusal_with_one_request_and_announce_it_once(
    expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    fake_peer.answers["/token/"] = INVALID_GRANT

    def refused() -> str:
        with pytest.raises(NotLinked):
            fresh_access_token(_again(expired))
        return "refused"

    assert _in_ten_threads(refused) == ["refused"] * 10
    assert len(fake_peer.requests) == 1
    assert broken == [("outgoing", "refresh_refused")]


def _in_ten_threads(function: Callable[[], str]) -> list[str]:
    results: list[str] = []
    together = threading.Barrier(10)

    def run() -> None:
        together.wait()
        try:
            results.append(function())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.threat("T1")
@pytest.mark.usefixtures("shared_database")
def test_no_lock_is_held_during_the_request(expired: Link, fake_peer: FakePeer) -> None:
    def write_meanwhile(received: Received) -> Reply:
        Link.objects.filter(pk=expired.pk).update(account_name="written meanwhile")
        connections.close_all()
        return token_response(access_token="new-token")

    fake_peer.answers["/token/"] = write_meanwhile

    assert fresh_access_token(expired).reveal() == "new-token"
    assert _again(expired).account_name == "written meanwhile"


@pytest.mark.threat("T2")
def test_after_invalid_grant_the_tokens_are_deleted_and_the_peer_is_not_asked_again(
    expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    fake_peer.answers["/token/"] = INVALID_GRANT

    for _ in range(3):
        with pytest.raises(NotLinked):
            fresh_access_token(expired)

    link = _again(expired)
    assert (link.outgoing_state, link.outgoing_reason) == ("broken", "refresh_refused")
    assert not link.access_token
    assert not link.refresh_token
    assert len(fake_peer.requests) == 1
    assert broken == [("outgoing", "refresh_refused")]


@pytest.mark.threat("T2", "K12")
def test_a_lost_response_of_a_peer_that_rotates_tokens_costs_two_requests(
    expired: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = [Reply(502, b""), INVALID_GRANT]  # The first has rotated.

    with pytest.raises(PeerRefused):
        fresh_access_token(expired)
    for _ in range(3):
        with pytest.raises(NotLinked):
            fresh_access_token(expired)

    assert len(fake_peer.requests) == 2


@pytest.mark.threat("T61")
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_invalid_grant_is_final_whatever_the_status(
    status: int, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    fake_peer.answers["/token/"] = Reply.json(status, error="invalid_grant")

    for _ in range(2):
        with pytest.raises(NotLinked):
            fresh_access_token(expired)

    assert len(fake_peer.requests) == 1
    assert broken == [("outgoing", "refresh_refused")]


OUTAGES = [
    Reply(500, b""),
    Reply(503, b""),
    Reply.json(400, error="temporarily_unavailable"),
    Reply.json(400, error="server_error"),
    Reply(400, b"<!doctype html><h1>Bad Request (400)</h1>", {"Content-Type": "text/html"}),
]


@pytest.mark.threat("T61")
@pytest.mark.parametrize("reply", OUTAGES, ids=lambda each: f"{each.status} {each.body.decode()}")
def test_an_outage_keeps_the_link_for_as_long_as_it_lasts(
    reply: Reply, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    fake_peer.answers["/token/"] = [*[reply] * 30, token_response(access_token="new-token")]

    for _ in range(30):
        with pytest.raises(PeerRefused):
            fresh_access_token(expired)

    assert _again(expired).outgoing_state == Link.Outgoing.ACTIVE
    assert _again(expired).refresh_lease_until is None
    assert fresh_access_token(expired).reveal() == "new-token"
    assert broken == []


REFUSALS = [
    Reply.json(400, error="invalid_request"),
    Reply.json(400, error="bad_refresh_token"),
    Reply.json(401, error="invalid_client"),
    Reply(401, b""),
    Reply(400, b""),
    Reply(403, b""),
    Reply.json(200, error="bad_refresh_token"),
]
OTHER_REFUSALS = pytest.mark.parametrize(
    "reply", REFUSALS, ids=lambda each: f"{each.status} {each.body.decode()}"
)


@pytest.mark.threat("T61")
class TestOtherRefusals:
    """The cause may be corrected at either site, so this site asks again, after longer pauses."""

    @OTHER_REFUSALS
    def test_the_link_is_kept_and_this_site_waits(
        self, reply: Reply, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
    ) -> None:
        fake_peer.answers["/token/"] = [reply, token_response(access_token="new-token")]
        with time_machine.travel(timezone.now(), tick=False) as clock:
            with pytest.raises(PeerRefused):
                fresh_access_token(expired)
            for _ in range(10):
                with pytest.raises(RefreshPostponed) as postponed:
                    fresh_access_token(expired)
            assert len(fake_peer.requests) == 1
            assert 4 <= postponed.value.retry_after <= 6
            assert _again(expired).outgoing_state == Link.Outgoing.ACTIVE
            assert _again(expired).refresh_lease_until is None

            clock.shift(7)
            assert fresh_access_token(expired).reveal() == "new-token"

        assert broken == []

    @OTHER_REFUSALS
    def test_repeated_refusals_end_the_access(
        self, reply: Reply, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
    ) -> None:
        fake_peer.answers["/token/"] = reply
        asked_after = []
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for hour in range(5 * 24):
                before = len(fake_peer.requests)
                with pytest.raises((PeerError, NotLinked)):
                    fresh_access_token(expired)
                if len(fake_peer.requests) > before:
                    asked_after.append(hour)
                clock.shift(3600)

        link = _again(expired)
        assert (link.outgoing_state, link.outgoing_reason) == ("broken", "refresh_refused")
        assert not link.refresh_token
        assert broken == [("outgoing", "refresh_refused")]
        assert len(fake_peer.requests) == 10
        pauses = [later - sooner for sooner, later in itertools.pairwise(asked_after)]
        assert pauses[:2] == [1, 1]
        assert pauses[-1] >= 18

    def test_a_setting_limits_the_requests(
        self, expired: Link, fake_peer: FakePeer, settings: Settings
    ) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"RETRY_SCHEDULE_SECONDS": [0, 0]}
        fake_peer.answers["/token/"] = Reply.json(400, error="invalid_request")

        with pytest.raises(PeerRefused):
            fresh_access_token(expired)
        with pytest.raises(NotLinked):
            fresh_access_token(expired)

    def test_a_successful_refresh_resets_the_count(
        self, expired: Link, fake_peer: FakePeer
    ) -> None:
        refused = Reply.json(400, error="invalid_request")
        renewed = token_response(expires_in=0)
        fake_peer.answers["/token/"] = [*[*[refused] * 6, renewed] * 3, refused]
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for _ in range(21):
                with contextlib.suppress(PeerRefused):
                    fresh_access_token(expired)
                clock.shift(timedelta(days=2))

        assert len(fake_peer.requests) == 21
        assert _again(expired).outgoing_state == Link.Outgoing.ACTIVE

    def test_a_new_connection_does_not_wait_for_earlier_refusals(
        self, expired: Link, fake_peer: FakePeer, browser: Client
    ) -> None:
        fake_peer.answers["/token/"] = [
            Reply.json(400, error="invalid_request"),
            token_response(expires_in=0),
            token_response(access_token="new-token"),
        ]
        with time_machine.travel(timezone.now(), tick=False):
            with pytest.raises(PeerRefused):
                fresh_access_token(expired)
            connect(browser)

            assert fresh_access_token(expired).reveal() == "new-token"

    def test_resuming_the_peer_resets_the_refusals(
        self, expired: Link, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers["/token/"] = [
            Reply.json(401, error="invalid_client"),
            token_response(access_token="new-token"),
        ]
        with time_machine.travel(timezone.now(), tick=False):
            with pytest.raises(PeerRefused):
                fresh_access_token(expired)
            call_command("reciprocal_peer", "resume", "music", stdout=io.StringIO())

            assert fresh_access_token(expired).reveal() == "new-token"

    def test_a_corrected_secret_is_tried_at_once(self, expired: Link, fake_peer: FakePeer) -> None:
        """Also if no delivery has failed for that reason, so that the peer is not paused."""
        fake_peer.answers["/token/"] = [
            Reply.json(401, error="invalid_client"),
            token_response(access_token="new-token"),
        ]
        with time_machine.travel(timezone.now(), tick=False):
            with pytest.raises(PeerRefused):
                fresh_access_token(expired)
            call_command(
                "reciprocal_peer", "add", "music", "--client-secret", "corrected",
                stdout=io.StringIO(),
            )  # fmt: skip

            assert fresh_access_token(expired).reveal() == "new-token"

    @pytest.mark.usefixtures("shared_database")
    def test_a_late_refusal_does_not_affect_another_worker(
        self, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
    ) -> None:
        """It took so long that another worker has the lease, and asks with the same token."""

        def held_up(received: Received) -> Reply:
            Link.objects.update(refresh_lease_owner="another")
            connections.close_all()
            return Reply.json(400, error="invalid_request")

        fake_peer.answers["/token/"] = held_up
        with pytest.raises(PeerRefused):
            fresh_access_token(expired)
        assert _again(expired).refresh_not_before is None

        def final(received: Received) -> Reply:
            Link.objects.update(refresh_lease_owner="another", refresh_lease_until=None)
            connections.close_all()
            fake_peer.answers["/token/"] = token_response(access_token="new-token")
            return INVALID_GRANT

        Link.objects.update(refresh_lease_owner="", refresh_lease_until=None)
        fake_peer.answers["/token/"] = final
        assert fresh_access_token(expired).reveal() == "new-token"
        assert broken == []


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R60")
@pytest.mark.parametrize("status", [429, 503, 400])
def test_retry_after_of_the_peer_is_obeyed(
    status: int, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    busy = Reply(status, b"", {"Retry-After": "600"})
    fake_peer.answers["/token/"] = [busy, token_response(access_token="new-token")]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        with pytest.raises(PeerRefused):
            fresh_access_token(expired)
        clock.shift(599)
        for _ in range(10):
            with pytest.raises(RefreshPostponed):
                fresh_access_token(expired)
        assert len(fake_peer.requests) == 1

        clock.shift(1)
        assert fresh_access_token(expired).reveal() == "new-token"

    assert broken == []


@pytest.mark.threat("R60", "T1")
@pytest.mark.usefixtures("shared_database")
def test_waiting_workers_obey_retry_after_too(expired: Link, fake_peer: FakePeer) -> None:
    def slowly(received: Received) -> Reply:
        time.sleep(0.2)
        return Reply(429, b"", {"Retry-After": "600"})

    fake_peer.answers["/token/"] = slowly

    def refused() -> str:
        with pytest.raises(PeerError):
            fresh_access_token(_again(expired))
        return "refused"

    assert _in_ten_threads(refused) == ["refused"] * 10
    assert len(fake_peer.requests) == 1


def test_an_expired_token_without_refresh_token_ends_the_access(
    expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
) -> None:
    Link.objects.update(refresh_token="")

    with pytest.raises(NotLinked):
        fresh_access_token(expired)

    assert _again(expired).outgoing_reason == Link.Reason.EXPIRED
    assert broken == [("outgoing", "expired")]
    assert fake_peer.requests == []


class TestLease:
    """The worker that refreshes the token holds the lease; the others wait."""

    def test_a_worker_stops_waiting_at_the_deadline(
        self, expired: Link, renews: FakePeer, settings: Settings
    ) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.2}
        Link.objects.update(refresh_lease_until=Now() + timedelta(seconds=30))

        with pytest.raises(PeerUnreachable, match="Another worker"):
            fresh_access_token(expired)

        assert renews.requests == []
        assert _again(expired).refresh_lease_until is not None

    @pytest.mark.threat("K12")
    def test_the_lease_of_a_worker_that_crashed_expires(
        self, expired: Link, renews: FakePeer
    ) -> None:
        Link.objects.update(refresh_lease_until=Now() - timedelta(seconds=1))

        assert fresh_access_token(expired).reveal() == "new-token"


class TestChangedMeanwhile:
    """The response of the peer does not undo a change of the link during the request."""

    @pytest.mark.threat("T3", "K13")
    def test_a_link_that_was_ended_stays_ended_and_the_new_tokens_are_revoked(
        self, expired: Link, renews: FakePeer
    ) -> None:
        self._while_asked(
            renews,
            lambda: lifecycle.end_link(
                _again(expired), Link.Reason.REVOKED_HERE, revoke_outgoing=False
            ),
        )

        with pytest.raises(NotLinked):
            fresh_access_token(expired)

        link = _again(expired)
        assert link.status == Link.Status.ENDED
        assert not link.access_token
        assert not link.refresh_token
        assert OutboxItem.objects.get().token.reveal() == "new-refresh"

    def test_a_link_that_was_connected_again_keeps_the_newer_tokens(
        self, expired: Link, renews: FakePeer
    ) -> None:
        Peer.objects.update(revoke_replaced=True)
        self._while_asked(renews, lambda: self._connect_anew(expired))

        assert fresh_access_token(expired).reveal() == "newest-token"
        assert _again(expired).refresh_token.reveal() == "newest-refresh"
        assert OutboxItem.objects.get().token.reveal() == "new-refresh"

    def test_a_refusal_of_the_old_token_does_not_break_the_new_connection(
        self, expired: Link, fake_peer: FakePeer, broken: list[tuple[str, str]]
    ) -> None:
        fake_peer.answers["/token/"] = INVALID_GRANT
        self._while_asked(fake_peer, lambda: self._connect_anew(expired))

        assert fresh_access_token(expired).reveal() == "newest-token"
        assert broken == []

    @pytest.mark.threat("T2")
    @pytest.mark.parametrize("renewable", [True, False])
    def test_a_refusal_does_not_break_a_connection_that_was_made_at_the_last_moment(
        self,
        renewable: bool,
        expired: Link,
        fake_peer: FakePeer,
        broken: list[tuple[str, str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if not renewable:
            Link.objects.update(refresh_token="")
        fake_peer.answers["/token/"] = INVALID_GRANT
        break_outgoing = lifecycle.break_outgoing

        def too_late(link: Link, *reason: str, **options: Any) -> bool:
            self._connect_anew(link)
            return break_outgoing(link, *reason, **options)

        monkeypatch.setattr(lifecycle, "break_outgoing", too_late)

        assert fresh_access_token(expired).reveal() == "newest-token"
        assert broken == []

    @pytest.mark.threat("Y1")
    def test_after_the_deletion_of_the_user_the_new_tokens_are_revoked(
        self, expired: Link, renews: FakePeer
    ) -> None:
        self._while_asked(renews, lambda: get_user_model().objects.get().delete())

        with pytest.raises(NotLinked):
            fresh_access_token(expired)

        rows = OutboxItem.objects.order_by("pk")
        assert [row.token.reveal() for row in rows] == ["refresh-of-the-peer", "new-refresh"]

    @pytest.mark.threat("Y3")
    def test_no_revocation_is_queued_for_a_deleted_peer(
        self, expired: Link, renews: FakePeer
    ) -> None:
        self._while_asked(renews, lambda: Peer.objects.get().delete())

        with pytest.raises(NotLinked):
            fresh_access_token(expired)

        assert not OutboxItem.objects.exists()

    def _while_asked(self, peer: FakePeer, event: Callable[[], Any]) -> None:
        reply = peer.answers["/token/"]

        def answer(received: Received) -> Reply:
            event()
            assert isinstance(reply, Reply)
            return reply

        peer.answers["/token/"] = answer

    def _connect_anew(self, link: Link) -> None:
        link = _again(link)
        link.access_token, link.refresh_token = Secret("newest-token"), Secret("newest-refresh")
        link.access_token_expires_at = timezone.now() + timedelta(hours=1)
        link.save()


def _end(link: Link) -> None:
    lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=False)


def _mark_as_ended(link: Link) -> None:
    Link.objects.update(status=Link.Status.ENDED)


def _break(link: Link) -> None:
    lifecycle.break_outgoing(link, Link.Reason.TOKEN_REFUSED, still=Q())


def _disable(link: Link) -> None:
    Peer.objects.update(enabled=False)


def _wait(link: Link) -> None:
    Link.objects.update(outgoing_state=Link.Outgoing.WAITING)


def _delete(link: Link) -> None:
    Link.objects.filter(pk=link.pk).delete()


def _deactivate(link: Link) -> None:
    get_user_model().objects.update(is_active=False)


def _change_client_id(link: Link) -> None:
    Peer.objects.update(client_id="another")


@pytest.mark.threat("Y3")
@pytest.mark.parametrize("has_expired", [True, False])
@pytest.mark.parametrize(
    ("event", "why"),
    [
        (_end, "no working outgoing access"),
        (_mark_as_ended, "no working outgoing access"),
        (_break, "no working outgoing access"),
        (_disable, "no working outgoing access"),
        (_wait, "no working outgoing access"),
        (_delete, "was deleted"),
        (_deactivate, "deactivated"),
        (_change_client_id, "another address or client ID"),
    ],
)
def test_there_is_no_token_without_a_working_link(
    event: Callable[[Link], None],
    why: str,
    has_expired: bool,
    expired: Link,
    renews: FakePeer,
) -> None:
    if not has_expired:
        Link.objects.update(access_token_expires_at=None)
    held = _again(expired)
    event(expired)

    with pytest.raises(NotLinked, match=why):
        fresh_access_token(held)

    assert renews.requests == []


def test_the_access_of_a_former_client_id_is_broken(
    link_as_a: Link, broken: list[tuple[str, str]]
) -> None:
    _change_client_id(link_as_a)

    with pytest.raises(NotLinked):
        fresh_access_token(link_as_a)

    assert _again(link_as_a).outgoing_state == Link.Outgoing.BROKEN
    assert broken == [("outgoing", Link.Reason.RECONFIGURED)]


def test_a_token_that_works_costs_one_query(
    link_as_a: Link, django_assert_num_queries: Callable[..., Any]
) -> None:
    with django_assert_num_queries(1):
        fresh_access_token(link_as_a)


def test_no_peer_is_called_within_a_transaction(expired: Link, renews: FakePeer) -> None:
    with transaction.atomic(), pytest.raises(TransactionManagementError):
        fresh_access_token(expired)

    assert renews.requests == []


class TestWaiting:
    """Another worker holds the lease."""

    @pytest.fixture
    def waits(self, expired: Link, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """What the worker does while it waits: a number is a pause in seconds."""
        Link.objects.update(refresh_lease_until=Now() + timedelta(seconds=30))
        done: list[Any] = []
        monkeypatch.setattr(
            outgoing_access, "release_connections", lambda: done.append("connections released")
        )
        clock = SimpleNamespace(monotonic=lambda: sum(done[1::2]))
        clock.sleep = done.append
        monkeypatch.setattr(outgoing_access, "time", clock)
        return done

    def test_the_pauses_double_up_to_the_longest_one_and_no_connection_is_kept(
        self, expired: Link, waits: list[Any], renews: FakePeer, settings: Settings
    ) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 1.5}

        with pytest.raises(PeerUnreachable, match="Another worker"):
            fresh_access_token(expired)

        assert waits[::2] == ["connections released"] * 6
        assert waits[1::2] == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4]
        assert renews.requests == []

    def test_it_ends_at_the_deadline_and_not_after_it(
        self, expired: Link, waits: list[Any], settings: Settings
    ) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 0.05}

        with pytest.raises(PeerUnreachable):
            fresh_access_token(expired)

        assert waits == ["connections released", 0.05]


def test_renewed_tokens_are_saved_until_the_lease_ends(
    expired: Link, renews: FakePeer, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"LEASE_SECONDS": 77}
    saved_at_last, ends = outgoing_access.saved_at_last, []

    def save(what: str, function: Callable[[], Any], *, until: float) -> Any:
        ends.append(until)
        return saved_at_last(what, function, until=until)

    monkeypatch.setattr(outgoing_access, "saved_at_last", save)
    before = time.monotonic()

    fresh_access_token(expired)

    assert before + 77 <= ends[0] <= time.monotonic() + 77


@pytest.mark.threat("T1")
@pytest.mark.usefixtures("shared_database")
def test_a_late_worker_does_not_release_the_lease_of_another(
    expired: Link, fake_peer: FakePeer
) -> None:
    def held_up(received: Received) -> Reply:
        Link.objects.update(refresh_lease_until=timezone.now() - timedelta(seconds=1))
        assert outgoing_access._take_lease(expired)
        connections.close_all()
        return Reply(503, b"")

    fake_peer.answers["/token/"] = held_up

    with pytest.raises(PeerError):
        fresh_access_token(expired)

    assert _again(expired).refresh_lease_until > timezone.now()


@pytest.mark.threat("T2")
@pytest.mark.usefixtures("shared_database")
def test_a_late_refresh_does_not_revoke_a_token_that_is_in_use(
    expired: Link, fake_peer: FakePeer
) -> None:
    """Meanwhile the person has connected again, and got the same refresh token."""

    def connected_anew(received: Received) -> Reply:
        link = _again(expired)
        link.access_token = Secret("of-the-new-connection")
        link.refresh_token = Secret(link.refresh_token.reveal())
        link.access_token_expires_at = timezone.now() + timedelta(hours=1)
        link.save()
        connections.close_all()
        return Reply.json(access_token="of-the-old-one", token_type="Bearer")

    fake_peer.answers["/token/"] = connected_anew

    assert fresh_access_token(expired).reveal() == "of-the-new-connection"
    assert not OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists()


@pytest.mark.threat("X6", "T2")
@pytest.mark.usefixtures("shared_database")
def test_a_key_rotation_during_a_refresh_breaks_no_link(
    expired: Link, fake_peer: FakePeer, settings: Settings
) -> None:
    keys = [Fernet.generate_key().decode(), derived_key(settings.SECRET_KEY)]
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"ENCRYPTION_KEYS": keys}

    def replaced_meanwhile(received: Received) -> Reply:
        for model, column in key_rotation.encrypted_columns():
            key_rotation.rotate(model, column)
        connections.close_all()
        return token_response(access_token="new-token", refresh_token="new-refresh")

    fake_peer.answers["/token/"] = replaced_meanwhile

    assert fresh_access_token(expired).reveal() == "new-token"
    assert _again(expired).refresh_token.reveal() == "new-refresh"
    assert len(fake_peer.requests) == 1


@pytest.mark.threat("T60")
@pytest.mark.parametrize("status", [201, 203])
def test_the_refresh_token_of_a_response_with_another_2xx_status_is_stored(
    status: int, expired: Link, fake_peer: FakePeer
) -> None:
    good = token_response(access_token="new-token", refresh_token="new-refresh")
    fake_peer.answers["/token/"] = Reply(status, good.body)

    assert fresh_access_token(expired).reveal() == "new-token"
    assert _again(expired).refresh_token.reveal() == "new-refresh"
