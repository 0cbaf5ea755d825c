"""Claiming a row: one worker at a time, by the clock of the database, on any database."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import queue, worker
from reciprocal_oauth.exceptions import LeaseLost
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer, QueueItem

State = OutboxItem.State
MakeRow = Callable[..., OutboxItem]

#: One connection plays two workers in some tests, and its own row locks do not stop it.
has_row_locks = connection.features.has_select_for_update


def _claim(limit: int = 10) -> list[OutboxItem]:
    waiting = list(queue.claim(OutboxItem, limit))
    return [*waiting, *queue.claim_interrupted(OutboxItem, limit - len(waiting))]


def _let_lease_expire(item: OutboxItem) -> None:
    OutboxItem.objects.filter(pk=item.pk).update(lease_until=Now() - timedelta(seconds=1))


def test_a_claimed_row_says_so_and_counts_the_attempt(make_row: MakeRow) -> None:
    make_row()

    (item,) = _claim()

    assert (item.state, item.attempts) == (State.CLAIMED, 1)
    assert item.lease_owner
    stored = OutboxItem.objects.get()
    assert (stored.state, stored.attempts, stored.lease_owner) == (
        State.CLAIMED,
        1,
        item.lease_owner,
    )


@pytest.mark.threat("R13")
def test_a_claimed_row_is_not_claimed_again(make_row: MakeRow) -> None:
    make_row()
    _claim()

    assert _claim() == []


@pytest.mark.skipif(has_row_locks, reason="shown with threads where there are row locks")
@pytest.mark.threat("R13")
def test_two_workers_that_see_the_same_row_do_not_both_get_it(make_row: MakeRow) -> None:
    make_row()
    theirs: list[OutboxItem] = []

    def other_worker_is_faster(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and not theirs:
            theirs.append(OutboxItem(pk=0))  # Only once, and not for the claim below.
            theirs[:] = _claim()
        return execute(sql, *args)

    with connection.execute_wrapper(other_worker_is_faster):
        ours = _claim()

    assert ours == []
    assert len(theirs) == 1
    assert OutboxItem.objects.get().attempts == 1


@pytest.mark.skipif(has_row_locks, reason="shown with threads where there are row locks")
@pytest.mark.threat("R13")
def test_a_worker_that_loses_a_row_takes_the_next(make_row: MakeRow) -> None:
    first, second = make_row(), make_row()
    theirs: list[OutboxItem] = []

    def other_worker_is_faster(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and not theirs:
            theirs.append(OutboxItem(pk=0))
            theirs[:] = _claim(1)
        return execute(sql, *args)

    with connection.execute_wrapper(other_worker_is_faster):
        ours = _claim(1)

    assert (theirs, ours) == ([first], [second])


@pytest.mark.threat("R13", "R11")
@pytest.mark.usefixtures("shared_database")
def test_many_workers_at_once_claim_each_row_once(make_row: MakeRow, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DELIVERIES_PER_PEER": 100}
    for _ in range(40):
        make_row()
    claimed: list[int] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        while items := _claim(3):
            claimed.extend(item.pk for item in items)
        connections.close_all()

    _run_together(work, 8)

    assert sorted(claimed) == sorted(OutboxItem.objects.values_list("pk", flat=True))
    assert not OutboxItem.objects.exclude(attempts=1).exists()


@pytest.mark.threat("D3", "R2")
@pytest.mark.usefixtures("shared_database")
@pytest.mark.parametrize("round_", range(5))
def test_workers_that_claim_at_the_same_time_keep_the_limit_of_a_peer(
    round_: int, make_row: MakeRow, peer: Peer, link_as_a: Link
) -> None:
    for number in range(10):
        make_row()
        InboxItem.objects.create(peer=peer, link=link_as_a, code_hash=str(number))
    claimed: list[QueueItem] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        claimed.extend(worker.claim(2))
        connections.close_all()

    _run_together(work, 8)

    assert len(claimed) == 4
    assert InboxItem.objects.filter(state=State.CLAIMED).count() == 4


@pytest.mark.skipif(not has_row_locks, reason="SQLite has no row locks")
@pytest.mark.threat("R13")
@pytest.mark.usefixtures("shared_database")
def test_a_row_that_a_redemption_has_locked_holds_nobody_up(make_row: MakeRow) -> None:
    locked, free = make_row(), make_row()
    claimed: list[OutboxItem] = []

    def work() -> None:
        claimed.extend(_claim())
        connections.close_all()

    with transaction.atomic():
        OutboxItem.objects.select_for_update().get(pk=locked.pk)
        _run_together(work, 1)

    assert claimed == [free]
    assert _claim() == [locked]


def _run_together(work: Callable[[], None], count: int) -> None:
    """What one of them raises is raised here."""
    with ThreadPoolExecutor(count) as pool:
        for running in [pool.submit(work) for _ in range(count)]:
            running.result(60)


@pytest.mark.threat("R19")
def test_a_row_can_be_claimed_by_its_number(make_row: MakeRow) -> None:
    other, wanted = make_row(), make_row()

    claimed = queue.claim_one(OutboxItem, wanted.pk)

    assert claimed == wanted
    assert queue.claim_one(OutboxItem, wanted.pk) is None
    assert queue.claim_one(OutboxItem, 0) is None
    assert _claim() == [other]


@pytest.mark.threat("R19")
def test_a_row_that_is_not_due_or_above_the_limit_is_not_claimed_by_its_number(
    make_row: MakeRow,
) -> None:
    later = make_row(next_attempt_at=timezone.now() + timedelta(hours=1))
    rows = [make_row() for _ in range(5)]

    claimed = [queue.claim_one(OutboxItem, row.pk) for row in (later, *rows)]

    assert claimed == [None, *rows[:4], None]


@pytest.mark.threat("K1", "K7")
def test_a_row_whose_lease_has_run_out_is_taken_over(make_row: MakeRow) -> None:
    make_row()
    (dead_workers,) = _claim()
    _let_lease_expire(dead_workers)

    (ours,) = _claim()

    assert ours.attempts == 2
    assert ours.lease_owner != dead_workers.lease_owner
    with pytest.raises(LeaseLost):
        queue.finish(dead_workers, State.DONE)
    with pytest.raises(LeaseLost):
        queue.release(dead_workers, State.PENDING, timezone.now())
    assert OutboxItem.objects.get().state == State.CLAIMED


@pytest.mark.parametrize("seconds", [59, 61])
def test_a_lease_lasts_as_long_as_the_settings_say(seconds: int, make_row: MakeRow) -> None:
    make_row()
    _claim()
    # As if that much time had passed.
    OutboxItem.objects.update(lease_until=F("lease_until") - timedelta(seconds=seconds))

    assert len(_claim()) == (1 if seconds > 60 else 0)


@pytest.mark.threat("Y5")
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_worker_with_a_wrong_clock_steals_no_lease(minutes: int, make_row: MakeRow) -> None:
    make_row()
    _claim()

    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
        assert _claim() == []


@pytest.mark.threat("Y5")
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_worker_with_a_wrong_clock_holds_its_own_lease(minutes: int, make_row: MakeRow) -> None:
    make_row(next_attempt_at=timezone.now() - timedelta(hours=1))
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
        (item,) = _claim()

    assert _claim() == []
    _let_lease_expire(item)
    assert len(_claim()) == 1


def test_rows_are_claimed_in_the_order_in_which_they_came_due(make_row: MakeRow) -> None:
    now = timezone.now()
    late, early, middle = (
        make_row(next_attempt_at=now - timedelta(seconds=age)) for age in (1, 30, 10)
    )

    assert _claim(2) == [early, middle]
    assert _claim(2) == [late]
    assert _claim(0) == []


@pytest.mark.parametrize(
    ("values", "is_claimed"),
    [
        ({"state": State.PENDING}, True),
        ({"state": State.ACCEPTED}, True),
        ({"state": State.PENDING, "next_attempt_at": timedelta(seconds=30)}, False),
        ({"state": State.ACCEPTED, "next_attempt_at": timedelta(seconds=30)}, False),
        ({"state": State.DONE}, False),
        ({"state": State.FAILED}, False),
        ({"state": State.CANCELLED}, False),
    ],
)
def test_only_rows_that_wait_and_are_due_are_claimed(
    values: dict[str, Any], is_claimed: bool, make_row: MakeRow
) -> None:
    if "next_attempt_at" in values:
        values = {**values, "next_attempt_at": timezone.now() + values["next_attempt_at"]}
    make_row(**values)

    assert bool(_claim()) == is_claimed


@pytest.mark.skipif(has_row_locks, reason="a row that is locked cannot be deleted meanwhile")
@pytest.mark.threat("Y1")
def test_a_row_that_is_deleted_meanwhile_is_not_claimed(make_row: MakeRow) -> None:
    gone, stays = make_row(), make_row()

    def delete_after_claim(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("SELECT") and OutboxItem.objects.filter(attempts=1, pk=gone.pk).exists():
            OutboxItem.objects.filter(pk=gone.pk).delete()
        return execute(sql, *args)

    with connection.execute_wrapper(_once_deep(delete_after_claim)):
        assert _claim() == [stays]


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("R10")
def test_what_was_claimed_before_the_database_failed_waits_for_no_lease(
    make_row: MakeRow, peer: Peer, link_as_a: Link
) -> None:
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="x")
    make_row()

    def fail_at_the_outbox(execute: Any, sql: str, *args: Any) -> Any:
        claims_outbox = OutboxItem._meta.db_table in sql and sql.startswith("SELECT")
        if claims_outbox and InboxItem.objects.filter(state=State.CLAIMED).exists():
            raise OperationalError("database is locked")
        return execute(sql, *args)

    with (
        pytest.raises(OperationalError),
        connection.execute_wrapper(_once_deep(fail_at_the_outbox)),
    ):
        worker.claim(10)

    item = InboxItem.objects.get()
    assert (item.state, item.attempts, item.lease_owner) == (State.PENDING, 0, None)
    assert len(worker.claim(10)) == 2


@pytest.mark.threat("D3", "R2")
def test_a_peer_at_its_limit_is_reported_and_nothing_is_written_for_it(
    make_row: MakeRow, make_peer: Callable[..., Peer], peer: Peer
) -> None:
    other = make_row(peer=make_peer("healthy"), next_attempt_at=timezone.now())
    for _ in range(10):
        make_row(next_attempt_at=timezone.now() - timedelta(hours=1))
    assert len(_claim(4)) == 4
    claim_pass = queue.ClaimPass()

    with CaptureQueriesContext(connection) as captured:
        assert queue.claim(OutboxItem, 10, claim_pass) == [other]

    assert claim_pass.at_limit == {peer.pk}
    updates = [each["sql"] for each in captured if each["sql"].startswith("UPDATE")]
    assert len(updates) == 1
    assert worker.next_due_at(claim_pass) is None
    assert worker.next_due_at() is not None


def _once_deep(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper that is not asked about the queries that it makes itself."""
    inside = False

    def wrap(execute: Any, *args: Any) -> Any:
        nonlocal inside
        if inside:
            return execute(*args)
        inside = True
        try:
            return wrapper(execute, *args)
        finally:
            inside = False

    return wrap


def test_what_the_other_side_waits_for_comes_first(
    make_row: MakeRow, peer: Peer, link_as_a: Link
) -> None:
    outgoing = make_row()
    incoming = InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="x")

    assert worker.claim(10) == [incoming, outgoing]
    assert worker.claim(10) == []


def test_when_the_next_row_comes_due(make_row: MakeRow) -> None:
    assert worker.next_due_at() is None

    make_row(state=State.DONE)
    due = timezone.now() + timedelta(seconds=30)
    make_row(next_attempt_at=due)
    make_row(next_attempt_at=due + timedelta(seconds=30), state=State.ACCEPTED)

    assert worker.next_due_at() == due


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the connection's time zone is set once")
def test_leases_work_where_the_site_uses_local_times(make_row: MakeRow, settings: Settings) -> None:
    settings.USE_TZ = False
    make_row()

    (item,) = _claim()
    assert _claim() == []
    _let_lease_expire(item)
    assert len(_claim()) == 1


@pytest.mark.threat("D3", "R2")
def test_no_more_rows_of_one_peer_are_worked_on_at_once_than_the_settings_say(
    make_row: MakeRow, make_peer: Callable[..., Peer]
) -> None:
    for _ in range(40):
        make_row()
    of_another = make_row(peer=make_peer("other"))

    first, second = _claim(3), _claim(3)

    assert (len(first), len(second)) == (3, 2)
    assert of_another in second
    assert _claim(3) == []


@pytest.mark.threat("D3", "R2")
def test_a_row_that_is_given_back_or_abandoned_makes_room(make_row: MakeRow) -> None:
    for _ in range(10):
        make_row()
    finished, abandoned, *_others = _claim()
    assert _claim() == []

    queue.finish(finished, State.DONE)
    _let_lease_expire(abandoned)

    assert len(_claim()) == 2


def _seconds_left(item: OutboxItem) -> float:
    """How long the lease of ``item`` is still valid, by the clock of the database."""
    return next(
        (lease_until - now).total_seconds()
        for lease_until, now in OutboxItem.objects.filter(pk=item.pk)
        .annotate(now=Now())
        .values_list("lease_until", "now")
    )


@pytest.mark.threat("R13")
def test_renewing_makes_the_lease_last_its_full_time_from_now(make_row: MakeRow) -> None:
    make_row()
    (item,) = _claim()
    assert 50 < _seconds_left(item) <= 61
    OutboxItem.objects.update(lease_until=Now() + timedelta(seconds=5))

    queue.renew(item)

    assert 50 < _seconds_left(item) <= 61
    assert OutboxItem.objects.get().state == State.CLAIMED


@pytest.mark.threat("R13")
@pytest.mark.parametrize("change", [{"lease_owner": "another worker"}, {"state": State.DONE}])
def test_a_worker_that_no_longer_holds_a_row_renews_nothing(
    change: dict[str, str], make_row: MakeRow
) -> None:
    make_row()
    (item,) = _claim()
    OutboxItem.objects.update(lease_until=Now() + timedelta(seconds=5), **change)

    with pytest.raises(LeaseLost):
        queue.renew(item)
    with pytest.raises(LeaseLost):
        queue.finish(item, State.CANCELLED)
    with pytest.raises(LeaseLost):
        queue.release(item, State.PENDING, timezone.now())

    assert _seconds_left(item) <= 6
    assert OutboxItem.objects.filter(**change).exists()


def test_a_released_row_has_no_lease_and_the_time_of_its_next_attempt(make_row: MakeRow) -> None:
    make_row()
    (item,) = _claim()
    later = timezone.now() + timedelta(hours=1)

    queue.release(item, State.ACCEPTED, later, last_error="HTTP 503")

    stored = OutboxItem.objects.get()
    assert (stored.state, stored.next_attempt_at) == (State.ACCEPTED, later)
    assert (stored.lease_owner, stored.lease_until) == (None, None)
    assert (stored.attempts, stored.last_error) == (1, "HTTP 503")


@pytest.mark.threat("D3", "R2")
def test_rows_of_both_queues_count_towards_the_limit_of_a_peer(
    make_row: MakeRow, link_as_a: Link, peer: Peer
) -> None:
    for _ in range(10):
        make_row()
    for number in range(3):
        InboxItem.objects.create(
            peer=peer, link=link_as_a, code_hash=str(number), state=State.CLAIMED,
            lease_until=Now() + timedelta(seconds=60),
        )  # fmt: skip

    assert len(_claim()) == 4 - 3


@pytest.mark.skipif(has_row_locks, reason="with row locks, one UPDATE claims all rows")
def test_no_update_is_made_for_rows_above_the_limit_of_a_peer(make_row: MakeRow) -> None:
    for _ in range(10):
        make_row()
    assert len(_claim(3)) == 3

    with CaptureQueriesContext(connection) as captured:
        assert len(_claim(10)) == 1

    assert len([each for each in captured if each["sql"].startswith("UPDATE")]) == 1


@pytest.mark.skipif(has_row_locks, reason="a locked row cannot be claimed meanwhile")
@pytest.mark.threat("R13")
def test_a_row_that_another_worker_took_over_is_not_returned(make_row: MakeRow) -> None:
    make_row()

    def take_over_after_claim(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if sql.startswith("UPDATE"):
            execute("UPDATE reciprocal_oauth_outboxitem SET lease_owner = 'other'", (), *args[1:])
        return result

    with connection.execute_wrapper(take_over_after_claim):
        assert _claim() == []


@pytest.mark.threat("R76")
@pytest.mark.parametrize(
    ("expired_for", "is_claimed"), [(None, False), (30.0, False), (10.0, True), (0.0, True)]
)
def test_an_interrupted_row_is_claimed_only_as_long_after_its_lease_as_is_asked_for(
    expired_for: float | None, is_claimed: bool, make_row: MakeRow
) -> None:
    make_row()
    _claim()
    OutboxItem.objects.update(lease_until=Now() - timedelta(seconds=20))

    items = queue.claim_interrupted(OutboxItem, 10, queue.ClaimPass(expired_for=expired_for))

    assert [item.was_interrupted for item in items] == [True] * is_claimed
    assert not queue.claim(OutboxItem, 10)
