"""SIGTERM for a worker that is sending: it ends in time, and what it has not finished is free."""

import pytest

from .inside import THINKING
from .invariants import cost_of_linking
from .places import Story, wait_until

pytestmark = pytest.mark.two_process

#: What is promised, whatever hangs.
STOPS_WITHIN_SECONDS = 15
FOR_EVER = 600


@pytest.mark.threat("I8")
def test_a_worker_that_is_told_to_stop_finishes_what_it_sends(story: Story) -> None:
    story.allow()
    with story.b.serving(thinks_for=1):
        assert exit_status_of_a_worker_stopped_while_sending(story) == 0
    assert row_at_a(story) == ("accepted", False)

    story.go_on()

    assert cost_of_linking(story).minted == 1


@pytest.mark.threat("I8", "R2")
def test_a_worker_that_is_told_to_stop_gives_back_what_hangs(story: Story) -> None:
    story.allow()
    with story.b.serving(thinks_for=FOR_EVER):
        assert exit_status_of_a_worker_stopped_while_sending(story) == 0
    assert row_at_a(story) == ("pending", False)

    story.go_on()

    assert cost_of_linking(story).minted == 2


def exit_status_of_a_worker_stopped_while_sending(story: Story) -> int:
    before = story.b.log_size()
    with story.a.delivering() as worker:
        wait_until(lambda: THINKING in story.b.written_since(before))
        worker.terminate()
        return worker.wait(STOPS_WITHIN_SECONDS)


def row_at_a(story: Story) -> tuple[str, bool]:
    """State of the hand-over, and whether a worker holds it."""
    (row,) = story.at(story.a)["outbox"]
    return row["state"], row["is_leased"]
