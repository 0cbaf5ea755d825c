"""A site whose worker does not run, seen by a person, an operator and a monitor."""

import io
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.models import Heartbeat, Link, OutboxItem
from reciprocal_oauth.status import health

from .processes import running, soon, url_of_the_database

pytestmark = pytest.mark.usefixtures("shared_database")

COMMAND = [sys.executable, "-m", "django", "reciprocal_deliver", "--loop", "0.2"]


def status_of_site() -> int:
    """Give the exit status of ``reciprocal_status``."""
    try:
        call_command("reciprocal_status", stdout=io.StringIO())
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.mark.threat("R77")
def test_it_is_noticed_until_a_worker_runs_and_again_after_that_was_killed(
    browser: Client, granted: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", -1.0)
    env = {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TEST_DATABASE_URL": url_of_the_database(),
    }

    def page() -> str:
        return browser.get(f"/connections/links/{granted.pk}/").content.decode()

    def health_of_site() -> int:
        return browser.get("/connections/health/").status_code

    assert "Allowed, waiting at this site" in page()
    assert "cannot be reached" not in page()
    assert (status_of_site(), health_of_site()) == (1, 503)

    with running(COMMAND, env, tmp_path / "worker.log") as worker:
        worker.until(lambda: OutboxItem.objects.get().state == OutboxItem.State.ACCEPTED)
        soon(lambda: Heartbeat.objects.exists())

        assert f"Allowed, on its way to {granted.peer.name}" in page()
        assert (status_of_site(), health_of_site()) == (0, 200)
        worker.kill()

    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        assert (status_of_site(), health_of_site()) == (1, 503)
