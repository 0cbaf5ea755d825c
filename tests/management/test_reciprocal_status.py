"""The command ``reciprocal_status``: figures, problems with what to do, and the exit status."""

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import (
    AuthorizationRequest,
    Heartbeat,
    InboxItem,
    Link,
    OutboxItem,
    Pairing,
    Peer,
    Reason,
)
from reciprocal_oauth.secret import Secret

from ..conftest import PEER_SECRET

State = OutboxItem.State
pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[int, str]:
    """Give the exit status and what is printed."""
    out = io.StringIO()
    try:
        call_command("reciprocal_status", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def problems(*arguments: str) -> list[tuple[str, str]]:
    """Give the code of each problem and what to do, from the JSON document."""
    status, document = run("--json", *arguments)
    found = json.loads(document)
    assert found["status"] == ("unhealthy" if found["problems"] else "healthy")
    assert status == bool(found["problems"])
    return [(each["code"], each["remedy"]) for each in found["problems"]]


@pytest.fixture
def worker(db: None) -> Heartbeat:
    """A worker that was just seen."""
    return Heartbeat.objects.create(kind="command", host="worker-1", seen_at=timezone.now())


def row(peer: Peer, **values: Any) -> OutboxItem:
    return OutboxItem.objects.create(kind="revocation", peer=peer, **values)


def failed(peer: Peer) -> OutboxItem:
    return row(peer, state=State.FAILED, next_attempt_at=None, finished_at=timezone.now())


def test_all_is_well(peer: Peer, worker: Heartbeat) -> None:
    row(peer)

    status, text = run()

    assert status == 0
    assert re.search(r"command on worker-1, seen \d s ago", text)
    oldest = r"1 due \(the oldest for \d s\), 0 overdue, 0 on hold, 1 unfinished, 0 failed"
    assert re.search(oldest, text)
    assert "No problem was found." in text


def test_a_new_site_is_well() -> None:
    assert problems() == []


@pytest.mark.threat("R77")
def test_no_worker_has_ever_run(peer: Peer, settings: Settings) -> None:
    status, text = run()

    assert status == 1
    assert "none seen in the last seven days" in text
    assert "No worker has ever run at this site, so nothing is delivered." in text
    # The dispatcher of the tests is “none”.
    assert "run “manage.py reciprocal_deliver --loop 5” as a service" in text


@pytest.mark.threat("R77")
def test_the_worker_is_gone(peer: Peer, worker: Heartbeat) -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=10))

    status, text = run()

    assert status == 1
    assert "command on worker-1, seen 10 min ago (missing)" in text
    assert "No worker has run since 20" in text


def test_a_worker_runs_and_takes_nothing(peer: Peer, worker: Heartbeat) -> None:
    row(peer, next_attempt_at=timezone.now() - timedelta(hours=1))

    ((code, remedy),) = problems()

    assert code == "overdue"
    assert "Look at the log of the workers" in remedy


def test_deliveries_have_failed(peer: Peer, worker: Heartbeat) -> None:
    failed(peer)

    ((code, remedy),) = problems()
    assert code == "failed"
    assert "reciprocal_handovers resend --failed" in remedy

    OutboxItem.objects.update(finished_at=timezone.now() - timedelta(hours=3))
    assert problems("--since", "2") == []
    assert [code for code, _ in problems("--since", "4")] == ["failed"]


def test_codes_of_a_peer_were_not_redeemed(peer: Peer, link_as_a: Link, worker: Heartbeat) -> None:
    now = timezone.now()
    ended = {"state": State.FAILED, "next_attempt_at": None, "finished_at": now}
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash=hash_of("code"), **ended)

    ((code, remedy),) = problems()

    assert code == "failed"
    assert "reciprocal_handovers list --incoming --state failed" in remedy


def test_a_peer_is_paused(peer: Peer, worker: Heartbeat) -> None:
    values = {"paused_at": timezone.now(), "paused_reason": Reason.CREDENTIALS_REFUSED}
    Peer.objects.filter(pk=peer.pk).update(**values)
    row(peer, next_attempt_at=timezone.now() - timedelta(hours=1))

    assert [code for code, _ in problems()] == ["paused"]
    _, text = run()
    assert f"Nothing is delivered to {peer.slug} since 20" in text
    assert f"reciprocal_peer resume {peer.slug}" in text
    assert "0 due, 0 overdue, 1 on hold" in text


def test_a_key_is_missing(peer: Peer, worker: Heartbeat, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"ENCRYPTION_KEYS": ["1" * 43 + "="]}

    ((code, remedy),) = problems()

    assert code == "unreadable"
    assert "ENCRYPTION_KEYS" in remedy


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"state": "accepted"}, "Run “reciprocal_pair confirm music”."),
        ({"state": "complete", "last_error": "refused"}, "Run “reciprocal_pair show music”."),
    ],
)
def test_a_pairing_stands_still(worker: Heartbeat, values: dict[str, str], remedy: str) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    Pairing.objects.create(role="inviter", slug="music", expires_at=tomorrow, **values)

    assert problems() == [("pairing", remedy)]


def test_people_cannot_connect(user: Any, peer: Peer, worker: Heartbeat) -> None:
    for problem in ("scope", "denied", "too_late"):
        AuthorizationRequest.objects.create(
            user=user, peer=peer, state_hash=problem, problem=problem
        )

    ((code, remedy),) = problems()
    assert code == "connecting"
    assert f"reciprocal_peer test {peer.slug}" in remedy
    # Those that are no mistake of the configuration are shown all the same.
    assert f"{peer.slug}: 1 denied" in run()[1]


def test_broken_links_are_shown_and_are_no_problem(link_as_a: Link, worker: Heartbeat) -> None:
    """The people are told, and only they can connect again."""
    Link.objects.update(outgoing_state="broken", outgoing_reason=Reason.REFRESH_REFUSED)

    status, text = run()

    assert (status, "1 outgoing, 0 incoming" in text) == (0, True)


def test_the_document_for_programs(peer: Peer, worker: Heartbeat) -> None:
    failed(peer)

    status, document = run("--json")
    found = json.loads(document)

    assert status == 1
    assert found["status"] == "unhealthy"
    assert found["dispatcher"] == "none"
    assert [each["name"] for each in found["queues"]] == ["outbox", "inbox"]
    assert found["queues"][0]["failed"] == 1
    assert found["queues"][0]["oldest_due_seconds"] is None
    assert found["workers"][0]["host"] == "worker-1"
    assert found["worker_missing"] is False
    assert found["problems"][0]["text"].startswith("1 of the deliveries to peers failed since 20")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_database_is_down(arguments: tuple[str, ...]) -> None:
    def fail(*rest: Any) -> None:
        raise OperationalError("connection refused\nIs the server running?")

    with connection.execute_wrapper(fail):
        status, text = run(*arguments)

    assert status == 2
    assert "(OperationalError: connection refused)" in text
    if arguments:
        assert json.loads(text)["status"] == "unknown"
        assert [each["code"] for each in json.loads(text)["problems"]] == ["database"]


def test_a_setting_is_of_the_wrong_type(peer: Peer, worker: Heartbeat, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "WORKER_MISSING_SECONDS": "300"}

    status, text = run()

    assert status == 2
    assert "WORKER_MISSING_SECONDS" in text
    assert "Correct the setting." in text


def test_a_setting_is_wrong(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = ["DISPATCHER"]

    status, text = run()

    assert status == 2
    assert "RECIPROCAL_OAUTH must be a dict of settings, not list." in text


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e9", "soon"])
def test_a_period_that_is_none(hours: str) -> None:
    with pytest.raises(CommandError, match="is not a number of hours above 0"):
        run("--since", hours)


def test_nothing_secret_is_printed(peer: Peer, link_as_a: Link, worker: Heartbeat) -> None:
    row(peer, token=Secret("token-to-revoke"))
    Peer.objects.filter(pk=peer.pk).update(paused_at=timezone.now(), paused_reason="gone")

    for _status, text in (run(), run("--json")):
        for secret in (PEER_SECRET, "token-to-revoke", link_as_a.access_token.reveal()):
            assert secret not in text


class TestOtherCommands:
    """They say that no worker runs, where it explains what they show."""

    def output(self, *arguments: str) -> str:
        err = io.StringIO()
        call_command(*arguments, stdout=io.StringIO(), stderr=err)
        return err.getvalue()

    def test_reciprocal_handovers_list(self, peer: Peer) -> None:
        failed(peer)
        assert self.output("reciprocal_handovers", "list") == ""

        row(peer)
        told = self.output("reciprocal_handovers", "list")
        assert "No worker has ever run at this site, so nothing is delivered." in told
        assert self.output("reciprocal_handovers", "list", "--state", "failed") == ""
        assert self.output("reciprocal_handovers", "list", "--json") == ""

        Heartbeat.objects.create(kind="command", host="worker-1", seen_at=timezone.now())
        assert self.output("reciprocal_handovers", "list") == ""

    def test_reciprocal_deliver_once(self, peer: Peer) -> None:
        assert self.output("reciprocal_deliver") == ""

        row(peer, next_attempt_at=timezone.now() + timedelta(hours=1))
        told = self.output("reciprocal_deliver", "--once")
        assert "what is left waits for the next run" in told
        assert "reciprocal_deliver --loop 5" in told

        Heartbeat.objects.create(kind="command", host="worker-1", seen_at=timezone.now())
        assert self.output("reciprocal_deliver") == ""
