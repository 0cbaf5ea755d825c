"""Everything that delivers, at once, on the same rows."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from reciprocal_oauth.delivery.dispatchers import ThreadDispatcher
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply
from .celery_worker import BROKERS, app_of_the_site, worker_beside
from .processes import running, soon, url_of_the_database

pytestmark = pytest.mark.usefixtures("shared_database")

State = OutboxItem.State
ROWS, PEERS = 100, 5


class Crowd:
    """A peer's answer that waits until so many have come at once."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.gathered = threading.Event()
        self._present = 0
        self._lock = threading.Lock()

    def __call__(self, received: Received) -> Reply:
        with self._lock:
            self._present += 1
            if self._present == self.wanted:
                self.gathered.set()
        self.gathered.wait(10)
        with self._lock:
            self._present -= 1
        return Reply()


@pytest.mark.threat("R13", "R19")
@pytest.mark.parametrize("broker", ["", *BROKERS], ids=lambda url: url.partition(":")[0] or "none")
def test_threads_command_and_celery_send_each_row_once(
    broker: str,
    settings: Settings,
    fake_peer: FakePeer,
    make_peer: Callable[..., Peer],
    tmp_path: Path,
) -> None:
    """They may run side by side, as when one takes the place of another."""
    # More at once than the 8 threads here and the 8 of the command can be: so all take part.
    crowd = Crowd(17 if broker else 9)
    fake_peer.answers["/revoke/"] = crowd
    peers = [make_peer(f"peer-{number}", fake_peer.url) for number in range(PEERS)]
    env = {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TEST_DATABASE_URL": url_of_the_database(),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "django", "reciprocal_deliver", "--loop", "0.2"]
    threads = ThreadDispatcher()

    with ExitStack() as stack:
        loop = stack.enter_context(running(command, env, tmp_path / "command.log"))
        soon(lambda: "Delivering" in loop.written())
        if broker:
            settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DISPATCHER": "celery"}
            app = stack.enter_context(app_of_the_site(broker))
            worker = stack.enter_context(worker_beside(app, tmp_path, "--beat", LEASE_SECONDS=60.0))
            soon(lambda: " ready." in worker.written())
        OutboxItem.objects.bulk_create(
            OutboxItem(
                kind=OutboxItem.Kind.REVOCATION,
                peer=peers[number % PEERS],
                token=Secret(f"token-{number}"),
            )
            for number in range(ROWS)
        )
        threads.start(0.2)
        stack.callback(threads.stop)

        soon(lambda: not OutboxItem.objects.exclude(state=State.DONE).exists(), within=60)

    assert crowd.gathered.is_set(), "not all of them have taken part"
    sent = Counter(each.form["token"] for each in fake_peer.to("/revoke/"))
    assert sent == {f"token-{number}": 1 for number in range(ROWS)}
