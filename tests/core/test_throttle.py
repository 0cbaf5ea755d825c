"""The period in which uses are counted."""

from datetime import UTC, datetime, timedelta

import time_machine

from reciprocal_oauth.core.throttle import Throttle

LIMIT = Throttle("test", limit=2)
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


def test_processes_that_begin_on_both_sides_of_a_second_count_together() -> None:
    """The second one has read the clock before the first one, and comes to the cache after it."""
    with time_machine.travel(NOON, tick=False):
        assert LIMIT.count("two-seconds")
    with time_machine.travel(NOON - timedelta(seconds=0.1), tick=False):
        assert LIMIT.count("two-seconds")
        assert not LIMIT.count("two-seconds")


def test_a_clock_that_was_set_back_begins_another_period() -> None:
    with time_machine.travel(NOON, tick=False):
        assert [LIMIT.count("set-back") for _ in range(3)] == [True, True, False]
    with time_machine.travel(NOON - timedelta(hours=1), tick=False):
        assert LIMIT.count("set-back")
