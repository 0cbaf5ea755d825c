"""The default dispatcher in processes of their own: after a fork, in commands, at the end."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from reciprocal_oauth.models import OutboxItem, Peer

from ..fakes import FakePeer, Reply
from .processes import url_of_the_database

pytestmark = pytest.mark.usefixtures("shared_database")

BEGINNING = """
import os, sys, threading, time
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from reciprocal_oauth.delivery.dispatchers import get_dispatcher
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.secret import Secret

settings.RECIPROCAL_OAUTH = {
    "DISPATCHER": "thread", "HTTP_ALLOW_LOOPBACK": True, "DISPATCHER_SWEEP_SECONDS": 60.0
}

def our_threads():
    return [each.name for each in threading.enumerate() if each.name.startswith("reciprocal")]

def add_row():
    OutboxItem.objects.create(
        kind="revocation", peer=Peer.objects.get(), token=Secret("token-to-revoke")
    )

def wait_until_done():
    end = time.monotonic() + 15
    while OutboxItem.objects.exclude(state="done").exists():
        assert time.monotonic() < end, "not done in time"
        time.sleep(0.02)
"""

Run = Callable[[str], str]


@pytest.fixture
def run(peer: Peer, fake_peer: FakePeer) -> Run:
    """Runs a script in a process of its own, on this test's database; gives what it prints."""
    fake_peer.answers["/revoke/"] = Reply()

    def start(script: str) -> str:
        ended = subprocess.run(
            # Python warns of forks where there are threads: they are what is tested.
            [sys.executable, "-W", "ignore", "-c", BEGINNING + textwrap.dedent(script)],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "TEST_DATABASE_URL": url_of_the_database(),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return start


@pytest.mark.threat("R21")
def test_a_process_that_is_forked_off_starts_its_own_threads(run: Run, fake_peer: FakePeer) -> None:
    printed = run("""
        get_dispatcher().request_started()
        time.sleep(0.5)  # The parent has swept, and sleeps for a minute.
        print("parent", our_threads(), flush=True)
        connections.close_all()
        if os.fork() == 0:
            print("child before", our_threads(), flush=True)
            add_row()
            get_dispatcher().wake()
            wait_until_done()
            print("child after", our_threads()[0], flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
    """)

    assert printed.splitlines() == [
        "parent ['reciprocal-dispatcher']",
        "child before []",
        "child after reciprocal-dispatcher",
    ]
    assert len(fake_peer.to("/revoke/")) == 1


@pytest.mark.threat("R21")
def test_a_process_that_is_forked_off_while_threads_are_started_does_not_wait_for_them(
    run: Run, fake_peer: FakePeer
) -> None:
    """The locks of a thread of the parent would stay locked in the child for ever."""
    run("""
        import signal
        from reciprocal_oauth.delivery import dispatchers
        dispatcher = get_dispatcher()
        with dispatchers._creation_lock, dispatcher._lock:
            if os.fork() == 0:
                signal.alarm(30)
                add_row()
                get_dispatcher().wake()
                wait_until_done()
                os._exit(0)
        assert os.wait()[1] == 0
    """)

    assert len(fake_peer.to("/revoke/")) == 1


@pytest.mark.threat("R77")
def test_a_process_that_is_forked_off_gives_signs_of_life_of_its_own(run: Run) -> None:
    printed = run("""
        from reciprocal_oauth.delivery.heartbeat import Kind, beat
        from reciprocal_oauth.models import Heartbeat
        beat(Kind.THREAD)
        Heartbeat.objects.all().delete()
        beat(Kind.THREAD)
        print("parent", Heartbeat.objects.count(), flush=True)
        connections.close_all()
        if os.fork() == 0:
            beat(Kind.THREAD)
            print("child", Heartbeat.objects.count(), flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
    """)

    assert printed.splitlines() == ["parent 0", "child 1"]


@pytest.mark.threat("R21")
def test_commands_that_save_nothing_start_no_threads(run: Run) -> None:
    printed = run("""
        call_command("check")
        call_command("showmigrations", stdout=open(os.devnull, "w"))
        call_command("migrate", verbosity=0)
        print(our_threads(), threading.active_count())
    """)

    assert printed.splitlines()[-1] == "[] 1"


@pytest.mark.threat("R21")
def test_a_process_that_ends_at_once_loses_no_row_and_does_not_hang(
    run: Run, fake_peer: FakePeer
) -> None:
    run("""
        add_row()
        get_dispatcher().wake()
    """)

    row = OutboxItem.objects.get()
    assert row.state in (
        OutboxItem.State.PENDING,
        OutboxItem.State.CLAIMED,
        OutboxItem.State.DONE,
    )
    if row.state == OutboxItem.State.DONE:
        assert len(fake_peer.to("/revoke/")) == 1


def test_a_process_finishes_what_it_has_begun_before_it_ends(run: Run, fake_peer: FakePeer) -> None:
    def slow(received: object) -> Reply:
        time.sleep(0.5)
        return Reply()

    fake_peer.answers["/revoke/"] = slow

    run("""
        add_row()
        get_dispatcher().wake()
        while not any("delivery" in each for each in our_threads()):
            time.sleep(0.005)
        time.sleep(0.1)
    """)

    assert OutboxItem.objects.get().state == OutboxItem.State.DONE
