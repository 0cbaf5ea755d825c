"""``reciprocal_deliver``: once, and until told to stop."""

import io
import json
import os
import signal
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, OutboxItem
from tests.fakes import FakePeer


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("reciprocal_deliver", *arguments, stdout=out, **options)
    return out.getvalue()


def wait_for_revocation(link: Link, **values: Any) -> OutboxItem:
    """A row of the outbox that needs one request."""
    return OutboxItem.objects.create(
        **{
            "kind": OutboxItem.Kind.REVOCATION,
            "peer": link.peer,
            "link": link,
            "token": "token-to-revoke",
            **values,
        }
    )


@pytest.mark.parametrize("arguments", [(), ("--once",)])
def test_what_is_due_is_delivered_once(
    link_as_a: Link, fake_peer: FakePeer, arguments: tuple[str, ...]
) -> None:
    fake_peer.answers["/revoke/"] = fake_peer.answers["/token/"]
    wait_for_revocation(link_as_a)
    wait_for_revocation(link_as_a, next_attempt_at=timezone.now() + timezone.timedelta(hours=1))

    text = run(*arguments)

    assert text.splitlines() == [
        "1 attempt made.",
        "In the queues: 1 pending, 0 claimed, 0 accepted, 0 dead.",
    ]
    assert len(fake_peer.to("/revoke/")) == 1


def test_what_is_left_as_json(link_as_a: Link) -> None:
    peer, state = link_as_a.peer, OutboxItem.State
    later = timezone.now() + timezone.timedelta(hours=1)
    for each in (
        state.PENDING,
        state.ACCEPTED,
        state.DEAD,
        state.DEAD,
        state.DONE,
        state.CANCELLED,
    ):
        wait_for_revocation(link_as_a, state=each, next_attempt_at=later)
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="1", next_attempt_at=later)
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="2", state=state.DEAD)

    assert json.loads(run("--json")) == {
        "attempts": 0,
        "pending": 2,
        "claimed": 0,
        "accepted": 1,
        "dead": 3,
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_ends_with_a_signal(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(number)
    rounds = []

    def drain() -> int:
        rounds.append(threading.current_thread())
        if len(rounds) == 3:
            os.kill(os.getpid(), number)
        return 0

    monkeypatch.setattr(worker, "drain", drain)

    text = run("--loop", "0.01")

    assert len(rounds) >= 3
    assert set(rounds) == {threading.main_thread()}
    assert text.splitlines() == ["Delivering every 0.01 s. Ctrl-C ends it.", "Stopped."]
    assert signal.getsignal(number) == before


@pytest.mark.django_db(transaction=True)
def test_a_long_pause_ends_with_a_signal() -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    begun = timezone.now()

    document = json.loads(run("--loop", "600", "--json"))

    assert (timezone.now() - begun).total_seconds() < 30
    assert document == {"stopped": True}


@pytest.mark.django_db(transaction=True)
def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first one leaves to be finished may take a while."""

    def drain() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 0

    monkeypatch.setattr(worker, "drain", drain)

    with pytest.raises(KeyboardInterrupt):
        run("--loop", "600")


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_a_bad_pause(seconds: str) -> None:
    with pytest.raises(CommandError, match="number of seconds"):
        run("--loop", seconds)


def test_once_and_for_ever() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        run("--once", "--loop", "1")
