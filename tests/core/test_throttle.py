"""The period in which uses are counted."""

import time_machine

from reciprocal_oauth.core.throttle import Throttle

LIMIT = Throttle("test", limit=2)


def test_processes_that_begin_on_both_sides_of_a_second_count_together() -> None:
    """The second one has read the clock before the first one, and comes to the cache after it."""
    with time_machine.travel("2026-08-01 12:00:01 +0000", tick=False):
        assert LIMIT.count("two-seconds")
    with time_machine.travel("2026-08-01 12:00:00.900 +0000", tick=False):
        assert LIMIT.count("two-seconds")
        assert not LIMIT.count("two-seconds")


def test_a_clock_that_was_set_back_begins_another_period() -> None:
    with time_machine.travel("2026-08-01 13:00 +0000", tick=False):
        assert [LIMIT.count("set-back") for _ in range(3)] == [True, True, False]
    with time_machine.travel("2026-08-01 12:00 +0000", tick=False):
        assert LIMIT.count("set-back")
