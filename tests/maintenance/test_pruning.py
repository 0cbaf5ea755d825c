"""Pruning with ``reciprocal_prune``: old finished rows are deleted, and no other rows."""

import io
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.maintenance import pruning
from reciprocal_oauth.models import (
    AuthorizationRequest,
    Heartbeat,
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    Pairing,
    Peer,
    ReciprocalCode,
    Step,
)
from reciprocal_oauth.models.events import record_event
from tests.conftest import PEER_SECRET, basic, post_form

State = OutboxItem.State
NOTHING = {
    "outbox": 0,
    "inbox": 0,
    "codes": 0,
    "authorization_requests": 0,
    "site_keys": 0,
    "workers": 0,
    "assertions": 0,
    "events": 0,
    "notices": 0,
    "pairings": 0,
    "links": 0,
}


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("reciprocal_prune", *arguments, stdout=out)
    return out.getvalue()


def pruned(*arguments: str) -> dict[str, int]:
    """The numbers of deleted rows that the command prints, without zeros."""
    document = json.loads(run("--json", *arguments))
    assert document.pop("dry_run") is ("--dry-run" in arguments)
    assert document.pop("broken") == 0
    assert document.keys() == NOTHING.keys()
    return {name: count for name, count in document.items() if count}


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def add_code(link: Link, **values: Any) -> ReciprocalCode:
    return ReciprocalCode.objects.create(
        **{
            "code_hash": uuid.uuid4().hex,
            "link": link,
            "generation": 1,
            "application_pk": str(link.peer.application_id),
            "state": ReciprocalCode.State.REDEEMED,
            "expires_at": days_ago(31),
            **values,
        }
    )


@pytest.fixture
def ended_link(link_as_a: Link) -> Link:
    """A link that ended 366 days ago, with its history."""
    record_event(link_as_a, Step.A, at=days_ago(500))
    record_event(link_as_a, Step.NONE, at=days_ago(366))
    Link.objects.update(status=Link.Status.ENDED, ended_at=days_ago(366))
    link_as_a.refresh_from_db()
    return link_as_a


class TestQueues:
    """Rows of the outbox and the inbox."""

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize(
        ("state", "days", "goes"),
        [
            (State.DONE, 29, False),
            (State.DONE, 31, True),
            (State.CANCELLED, 29, False),
            (State.CANCELLED, 31, True),
            (State.FAILED, 31, False),
            (State.FAILED, 179, False),
            (State.FAILED, 181, True),
            (State.PENDING, 1000, False),
            (State.CLAIMED, 1000, False),
            (State.ACCEPTED, 1000, False),
        ],
    )
    def test_a_finished_row_is_deleted_when_it_is_old_enough(
        self, link_as_a: Link, state: str, days: int, goes: bool
    ) -> None:
        values = {
            "peer": link_as_a.peer,
            "link": link_as_a,
            "state": state,
            "created_at": days_ago(1000),
            "finished_at": days_ago(days) if state in (State.DONE, "cancelled", "failed") else None,
        }
        OutboxItem.objects.create(**values)
        InboxItem.objects.create(**values)

        assert pruned() == ({"outbox": 1, "inbox": 1} if goes else {})
        assert OutboxItem.objects.exists() is not goes
        assert InboxItem.objects.exists() is not goes

    @pytest.mark.parametrize(
        ("values", "days", "goes"),
        [
            ({"state": "ended"}, 29, False),
            ({"state": "ended"}, 31, True),
            ({"state": "replaced"}, 31, True),
            ({"state": "ended", "task": "end"}, 31, False),
            ({"state": "complete"}, 1000, False),
            ({"state": "complete", "peer": None}, 31, True),
            ({"state": "accepted"}, 1000, False),
        ],
    )
    def test_a_pairing_is_deleted_when_it_is_over_or_its_peer_is_gone(
        self, peer: Peer, values: dict[str, Any], days: int, goes: bool
    ) -> None:
        pairing = Pairing.objects.create(
            **{"role": "inviter", "peer": peer, "expires_at": days_ago(days), **values}
        )
        Pairing.objects.update(updated_at=days_ago(days))

        assert pruned() == ({"pairings": 1} if goes else {})
        assert Pairing.objects.filter(pk=pairing.pk).exists() is not goes

    def test_the_settings_decide(self, link_as_a: Link, settings: Settings) -> None:
        for state in (State.DONE, State.FAILED):
            OutboxItem.objects.create(peer=link_as_a.peer, state=state, finished_at=days_ago(3))

        settings.RECIPROCAL_OAUTH = {"RETENTION_FINISHED_DAYS": 2.5}
        assert pruned() == {"outbox": 1}
        settings.RECIPROCAL_OAUTH = {"RETENTION_FAILED_DAYS": 1}
        assert pruned() == {"outbox": 1}

    def test_for_ever_is_a_large_number(self, peer: Peer, settings: Settings) -> None:
        OutboxItem.objects.create(peer=peer, state=State.DONE, finished_at=days_ago(9000))
        names = [n for n in dir(type(pruning.settings)) if n.startswith("RETENTION_")]
        settings.RECIPROCAL_OAUTH = dict.fromkeys(names, 10**9)

        assert pruned() == {}

    def test_a_row_that_is_sent_again_meanwhile_stays(
        self, peer: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [
            OutboxItem.objects.create(peer=peer, state=State.FAILED, finished_at=days_ago(200))
            for _ in range(2)
        ]
        look = pruning._next_batch

        def look_and_resend(*arguments: Any) -> Any:
            found = look(*arguments)
            OutboxItem.objects.filter(pk=rows[0].pk).update(state=State.PENDING, finished_at=None)
            return found

        monkeypatch.setattr(pruning, "_next_batch", look_and_resend)

        assert pruned() == {"outbox": 1}
        assert OutboxItem.objects.get().pk == rows[0].pk


class TestLedger:
    """Codes are kept as long as a token that they were redeemed for can work."""

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize("state", [ReciprocalCode.State.REVOKED, ReciprocalCode.State.LIVE])
    @pytest.mark.parametrize(("days", "goes"), [(29, False), (31, True)])
    def test_a_code_that_was_never_redeemed(
        self, link_as_a: Link, state: str, days: int, goes: bool
    ) -> None:
        add_code(link_as_a, state=state, expires_at=days_ago(days))

        assert pruned() == ({"codes": 1} if goes else {})

    @pytest.mark.threat("D5")
    def test_a_redeemed_code_stays_while_its_tokens_can_be_renewed(
        self, link_as_a: Link, make_token: Callable[..., Any], user: Any
    ) -> None:
        token = make_token(link_as_a.peer.application, user, expires=days_ago(300))
        add_code(link_as_a, token_family=token.family, expires_at=days_ago(300))
        foreign = make_token(link_as_a.peer.application, user)
        assert foreign.family != token.family

        assert pruned() == {}

        get_refresh_token_model().revoke_family(token.family)
        assert pruned() == {}, "DOT may take it for some time yet"

        get_refresh_token_model().objects.filter(token_family=token.family).update(
            revoked=days_ago(31)
        )
        assert pruned() == {"codes": 1}

    @pytest.mark.threat("D5")
    def test_a_redeemed_code_is_deleted_once_its_family_is_deleted(self, link_as_a: Link) -> None:
        add_code(link_as_a, token_family=uuid.uuid4())
        add_code(link_as_a, token_family=uuid.uuid4(), expires_at=days_ago(29))

        assert pruned() == {"codes": 1}

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize("by", ["access_token", "source_refresh_token"])
    @pytest.mark.parametrize(("hours", "goes"), [(1, False), (-1, True)])
    def test_an_access_token_outlives_its_refresh_token(
        self,
        link_as_a: Link,
        make_token: Callable[..., Any],
        user: Any,
        by: str,
        hours: int,
        goes: bool,
    ) -> None:
        expires = timezone.now() + timedelta(hours=hours)
        token = make_token(link_as_a.peer.application, user, expires=expires)
        refresh_tokens = get_refresh_token_model().objects.filter(token_family=token.family)
        refresh_tokens.update(revoked=days_ago(40))
        if by == "source_refresh_token":
            get_access_token_model().objects.update(source_refresh_token=refresh_tokens.get())
            refresh_tokens.update(access_token=None)
        add_code(link_as_a, token_family=token.family)

        assert pruned() == ({"codes": 1} if goes else {})

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize(("hours", "goes"), [(1, False), (-1, True)])
    def test_without_a_refresh_token_any_token_of_the_person_may_be_the_one(
        self,
        link_as_a: Link,
        make_token: Callable[..., Any],
        user: Any,
        other_user: Any,
        hours: int,
        goes: bool,
    ) -> None:
        expires = timezone.now() + timedelta(hours=hours)
        make_token(link_as_a.peer.application, user, expires=expires)
        make_token(link_as_a.peer.application, other_user)
        add_code(link_as_a, token_family=None)

        assert pruned() == ({"codes": 1} if goes else {})

    @pytest.mark.threat("D5", "C7")
    def test_a_replay_is_still_noticed(
        self, client: Client, link_as_a: Link, make_token: Callable[..., Any], user: Any
    ) -> None:
        application = link_as_a.peer.application
        token = make_token(application, user)
        add_code(link_as_a, code_hash=hash_of("old-code"), token_family=token.family)
        assert pruned() == {}

        response = post_form(
            client,
            {"grant_type": "authorization_code", "code": "old-code"},
            basic(application.client_id, PEER_SECRET),
        )

        assert response.status_code == 400
        assert not get_refresh_token_model().objects.filter(revoked__isnull=True).exists()
        assert ReciprocalCode.objects.get().replays == 1


class TestVisits:
    """Authorization requests."""

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize(
        ("problem", "days", "goes"),
        [
            ("", 29, False),
            ("", 31, True),
            ("scope", 31, False),
            ("scope", 179, False),
            ("scope", 181, True),
        ],
    )
    @pytest.mark.parametrize("is_answered", [False, True])
    def test_a_failed_attempt_to_connect_is_kept_longer_than_others(
        self,
        link_as_a: Link,
        user: Any,
        problem: str,
        days: int,
        goes: bool,
        is_answered: bool,
    ) -> None:
        AuthorizationRequest.objects.create(
            user=user,
            peer=link_as_a.peer,
            state_hash="x",
            created_at=days_ago(days),
            answered_at=days_ago(days) if is_answered else None,
            problem=problem,
            link=link_as_a if is_answered and not problem else None,
        )

        assert pruned() == ({"authorization_requests": 1} if goes else {})
        assert Link.objects.exists()

    @pytest.mark.threat("D5")
    @pytest.mark.parametrize(("hours", "goes"), [(0.4, False), (24, False), (24.6, True)])
    @pytest.mark.parametrize("is_answered", [False, True])
    def test_an_authorization_request_is_kept_for_a_day_after_its_lifetime(
        self,
        link_as_a: Link,
        user: Any,
        hours: float,
        goes: bool,
        is_answered: bool,
        settings: Settings,
    ) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "RETENTION_FINISHED_DAYS": 0}
        AuthorizationRequest.objects.create(
            user=user,
            peer=link_as_a.peer,
            state_hash="x",
            created_at=timezone.now() - timedelta(hours=hours),
            answered_at=timezone.now() if is_answered else None,
            link=link_as_a if is_answered else None,
        )

        assert pruned() == ({"authorization_requests": 1} if goes else {})
        assert Link.objects.exists()


class TestLinks:
    """Links and their history."""

    @pytest.mark.threat("D5")
    def test_an_ended_link_goes_with_its_history(self, ended_link: Link) -> None:
        assert pruned() == {"events": 2, "links": 1}
        assert not Link.objects.exists()

    def test_the_history_of_an_active_link_stays_whole(self, link_as_a: Link) -> None:
        record_event(link_as_a, Step.A, at=days_ago(4000))

        assert pruned() == {}

    def test_an_ended_link_stays_for_its_time(self, ended_link: Link) -> None:
        Link.objects.update(ended_at=days_ago(364))

        assert pruned() == {}, "and with its whole history"
        assert Link.objects.exists()

    def test_a_link_stays_while_it_has_a_newer_event(self, ended_link: Link) -> None:
        record_event(ended_link, Step.F, detail="replay")

        assert pruned() == {"events": 2}
        assert LinkEvent.objects.get().link == ended_link

    @pytest.mark.threat("D5")
    def test_a_link_stays_as_long_as_its_ledger(
        self, ended_link: Link, make_token: Callable[..., Any], user: Any
    ) -> None:
        token = make_token(ended_link.peer.application, user)
        code = add_code(ended_link, token_family=token.family)

        assert pruned() == {"events": 2}
        assert ReciprocalCode.objects.get() == code

        get_refresh_token_model().objects.all().delete()
        assert pruned() == {"codes": 1, "links": 1}

    @pytest.mark.parametrize("model", [OutboxItem, InboxItem])
    def test_a_link_stays_as_long_as_its_hand_overs(
        self, ended_link: Link, model: type[OutboxItem], settings: Settings
    ) -> None:
        name = "outbox" if model is OutboxItem else "inbox"
        settings.RECIPROCAL_OAUTH = {"RETENTION_FAILED_DAYS": 1000}
        model.objects.create(
            peer=ended_link.peer, link=ended_link, state=State.FAILED, finished_at=days_ago(900)
        )

        assert pruned() == {"events": 2}

        settings.RECIPROCAL_OAUTH = {"RETENTION_FAILED_DAYS": 800}
        assert pruned() == {name: 1, "links": 1}

    def test_no_token_is_touched(
        self, ended_link: Link, make_token: Callable[..., Any], user: Any
    ) -> None:
        """The person may have connected again: these tokens belong to another link."""
        make_token(ended_link.peer.application, user)

        assert pruned() == {"events": 2, "links": 1}
        assert get_access_token_model().objects.exists()
        assert not OutboxItem.objects.exists()

    def test_a_link_that_is_opened_again_meanwhile_stays(
        self, ended_link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        look = pruning._next_batch

        def look_and_open(rows: Any, last: Any) -> Any:
            found = look(rows, last)
            if rows.model is Link:
                Link.objects.update(status=Link.Status.ACTIVE, ended_at=None)
            return found

        monkeypatch.setattr(pruning, "_next_batch", look_and_open)

        assert pruned() == {"events": 2}
        assert Link.objects.get() == ended_link


class TestOutput:
    """What the command prints."""

    @pytest.fixture
    def rows(self, ended_link: Link) -> None:
        for _ in range(2):
            OutboxItem.objects.create(
                peer=ended_link.peer, link=ended_link, state=State.DONE, finished_at=days_ago(366)
            )
        add_code(ended_link, state=ReciprocalCode.State.REVOKED)

    def test_for_people(self, rows: None) -> None:
        assert run().splitlines() == [
            "Deleted:",
            "  2  outgoing hand-overs",
            "  1  reciprocal codes",
            "  2  link events",
            "  1  links",
        ]
        assert run() == "There is nothing to delete.\n"

    def test_a_dry_run_counts_the_same_and_deletes_nothing(self, rows: None) -> None:
        expected = {"outbox": 2, "codes": 1, "events": 2, "links": 1}

        assert run("--dry-run").splitlines()[0] == "Would be deleted:"
        assert pruned("--dry-run") == expected
        assert (OutboxItem.objects.count(), Link.objects.count()) == (2, 1)
        assert pruned() == expected

    @pytest.mark.django_db
    def test_as_json_every_table_is_named(self) -> None:
        assert json.loads(run("--json")) == {"dry_run": False, "broken": 0, **NOTHING}

    def test_times_without_a_time_zone(self, settings: Settings, peer: Peer) -> None:
        settings.USE_TZ = False
        finished_at = timezone.now() - timedelta(days=31)
        OutboxItem.objects.create(peer=peer, state=State.DONE, finished_at=finished_at)

        assert pruned() == {"outbox": 1}


@pytest.mark.threat("D5")
def test_the_work_grows_with_the_rows_and_no_faster(peer: Peer, user: Any) -> None:
    """Each batch takes two queries and a transaction, and reads only primary keys."""
    count = 20_000
    old = days_ago(400)
    link = Link.objects.create(user=user, peer=peer, account_key="active")
    ended = Link(user=user, peer=peer, account_key="ended", status="ended", ended_at=old)
    ended.save()
    OutboxItem.objects.bulk_create(
        OutboxItem(peer=peer, link=link, state=State.DONE, finished_at=old)
        for _ in range(count // 4)
    )
    LinkEvent.objects.bulk_create(
        LinkEvent(link=each, at=old) for each in (link, ended) for _ in range(count // 4)
    )
    ReciprocalCode.objects.bulk_create(
        ReciprocalCode(
            code_hash=f"{number:064}",
            link=link,
            generation=1,
            application_pk=str(peer.application_id),
            state=ReciprocalCode.State.REDEEMED,
            token_family=uuid.uuid4(),
            expires_at=old,
        )
        for number in range(count // 4)
    )

    with CaptureQueriesContext(
        connection,
    ) as queries:
        counts = pruned()

    assert counts == {
        "outbox": count // 4,
        "codes": count // 4,
        "events": count // 4,
        "links": 1,
    }
    assert LinkEvent.objects.count() == count // 4
    batches = 3 * count // 4 // pruning.BATCH_ROWS
    assert len(queries) <= 4 * batches + 40


def test_the_last_sign_of_life_of_a_worker_stays(db: None) -> None:
    """It says since when no worker has run."""
    for host, days in (("older", 9), ("newest", 8)):
        Heartbeat.objects.create(kind="command", host=host, seen_at=days_ago(days))

    assert pruned() == {"workers": 1}

    assert Heartbeat.objects.get().host == "newest"
