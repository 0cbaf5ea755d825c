"""``reciprocal_deliver``: once, and until told to stop."""

import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from reciprocal_oauth.delivery import engine, queue
from reciprocal_oauth.models import InboxItem, Link, OutboxItem
from tests.fakes import FakePeer, Received, Reply


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("reciprocal_deliver", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt. In the background of a shell, Python leaves it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
        "In the queues: 1 pending, 0 claimed, 0 accepted, 0 failed.",
    ]
    assert len(fake_peer.to("/revoke/")) == 1


def test_what_is_left_as_json(link_as_a: Link) -> None:
    peer, state = link_as_a.peer, OutboxItem.State
    later = timezone.now() + timezone.timedelta(hours=1)
    for each in (
        state.PENDING,
        state.ACCEPTED,
        state.FAILED,
        state.FAILED,
        state.DONE,
        state.CANCELLED,
    ):
        wait_for_revocation(link_as_a, state=each, next_attempt_at=later)
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="1", next_attempt_at=later)
    InboxItem.objects.create(peer=peer, link=link_as_a, code_hash="2", state=state.FAILED)

    assert json.loads(run("--json")) == {
        "attempts": 0,
        "pending": 2,
        "claimed": 0,
        "accepted": 1,
        "failed": 3,
    }


@pytest.mark.usefixtures("shared_database")
class TestTheLoop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_delivers_until_a_signal_comes(
        self, number: int, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        before = signal.getsignal(number)
        row = wait_for_revocation(link_as_a)

        def answer(received: Received) -> Reply:
            os.kill(os.getpid(), number)
            return Reply()

        fake_peer.answers["/revoke/"] = answer

        text = run("--loop", "0.05")

        row.refresh_from_db()
        assert row.state == OutboxItem.State.DONE  # What is in the air is finished.
        assert text.splitlines() == ["Delivering every 0.05 s. Press Ctrl-C to stop.", "Stopped."]
        assert signal.getsignal(number) == before

    def test_it_finds_what_comes_due_while_it_runs(
        self, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        asked = threading.Semaphore(0)

        def answer(received: Received) -> Reply:
            asked.release()
            return Reply()

        def add_then_end() -> None:
            for _ in range(2):
                wait_for_revocation(link_as_a)
                assert asked.acquire(timeout=10)
            connections.close_all()
            os.kill(os.getpid(), signal.SIGTERM)

        fake_peer.answers["/revoke/"] = answer
        threading.Thread(target=add_then_end).start()

        run("--loop", "0.05")

        assert len(fake_peer.to("/revoke/")) == 2

    def test_a_long_pause_ends_with_a_signal(self) -> None:
        usual = signal.getsignal(signal.SIGTERM)

        def end() -> None:
            # Before the command handles the signal, it would end the tests.
            while signal.getsignal(signal.SIGTERM) == usual:
                time.sleep(0.01)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end, daemon=True).start()
        begun = timezone.now()

        document = json.loads(run("--loop", "600", "--json"))

        assert (timezone.now() - begun).total_seconds() < 30
        assert document == {"stopped": True}

    @pytest.mark.threat("R2")
    def test_what_hangs_is_given_back_to_be_claimed_at_once(
        self, link_as_a: Link, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "STOP_SECONDS", 0.2)
        row = wait_for_revocation(link_as_a)
        over = threading.Event()

        def hang(received: Received) -> Reply:
            os.kill(os.getpid(), signal.SIGTERM)
            over.wait(10)
            return Reply()

        fake_peer.answers["/revoke/"] = hang

        try:
            run("--loop", "600")

            row.refresh_from_db()
            assert (row.state, row.attempts) == (OutboxItem.State.PENDING, 1)
            assert (row.lease_owner, row.lease_until) == (None, None)
            assert queue.claim(OutboxItem, 1) == [row]
        finally:
            over.set()

    @pytest.mark.usefixtures("interruptible")
    def test_a_second_signal_ends_at_once(self, link_as_a: Link, fake_peer: FakePeer) -> None:
        """What the first one leaves to be finished may take a while."""
        wait_for_revocation(link_as_a)
        over = threading.Event()
        before = signal.getsignal(signal.SIGINT)

        def hang(received: Received) -> Reply:
            os.kill(os.getpid(), signal.SIGINT)
            # Two at once would count as one.
            while signal.getsignal(signal.SIGINT) is not before:
                time.sleep(0.01)
            # Not within the first one's handler, nor what garbage collection calls and ignores.
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
            over.wait(10)
            return Reply()

        fake_peer.answers["/revoke/"] = hang

        try:
            with pytest.raises(KeyboardInterrupt):
                run("--loop", "600")
        finally:
            over.set()


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_a_bad_pause(seconds: str) -> None:
    with pytest.raises(CommandError, match="number of seconds"):
        run("--loop", seconds)


def test_once_and_for_ever() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        run("--once", "--loop", "1")
