"""The database goes away in the middle of the work, and comes back: R10.

The servers are of these tests alone: others may be at work on those that the suite uses.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.servers import free_ports

from ..fakes import FakePeer, Reply

ROWS = int(os.environ.get("RESTART_ROWS") or 0)
RESTARTS = 5
pytestmark = pytest.mark.skipif(
    not ROWS, reason="starts database servers of its own; set RESTART_ROWS, to 300 or more"
)
#: How long a worker may take to start, or to go on after its database is back.
SECONDS_TO_GO_ON = 20

BEGINNING = """
import sys
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.secret import Secret

settings.RECIPROCAL_OAUTH = {
    "DISPATCHER": "none",
    "HTTP_ALLOW_LOOPBACK": True,
    "LEASE_SECONDS": 2,
    "RETRY_SCHEDULE_SECONDS": [0, *[0.2] * 9],
}
"""
PREPARE = """
from oauth2_provider.models import get_application_model

call_command("migrate", verbosity=0)
application = get_application_model().objects.create(
    client_id="music", client_type="confidential", authorization_grant_type="authorization-code"
)
peer = Peer.objects.create(
    slug="music", name="Music", client_id="us", client_secret=Secret("ours"),
    authorization_endpoint=f"{url}/authorize/", token_endpoint=f"{url}/token/",
    revocation_endpoint=f"{url}/revoke/", application=application,
)
OutboxItem.objects.bulk_create(
    OutboxItem(kind="revocation", peer=peer, token=Secret(f"token-{number}"))
    for number in range(rows)
)
"""
DELIVER = 'call_command("reciprocal_deliver", "--loop", "0.2")'
REPORT = """
from collections import Counter
print(dict(Counter(OutboxItem.objects.values_list("state", flat=True))))
"""


class Server(ABC):
    """A database server in a directory of its own, run by the account that the system has for it:
    root may not."""

    account: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (self.port,) = free_ports(1)
        if os.geteuid() == 0:
            shutil.chown(directory, self.account)

    def run(self, *command: str) -> None:
        subprocess.run(
            self._as_account(command), env=self._env(), check=True, capture_output=True, cwd="/"
        )

    def start_process(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                self._as_account(command),
                env=self._env(),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
            )

    def _env(self) -> dict[str, str]:
        # Ours may be a directory that the account may not enter.
        return {**os.environ, "TMPDIR": str(self.directory)}

    def _as_account(self, command: tuple[str, ...]) -> list[str]:
        prefix = ["setpriv", "--reuid", self.account, "--regid", self.account, "--clear-groups"]
        return [*(prefix if os.geteuid() == 0 else []), *command]

    def wait(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def crash_and_start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...


class PostgreSQL(Server):
    account = "postgres"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        found = shutil.which("pg_ctl") or next(
            iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))), None
        )
        if found is None:
            pytest.skip("needs the server programs of PostgreSQL (pg_ctl, initdb)")
        self.bin = Path(found).parent
        self.data = directory / "data"
        self.run(
            str(self.bin / "initdb"), "-D", str(self.data), "-A", "trust", "-U", "postgres", "-N"
        )

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        self._control("start")

    def crash_and_start(self) -> None:
        self._control("stop", "-m", "immediate")
        self.start()

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        options = f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1"
        self.run(
            str(self.bin / "pg_ctl"),
            *("-D", str(self.data), "-w", "-o", options, "-l", str(self.directory / "log")),
            *arguments,
        )


class MariaDB(Server):
    account = "mysql"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
            pytest.skip("needs the server programs of MariaDB (mariadbd, mariadb-install-db)")
        self.data = directory / "data"
        self.run(
            "mariadb-install-db",
            *(
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
            ),
        )

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/test"

    def start(self) -> None:
        self._process = self.start_process(
            "mariadbd",
            "--no-defaults",
            f"--datadir={self.data}",
            f"--port={self.port}",
            f"--socket={self.directory / 'socket'}",
            "--bind-address=127.0.0.1",
        )
        self.wait()

    def crash_and_start(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=[PostgreSQL, MariaDB], ids=["PostgreSQL", "MariaDB"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    # Not in pytest's directory, which other accounts may not enter.
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as directory:
        server: Server = request.param(Path(directory))
        server.start()
        yield server
        server.stop()


def _python(server: Server, script: str, **names: Any) -> list[str]:
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    return [sys.executable, "-c", BEGINNING + given + textwrap.dedent(script)]


def _run(server: Server, script: str, **names: Any) -> str:
    ended = subprocess.run(
        _python(server, script, **names),
        env=_environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _environment(server: Server) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": server.url,
    }


def _wait_for(fake_peer: FakePeer, count: int) -> None:
    """Wait until the peer has got ``count`` requests. Fail if no further one comes for a while."""
    seen, end = -1, 0.0
    while (came := len(fake_peer.requests)) < count:
        if came != seen:
            seen, end = came, time.monotonic() + SECONDS_TO_GO_ON
        assert time.monotonic() < end, f"stands still at {came} requests"
        time.sleep(0.02)


@pytest.mark.threat("R10")
def test_a_worker_goes_on_after_its_database_has_crashed_and_loses_nothing(
    server: Server, fake_peer: FakePeer, tmp_path: Path
) -> None:
    fake_peer.answers["/revoke/"] = Reply()
    _run(server, PREPARE, url=fake_peer.url, rows=ROWS)
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            _python(server, DELIVER),
            env=_environment(server),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for crash in range(1, RESTARTS + 1):
            _wait_for(fake_peer, ROWS * crash // (RESTARTS + 2))
            server.crash_and_start()
            before = len(fake_peer.requests)
            _wait_for(fake_peer, before + 1)
        end = time.monotonic() + 180
        while (states := _run(server, REPORT).strip()) != str({"done": ROWS}):
            assert time.monotonic() < end, f"{states}\n{log.read_text()[-5000:]}"
            assert worker.poll() is None, log.read_text()[-5000:]
    finally:
        worker.terminate()
        assert worker.wait(15) == 0

    told = {received.form["token"] for received in fake_peer.to("/revoke/")}
    assert told == {f"token-{number}" for number in range(ROWS)}
    # What was in the air when the database went away is told again: four of a peer at most.
    assert len(fake_peer.requests) <= ROWS + 4 * RESTARTS
