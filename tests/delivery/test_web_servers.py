"""The default dispatcher under servers that fork, end and reload: gunicorn and ``runserver``."""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings

from example_project.servers import free_ports
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import InboxItem, OutboxItem

from ..conftest import PEER_SECRET
from ..fakes import FakePeer, Received, Reply
from .processes import Process, running, soon, url_of_the_database

pytestmark = [
    pytest.mark.usefixtures("shared_database"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc"),
    pytest.mark.skipif(
        hasattr(django_settings, "OAUTH2_PROVIDER_APPLICATION_MODEL"),
        reason="the sites of these tests have the models of django-oauth-toolkit",
    ),
]

MakeRow = Callable[..., OutboxItem]
State = OutboxItem.State
#: It sweeps once a minute: what happens sooner has another cause.
SETTINGS = {"DISPATCHER": "thread", "DISPATCHER_SWEEP_SECONDS": 60.0}


#: Has gunicorn say which of our threads there are: in a worker after each request, in the arbiter
#: at the end.
HOOKS = """
import threading

def ours():
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("reciprocal"))

def post_request(worker, request, environ, response):
    print("In worker", worker.pid, ours(), flush=True)

def on_exit(server):
    print("In the arbiter", ours(), flush=True)
"""


class Server:
    """A site and its process."""

    def __init__(self, port: int, process: Process) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def get(self) -> int:
        return requests.get(f"{self.url}/no-such-page/", timeout=20).status_code

    def answers(self) -> bool:
        try:
            return self.get() == 404
        except requests.ConnectionError:
            return False


def _env() -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "tests.delivery.site_settings",
        "TEST_DATABASE_URL": url_of_the_database(),
        "TEST_RECIPROCAL_OAUTH": json.dumps(SETTINGS),
    }


@pytest.fixture(params=["sync", "gthread"])
def gunicorn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The app is loaded before the fork; two workers."""
    pytest.importorskip("gunicorn")
    (port,) = free_ports(1)
    options = ["--preload", "--workers=2", f"--worker-class={request.param}"]
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    command = [sys.executable, "-m", "gunicorn", *options, f"--bind=127.0.0.1:{port}"]
    command.append(f"--config={hooks}")
    if request.param == "gthread":
        command.append("--threads=2")
    command.append("django.core.wsgi:get_wsgi_application()")
    with running(command, _env(), tmp_path / "gunicorn.log") as process:
        process.until(lambda: process.written().count("Booting worker") == 2)
        yield Server(port, process)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.threat("R21")
def test_rows_left_from_before_are_delivered_in_workers_and_never_in_the_arbiter(
    gunicorn: Server, make_row: MakeRow, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    rows = [make_row() for _ in range(5)]

    assert gunicorn.get() == 404

    soon(lambda: OutboxItem.objects.filter(state=State.DONE).count() == len(rows))
    assert len(fake_peer.to("/revoke/")) == len(rows)
    assert gunicorn.process.end() == 0
    assert "In the arbiter []" in gunicorn.process.written()


@pytest.mark.threat("R21")
def test_every_worker_that_serves_has_threads_of_its_own(gunicorn: Server) -> None:
    def workers_with_threads() -> set[str]:
        gunicorn.get()
        return set(re.findall(r"In worker (\d+) \['reciprocal", gunicorn.process.written()))

    soon(lambda: len(workers_with_threads()) == 2)
    assert str(gunicorn.process.pid) not in workers_with_threads()
    assert re.search(r"In worker \d+ \[\]", gunicorn.process.written()) is None


@pytest.mark.threat("R21")
def test_what_a_request_brings_is_done_by_a_thread_of_its_worker(
    gunicorn: Server, token_of_a: Any, application: Any, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply()

    answer = requests.post(
        f"{gunicorn.url}/o/token/",
        {
            "grant_type": GRANT_TYPE,
            "code": "code-of-party-a",
            "client_id": application.client_id,
            "access_token": token_of_a.raw,
        },
        auth=(application.client_id, PEER_SECRET),
        timeout=20,
    )

    assert answer.status_code == 200
    soon(lambda: InboxItem.objects.get().state == State.DONE)
    assert len(fake_peer.to("/token/")) == 1
    assert gunicorn.process.end() == 0
    assert "In the arbiter []" in gunicorn.process.written()


@pytest.mark.threat("R21", "R2")
def test_a_peer_that_hangs_does_not_keep_it_from_ending(
    gunicorn: Server, make_row: MakeRow, fake_peer: FakePeer
) -> None:
    over = threading.Event()

    def hang(received: Received) -> Reply:
        over.wait(60)
        return Reply()

    fake_peer.answers["/revoke/"] = hang
    make_row()
    gunicorn.get()
    soon(lambda: fake_peer.to("/revoke/"))

    try:
        # Well before the 30 seconds after which gunicorn would kill its workers.
        assert gunicorn.process.end(within=25) == 0
        assert "SIGKILL" not in gunicorn.process.written()
        assert OutboxItem.objects.get().state == State.PENDING, "given back, for the next process"
    finally:
        over.set()


@pytest.mark.threat("R21")
def test_the_process_that_reloads_has_no_threads(
    make_row: MakeRow, fake_peer: FakePeer, tmp_path: Path
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    make_row()
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{port}"]

    with running(command, _env(), tmp_path / "runserver.log") as process:
        process.until(Server(port, process).answers)
        soon(lambda: OutboxItem.objects.get().state == State.DONE)

        assert _threads(process.pid) == 1
        assert len(_children(process.pid)) == 1
    assert len(fake_peer.to("/revoke/")) == 1
