"""A database says "try again", or is away for a moment: nobody is bothered, nothing is lost."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core import database
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent

from ..failing_database import AWAY, TRY_AGAIN, MakeError, fails
from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a import visits

pytestmark = pytest.mark.django_db(transaction=True)

LINKS, OUTBOX = Link._meta.db_table, OutboxItem._meta.db_table


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_rest", lambda seconds: None)


class TestTryAgain:
    """What is undone as a whole begins again, three times."""

    pytestmark = pytest.mark.threat("R71")

    @pytest.mark.parametrize("error", TRY_AGAIN.values(), ids=TRY_AGAIN)
    def test_a_person_who_disconnects_notices_nothing(
        self, error: MakeError, browser: Client, link_as_a: Link
    ) -> None:
        with fails("UPDATE", LINKS, times=3, error=error) as failed:
            answer = browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")

        assert len(failed) == 3
        assert answer.status_code == 302
        link_as_a.refresh_from_db()
        assert link_as_a.status == Link.Status.ENDED
        # The revocation there is not queued once more with each try.
        assert OutboxItem.objects.count() == 1

    def test_at_the_fourth_time_a_page_says_so_and_nothing_has_changed(
        self, browser: Client, link_as_a: Link
    ) -> None:
        with fails("UPDATE", LINKS, times=100) as failed:
            answer = browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")

        assert len(failed) == 4
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert "Please try again" in answer.text
        assert answer["X-Frame-Options"] == "DENY"
        link_as_a.refresh_from_db()
        assert link_as_a.is_active

    def test_it_is_so_where_the_site_has_one_transaction_for_each_request(
        self, browser: Client, link_as_a: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

        with fails("UPDATE", LINKS, times=1):
            answer = browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")

        assert answer.status_code == 302
        link_as_a.refresh_from_db()
        assert link_as_a.status == Link.Status.ENDED

    @pytest.mark.parametrize("statement", ["INSERT", "UPDATE"])
    def test_a_visit_to_a_peer_begins_and_ends(
        self, statement: str, browser: Client, peer: Peer
    ) -> None:
        with fails(statement, "authorizationrequest", times=1) as failed:
            answer = visits.connect(browser)

        assert failed
        assert answer.status_code == 303
        assert Link.objects.get().outgoing_state == Link.Outgoing.ACTIVE

    def test_a_decision_of_a_person_is_kept_once(self, link_as_a: Link) -> None:
        with fails("INSERT", OUTBOX, times=2):
            consent.allow(link_as_a, ["playback"])

        assert (link_as_a.generation, OutboxItem.objects.count()) == (1, 1)

    @pytest.mark.parametrize("table", ["reciprocalcode", LINKS, OUTBOX, "linkevent"])
    @pytest.mark.parametrize("statement", ["INSERT", "UPDATE"])
    def test_a_delivery_arrives_with_its_first_attempt(
        self, statement: str, table: str, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        consent.allow(link_as_a, ["playback"])

        with fails(statement, table, times=1):
            worker.drain()

        item = OutboxItem.objects.get()
        assert (item.state, item.attempts) == (OutboxItem.State.ACCEPTED, 1)
        assert len(fake_peer.to("/token/")) == 1

    def test_a_delivery_is_given_up_once(self, link_as_a: Link, fake_peer: FakePeer) -> None:
        consent.allow(link_as_a, ["playback"])
        fake_peer.answers["/token/"] = Reply.json(400, error="invalid_scope")

        with fails("UPDATE", LINKS, times=2) as failed:
            worker.drain()

        assert len(failed) == 2
        assert OutboxItem.objects.get().state == OutboxItem.State.FAILED
        link_as_a.refresh_from_db()
        assert link_as_a.incoming_state == Link.Incoming.BROKEN

    def test_other_errors_are_not_repeated(self, browser: Client, link_as_a: Link) -> None:
        def gone() -> Exception:
            return OperationalError("server closed the connection unexpectedly")

        with (
            fails("UPDATE", LINKS, times=100, error=gone) as failed,
            pytest.raises(OperationalError),
        ):
            browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")

        assert len(failed) == 1

    def test_within_a_transaction_of_the_caller_nothing_is_repeated(self, link_as_a: Link) -> None:
        """All of it is undone, what the caller did before too."""
        with (
            fails("INSERT", OUTBOX, times=1) as failed,
            pytest.raises(OperationalError),
            transaction.atomic(),
        ):
            consent.allow(link_as_a, ["playback"])

        assert len(failed) == 1

    @pytest.mark.skipif(
        not connection.features.has_select_for_update, reason="SQLite has no row locks"
    )
    def test_two_that_wait_for_each_other_both_do_their_work(
        self, link_as_a: Link, make_peer: Callable[..., Peer]
    ) -> None:
        second = make_peer("second")
        met, tries = threading.Barrier(2, timeout=30), list[int]()

        @database.tried_again
        def work(order: list[Any]) -> None:
            with database.atomic():
                Peer.objects.select_for_update().get(pk=order[0])
                tries.append(threading.get_ident())
                if tries.count(threading.get_ident()) == 1:
                    met.wait()  # Each has what the other wants.
                Peer.objects.select_for_update().get(pk=order[1])

        def run(order: list[Any]) -> None:
            try:
                work(order)
            finally:
                connections.close_all()

        keys = [link_as_a.peer_id, second.pk]
        with ThreadPoolExecutor(2) as pool:
            for running in [pool.submit(run, keys), pool.submit(run, keys[::-1])]:
                running.result(60)

        assert len(tries) >= 3, "nobody waited for the other"


class Rotating:
    """A peer that takes each refresh token once, and ends everything when an old one comes."""

    def __init__(self) -> None:
        self.valid, self.number = "refresh-of-the-peer", 0

    def __call__(self, received: Received) -> Reply:
        if received.form["refresh_token"] != self.valid:
            self.valid = ""
            return Reply.json(400, error="invalid_grant")
        self.number += 1
        self.valid = f"refresh-{self.number}"
        return token_response(access_token=f"access-{self.number}", refresh_token=self.valid)


@pytest.mark.threat("R72")
class TestTokensThatNobodyGivesTwice:
    """They are kept in memory until they are stored."""

    @pytest.fixture
    def expired(self, link_as_a: Link, fake_peer: FakePeer) -> Link:
        fake_peer.answers["/token/"] = Rotating()
        Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
        return Link.objects.get()

    @pytest.mark.rfc("6749", "6")
    @pytest.mark.parametrize("error", AWAY.values(), ids=AWAY)
    def test_renewed_tokens_are_stored_on_a_later_try(
        self, error: MakeError, expired: Link
    ) -> None:
        with fails("UPDATE", LINKS, "refresh_token", times=20, error=error) as failed:
            assert fresh_access_token(expired).reveal() == "access-1"

        assert len(failed) == 20
        stored = Link.objects.get()
        assert stored.refresh_token.reveal() == "refresh-1"
        assert stored.refresh_lease_until is None
        Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
        assert fresh_access_token(stored).reveal() == "access-2"

    def test_a_lease_that_cannot_be_given_back_does_not_lose_the_token(
        self, expired: Link, caplog: pytest.LogCaptureFixture
    ) -> None:
        quoted = [connection.ops.quote_name(name) for name in (LINKS, "refresh_lease_owner")]
        condition = ".".join(quoted)

        with fails("UPDATE", condition, times=9, error=AWAY["cut off"]) as failed:
            assert fresh_access_token(expired).reveal() == "access-1"

        assert len(failed) == 1
        assert "could not be released" in caplog.text

    def test_they_are_tried_for_as_long_as_the_lease_lasts(
        self,
        expired: Link,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "LEASE_SECONDS": 2}
        monkeypatch.setattr(database, "_rest", lambda seconds: time.sleep(0.05))
        begun = time.monotonic()

        with (
            fails("UPDATE", LINKS, "refresh_token", times=10**9, error=AWAY["cut off"]) as failed,
            pytest.raises(DatabaseError),
        ):
            fresh_access_token(expired)

        assert len(failed) > 1
        assert time.monotonic() - begun >= 1.5
        assert "access-1" not in caplog.text
        assert "refresh-1" not in caplog.text

    @pytest.mark.draft("Reciprocal Authorization Code")
    @pytest.mark.parametrize("error", AWAY.values(), ids=AWAY)
    @pytest.mark.parametrize("place", [("UPDATE", LINKS), ("INSERT", "linkevent")], ids=str)
    def test_the_tokens_of_a_hand_over_are_stored_on_a_later_try(
        self,
        place: tuple[str, str],
        error: MakeError,
        hand_over: Callable[..., Any],
        token_of_a: Any,
        fake_peer: FakePeer,
    ) -> None:
        fake_peer.answers["/token/"] = [
            token_response(access_token="of-the-hand-over"),
            Reply.json(400, error="invalid_grant"),
        ]
        assert hand_over(access_token=token_of_a.raw).status_code == 200

        with fails(*place, times=5, error=error) as failed:
            worker.drain()

        assert len(failed) == 5
        assert len(fake_peer.to("/token/")) == 1
        assert Link.objects.get().access_token.reveal() == "of-the-hand-over"
        assert InboxItem.objects.get().state == InboxItem.State.DONE

    @pytest.mark.rfc("6749", "4.1.4")
    @pytest.mark.parametrize("error", AWAY.values(), ids=AWAY)
    def test_a_person_who_comes_back_from_the_peer_is_connected(
        self, error: MakeError, browser: Client, peer: Peer, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers["/token/"] = [
            token_response(access_token="of-the-exchange"),
            Reply.json(400, error="invalid_grant"),
        ]
        with fails("INSERT", LINKS, times=5, error=error) as failed:
            answer = visits.connect(browser)

        assert len(failed) == 5
        assert answer.status_code == 303
        assert Link.objects.get().access_token.reveal() == "of-the-exchange"

    def test_a_commit_that_worked_although_nobody_was_told_gives_no_token_back(
        self, expired: Link, monkeypatch: pytest.MonkeyPatch, fake_peer: FakePeer
    ) -> None:
        """Else the peer would be told to revoke what has just been stored."""
        told: list[str] = []

        def stored_but_cut_off(execute: Any, sql: str, *args: Any) -> Any:
            result = execute(sql, *args)
            if sql.startswith("UPDATE") and "refresh_token" in sql and not told:
                told.append(sql)
                raise OperationalError("server closed the connection unexpectedly")
            return result

        with connection.execute_wrapper(stored_but_cut_off):
            assert fresh_access_token(expired).reveal() == "access-1"

        assert told
        assert OutboxItem.objects.count() == 0
