"""The results of attempts, and how they are stored."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from reciprocal_oauth import signals
from reciprocal_oauth.core.database import atomic
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.models.results import Accepted, Cancelled, Done, Failed, Result, Retry

from .conftest import ScriptedHandler

State = OutboxItem.State
MakeRow = Callable[..., OutboxItem]
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _work_on(row: OutboxItem, result: Result | Exception, handler: ScriptedHandler) -> OutboxItem:
    handler.results = [result]
    (item,) = worker.claim(1)
    worker.work(item)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(
    ("result", "state", "pause"),
    [
        (Done(), State.DONE, None),
        (Cancelled(), State.CANCELLED, None),
        (Failed("refused", "handover_refused"), State.FAILED, None),
        (Accepted(120.0), State.ACCEPTED, 120.0),
        (Retry("down", "unreachable"), State.PENDING, 5.0),
        (Retry("busy", "unreachable", after=60.0), State.PENDING, 60.0),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Result) else "",
)
@time_machine.travel(NOON, tick=False)
def test_an_outcome_is_recorded_and_the_row_given_back(
    result: Result, state: str, pause: float | None, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = _work_on(make_row(live_key="link"), result, handler)

    assert row.state == state
    assert (row.lease_owner, row.lease_until) == (None, None)
    assert row.attempts == 1
    if pause is None:
        assert (row.finished_at, row.next_attempt_at, row.live_key) == (NOON, None, None)
    else:
        assert row.next_attempt_at == NOON + timedelta(seconds=pause)
        assert (row.finished_at, row.live_key) == (None, "link")


@time_machine.travel(NOON, tick=False)
def test_an_accepted_row_says_when_and_forgets_earlier_errors(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = _work_on(make_row(last_error="HTTP 503"), Accepted(120.0), handler)

    assert (row.accepted_at, row.last_error) == (NOON, "")


def test_an_error_is_kept_for_the_administrator(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = _work_on(make_row(), Retry("HTTP 503 " + "x" * 1000, "unreachable"), handler)

    assert row.last_error.startswith("HTTP 503")
    assert len(row.last_error) == 500


@pytest.mark.threat("R3")
def test_a_row_is_tried_as_often_as_the_schedule_says_and_then_fails_once(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = make_row()
    handler.results = [Retry("HTTP 503", "unreachable")]
    with time_machine.travel(NOON, tick=False) as clock:
        OutboxItem.objects.update(next_attempt_at=NOON)
        for _ in range(20):
            worker.drain()
            clock.shift(60)

    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == (State.FAILED, 3, "HTTP 503")
    assert len(handler.attempted) == 3
    assert handler.failed == [(row, "unreachable", "HTTP 503")]


@pytest.mark.threat("K1", "D4")
def test_a_row_whose_last_attempt_was_interrupted_by_a_crash_is_not_tried_again(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = _work_on(make_row(attempts=3), Done(), handler)

    assert handler.attempted == []
    assert (row.state, row.attempts) == (State.FAILED, 3)
    assert [reason for _, reason, _ in handler.failed] == ["unreachable"]


@pytest.mark.threat("R5")
def test_a_code_that_was_accepted_at_the_last_attempt_and_never_used_is_unconfirmed(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    _work_on(
        make_row(attempts=3, state=State.ACCEPTED, accepted_at=timezone.now()), Done(), handler
    )

    assert [reason for _, reason, _ in handler.failed] == ["unconfirmed"]


@pytest.mark.threat("X2")
def test_a_fault_of_ours_does_not_lose_the_row_and_its_text_is_not_kept(
    make_row: MakeRow, handler: ScriptedHandler, caplog: pytest.LogCaptureFixture
) -> None:
    row = _work_on(make_row(), RuntimeError("t0ken-canary"), handler)

    assert row.state == State.PENDING
    assert row.last_error == "internal error: RuntimeError"
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "canary" not in record.getMessage()


def test_after_a_fault_the_worker_goes_on_with_the_next_row(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    first, second = make_row(), make_row()
    handler.results = [RuntimeError(), Done()]

    assert worker.drain() == 2

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.PENDING, State.DONE)


@pytest.mark.threat("K5")
@pytest.mark.parametrize(
    "result",
    [
        Accepted(120.0),
        Retry("HTTP 503", "unreachable"),
        Failed("HTTP 403", "handover_refused"),
        RuntimeError(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_was_decided_meanwhile_stands(
    result: Any, make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = make_row()

    def redeemed_while_we_sent(item: OutboxItem) -> Result:
        OutboxItem.objects.filter(pk=item.pk).update(
            **OutboxItem.final_values(State.DONE, timezone.now())
        )
        if isinstance(result, Exception):
            raise result
        return result

    handler.results = [redeemed_while_we_sent]
    worker.drain()

    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.DONE, "")
    assert handler.failed == []


def test_a_row_that_is_deleted_meanwhile_harms_nobody(
    make_row: MakeRow, handler: ScriptedHandler
) -> None:
    row = make_row()

    def deleted(item: OutboxItem) -> Result:
        OutboxItem.objects.all().delete()
        return Retry("HTTP 503", "unreachable")

    handler.results = [deleted]

    assert worker.drain() == 1
    assert not OutboxItem.objects.filter(pk=row.pk).exists()


@pytest.mark.threat("R2", "R13")
def test_draining_holds_one_lease_at_a_time(make_row: MakeRow, handler: ScriptedHandler) -> None:
    held: list[int] = []
    for _ in range(3):
        make_row()

    def count(item: OutboxItem) -> Result:
        held.append(OutboxItem.objects.filter(state=State.CLAIMED).count())
        return Done()

    handler.results = [count]

    assert worker.drain() == 3
    assert held == [1, 1, 1]


class TestGivingUp:
    """A row that dies is announced once, and only if it has really died."""

    @pytest.fixture
    def announced(self) -> Any:
        received: list[tuple[Any, str]] = []

        def receive(sender: type, item: OutboxItem, **kwargs: Any) -> None:
            received.append((sender, OutboxItem.objects.get(pk=item.pk).state))

        signals.delivery_failed.connect(receive)
        yield received
        signals.delivery_failed.disconnect(receive)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.threat("R3")
    def test_it_is_announced_after_commit(
        self, make_row: MakeRow, handler: ScriptedHandler, announced: list[Any]
    ) -> None:
        make_row()
        handler.results = [Failed("HTTP 403", "handover_refused")]

        with atomic():
            worker.drain()
            assert announced == []

        assert announced == [(OutboxItem, State.FAILED)]
        worker.drain()
        assert len(announced) == 1

    @pytest.mark.django_db(transaction=True)
    def test_after_a_crash_in_the_middle_the_row_fails_later(
        self,
        make_row: MakeRow,
        handler: ScriptedHandler,
        announced: list[Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        row = make_row()
        handler.results = [Failed("HTTP 403", "handover_refused")]
        monkeypatch.setattr(handler, "failed", _Killed())

        with pytest.raises(KeyboardInterrupt):
            worker.drain()

        row.refresh_from_db()
        assert row.state == State.CLAIMED
        assert announced == []


class _Killed(list[Any]):
    def append(self, item: Any) -> None:
        raise KeyboardInterrupt


def test_the_log_names_row_and_outcome_and_carries_the_action(
    make_row: MakeRow, handler: ScriptedHandler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reciprocal_oauth")
    row = _work_on(make_row(), Retry("HTTP 503", "unreachable"), handler)

    (record,) = [r for r in caplog.records if getattr(r, "action", "") == "retry"]
    assert f"#{row.pk}" in record.getMessage()
    assert "HTTP 503" in record.getMessage()
    assert record.attempts == 1  # type: ignore[attr-defined]


def test_losing_a_lease_is_logged_and_neither_raised_nor_counted(
    make_row: MakeRow,
    handler: ScriptedHandler,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "reciprocal_oauth")
    make_row()

    def taken_over(item: OutboxItem) -> Result:
        OutboxItem.objects.update(lease_owner="another worker")
        return Done()

    handler.results = [taken_over]
    counted: list[object] = []
    monkeypatch.setattr(worker.measuring, "count_attempt", lambda *args: counted.append(args))
    worker.drain()

    assert counted == []  # The other worker counts its own result.
    assert OutboxItem.objects.get().state == State.CLAIMED
    assert [r for r in caplog.records if getattr(r, "action", "") == "lease_lost"]


@pytest.mark.threat("R61")
@pytest.mark.parametrize("result", [Failed, Retry])
def test_a_refusal_pauses_no_peer_when_the_lease_is_lost(
    result: type[Failed | Retry], make_row: MakeRow, handler: ScriptedHandler, peer: Peer
) -> None:
    def lose_the_lease(item: OutboxItem) -> Result:
        OutboxItem.objects.update(lease_owner="another worker")
        return result("HTTP 401", "credentials_refused", pauses=Peer.objects.get())

    make_row()
    handler.results = [lose_the_lease]

    worker.drain()

    assert Peer.objects.get().paused_at is None
    assert OutboxItem.objects.get().state == State.CLAIMED
    assert handler.failed == []


@pytest.mark.threat("R61")
@pytest.mark.parametrize(("result", "state"), [(Failed, State.FAILED), (Retry, State.PENDING)])
def test_a_refusal_pauses_the_peer_that_it_is_about(
    result: type[Failed | Retry],
    state: str,
    make_row: MakeRow,
    handler: ScriptedHandler,
    peer: Peer,
) -> None:
    row = _work_on(make_row(), result("HTTP 401", "credentials_refused", pauses=peer), handler)

    assert Peer.objects.get().paused_reason == "credentials_refused"
    assert row.state == state


@pytest.mark.threat("R61")
def test_a_refusal_of_a_secret_that_was_changed_since_is_tried_again(
    make_row: MakeRow, handler: ScriptedHandler, peer: Peer
) -> None:
    called = Peer.objects.get()
    called.client_id = "an earlier one"

    row = _work_on(make_row(), Failed("HTTP 401", "credentials_refused", pauses=called), handler)

    assert Peer.objects.get().paused_at is None
    assert (row.state, row.last_error) == (State.PENDING, "HTTP 401")
