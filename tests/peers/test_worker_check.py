"""The connection check says whether this site has a worker."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from reciprocal_oauth.models.heartbeats import Heartbeat
from reciprocal_oauth.peers import connection_check


def finding() -> tuple[str, str]:
    (found,) = connection_check.run_for_site()
    assert found.check.value == "worker"
    return found.state.value, found.reason


def use(settings: Any, dispatcher: str) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER": dispatcher}


def test_a_worker_that_was_just_seen_runs(a_worker: None) -> None:
    assert finding() == ("passed", "A worker runs.")


@pytest.mark.parametrize(
    ("dispatcher", "remedy"),
    [
        ("none", "Run: manage.py reciprocal_deliver --loop"),
        ("thread", "Start the web server, or run"),
        ("celery", "Start the workers of DISPATCHER celery"),
    ],
)
def test_one_that_was_last_seen_long_ago_does_not(
    a_worker: None, settings: Any, dispatcher: str, remedy: str
) -> None:
    use(settings, dispatcher)
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(hours=1))

    state, reason = finding()

    assert state == "failed"
    assert reason.startswith("No worker has run since ")
    assert remedy in reason


@pytest.mark.parametrize(
    ("dispatcher", "state"),
    [
        ("none", "failed"),
        ("celery", "failed"),
        # It starts with the first request.
        ("thread", "unknown"),
        ("eager", "not_needed"),
    ],
)
def test_none_has_ever_run(db: None, settings: Any, dispatcher: str, state: str) -> None:
    use(settings, dispatcher)

    assert finding()[0] == state
