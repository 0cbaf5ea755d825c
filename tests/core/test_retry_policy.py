"""When to try again, as a table: no clock, no database."""

import pytest
from pytest_django import Settings

from reciprocal_oauth.conf import settings as app_settings
from reciprocal_oauth.core.retry_policy import RetryPolicy

A_DAY = 24 * 3600
HOUR = 3600


def _steady(*schedule: float) -> RetryPolicy:
    return RetryPolicy(schedule, spread=lambda: 0.0)


@pytest.mark.threat("R1", "R3")
@pytest.mark.parametrize(
    ("attempts", "pause"),
    [
        (1, 5),
        (2, 300),
        (3, 1800),
        (4, 2 * HOUR),
        (5, 5 * HOUR),
        (6, 10 * HOUR),
        (7, 14 * HOUR),
        (8, 20 * HOUR),
        (9, 24 * HOUR),
        (10, None),
        (11, None),
    ],
)
def test_the_promised_schedule(attempts: int, pause: float | None) -> None:
    assert _steady(*app_settings.RETRY_SCHEDULE_SECONDS).pause_after(attempts) == pause


@pytest.mark.threat("D4")
def test_there_are_ten_attempts_within_a_little_more_than_three_days() -> None:
    schedule = app_settings.RETRY_SCHEDULE_SECONDS

    assert RetryPolicy(schedule).limit == 10
    assert 72 * HOUR < sum(schedule) < 80 * HOUR


@pytest.mark.threat("R1")
@pytest.mark.parametrize(("spread", "pause"), [(-1.0, 240.0), (0.0, 300.0), (1.0, 360.0)])
def test_a_pause_is_spread_by_a_fifth(spread: float, pause: float) -> None:
    policy = RetryPolicy((0, 5, 300), spread=lambda: spread)

    assert policy.pause_after(2) == pytest.approx(pause)


def test_by_default_pauses_differ_within_the_spread() -> None:
    pauses = [RetryPolicy((0, 100)).pause_after(1) for _ in range(200)]

    assert len(set(pauses)) > 100
    assert all(pause is not None and 80 <= pause <= 120 for pause in pauses)


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R4")
@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 300), (0.0, 300), (10.0, 300), (301.0, 301), (9e9, A_DAY)],
)
def test_what_the_peer_asks_for_is_obeyed_where_it_is_longer(
    retry_after: float | None, pause: float
) -> None:
    assert _steady(0, 5, 300).pause_after(2, retry_after) == pause


@pytest.mark.threat("R4")
def test_asking_to_wait_gives_no_more_attempts() -> None:
    assert _steady(0, 5).pause_after(2, 60.0) is None


def test_a_schedule_of_one_attempt_and_an_empty_one(settings: Settings) -> None:
    assert _steady(0).pause_after(1) is None
    assert _steady().pause_after(1) is None
