"""Runs the two example sites in processes of their own. The demo and the tests use this module to
prepare and start the sites, to run commands in them, and to stop them.

::

    assistant, music = two_sites(Path("/tmp/two-sites"))
    with running(assistant, music, prepare=True):
        print(assistant.url, assistant.manage_json("reciprocal_links", "--json"))

The process that imports this module needs no Django settings.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from .roles import ASSISTANT, MUSIC, Role

MANAGE_PY = Path(__file__).resolve().parent.parent / "manage.py"
HOST = "127.0.0.1"

START_SECONDS = 120
STOP_SECONDS = 5
COMMAND_SECONDS = 120


class SiteError(Exception):
    """A site could not be started, or a command in it failed. ``str()`` contains the output."""


class Site:
    """One of the two sites, with its process, its database and its log.

    :ivar other: the other one of the two sites.
    :ivar reached_at: the base URL at which the server of the other site calls this site. Tests can
        replace it by the URL of a proxy, but only before the other site is prepared.
    :ivar client_id: the client ID of this site at the other site.
    :ivar client_secret: the client secret of this site at the other site.
    :ivar env: the environment variables of the process; see the module ``settings``. Changes after
        the start of the process have no effect on it.
    """

    other: "Site"

    def __init__(
        self,
        role: Role,
        data: Path,
        *,
        port: int | None = None,
        host: str = HOST,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.role = role
        self.port = port or role.port
        self.data = data.resolve()
        self.url = self.reached_at = f"http://{host}:{self.port}"
        self.issuer = f"{self.url}/o"
        self.database_path = self.data / f"{role.slug}.sqlite3"
        self.log_path = self.data / f"{role.slug}.log"
        self.client_id = f"{role.slug}-at-{role.other.slug}"
        self.client_secret = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DJANGO_DEBUG": "1",
            "EXAMPLE_SITE": role.slug,
            "EXAMPLE_DATA": str(self.data),
            "EXAMPLE_FAST_PASSWORDS": "1",
            "EXAMPLE_ISSUER": self.issuer,
            "DATABASE_URL": f"sqlite:///{self.database_path}",
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }

    def __str__(self) -> str:
        return self.role.name

    # Commands

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run a ``manage.py`` command with the settings of the site, and return its output.

        :raises SiteError: the command failed or took too long.
        """
        try:
            result = subprocess.run(
                [sys.executable, MANAGE_PY, *arguments],
                env=self.env,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise SiteError(f"{self}: {arguments[0]} took over {COMMAND_SECONDS} s.") from late
        if result.returncode:
            raise SiteError(f"{self}: {arguments[0]} failed:\n{result.stderr.strip()}")
        return result.stdout

    def manage_json(self, *arguments: str) -> Any:
        """Run a ``manage.py`` command that prints JSON, and return the parsed value.

        :raises SiteError: the command failed, or its output is not JSON.
        """
        printed = self.manage(*arguments)
        try:
            return json.loads(printed)
        except ValueError as error:
            raise SiteError(f"{self}: {arguments[0]} printed no JSON:\n{printed}") from error

    def prepare(self) -> None:
        """Create the tables and the users of the demo if they do not exist. Then add or update the
        other site as a peer, with the same command that an administrator uses.

        :raises SiteError: one of the commands failed.
        """
        self.manage("run_all", stdin=json.dumps(self._preparations()))

    def _preparations(self) -> list[list[str]]:
        return [
            ["migrate", "--verbosity=0"],
            ["create_demo_users"],
            ["reciprocal_peer", "add", self.role.other.slug, *self._peer_flags()],
        ]

    def _peer_flags(self) -> list[str]:
        role, other = self.role, self.other
        openid = ["openid"] if self.env.get("EXAMPLE_OIDC") == "1" else []
        flags = {
            "--name": other.role.name,
            "--homepage": f"{other.url}/",
            "--issuer": other.issuer,
            "--authorization-endpoint": f"{other.issuer}/authorize/",
            "--token-endpoint": f"{other.reached_at}/o/token/",
            "--revocation-endpoint": f"{other.reached_at}/o/revoke_token/",
            "--client-id": self.client_id,
            "--client-secret": self.client_secret,
            "--scope": " ".join([*openid, role.scope]),
            "--reciprocal-scope": role.reciprocal_scope,
            "--allowed-scope": " ".join([*openid, *role.scopes]),
            "--preconfigured-scope": role.preconfigured_scope,
            "--application-client-id": other.client_id,
            "--application-client-secret": other.client_secret,
            "--redirect-uri": f"{other.url}/connections/{role.slug}/callback/",
        }
        # --accept-changes is needed for a database from an earlier run, because the other site may
        # now use another port. --revoke-replaced is safe: when a token is revoked at
        # django-oauth-toolkit, the tokens of newer connections keep working.
        switches = ("--accept-changes", "--sends-iss", "--revoke-replaced")
        # The flag and its value are one argument: as an argument of its own, a secret that begins
        # with a hyphen would look like a flag.
        return [*switches, *(f"{flag}={value}" for flag, value in flags.items())]

    # The process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, prepare: bool = False) -> None:
        """Start the process of the server. The server accepts requests a little later; see
        :meth:`wait_until_ready`.

        :param prepare: whether the same process first does what :meth:`prepare` does. This is
            faster than two processes.
        :raises SiteError: another process uses the port, or the site is running already.
        """
        if self.is_running:
            raise SiteError(f"{self} is running already.")
        if not port_is_free(self.port):
            raise SiteError(f"Port {self.port} is taken.")
        commands = self._preparations() if prepare else []
        commands.append(["runserver", "--noreload", f"{HOST}:{self.port}"])
        with self.log_path.open("ab") as log, tempfile.TemporaryFile("w+") as stdin:
            json.dump(commands, stdin)
            stdin.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, MANAGE_PY, "run_all"],
                env={**self.env, "EXAMPLE_ENDS_WITH": str(os.getpid())},
                stdin=stdin,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal must not stop the server directly. Only this process
                # receives it, and then calls stop().
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until the server responds to a request.

        :raises SiteError: the server has ended, or did not respond in time.
        """
        with requests.Session() as session:
            session.trust_env = False
            give_up = time.monotonic() + START_SECONDS
            while time.monotonic() < give_up:
                if not self.is_running:
                    raise SiteError(f"{self} has ended.\n{self.log_tail()}")
                with contextlib.suppress(requests.RequestException):
                    session.get(f"{self.url}/.well-known/oauth-authorization-server", timeout=10)
                    return
                time.sleep(0.1)
        raise SiteError(f"{self} does not answer.\n{self.log_tail()}")

    def stop(self) -> None:
        """Stop the server. If it does not end within ``STOP_SECONDS``, kill it. Do nothing if it
        was not started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill the server, so that it ends immediately, as in a power failure."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def read_log(self) -> str:
        """Return the whole log of the site."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log of the site."""
        return "\n".join(self.read_log().splitlines()[-lines:])


def two_sites(
    data: Path,
    *,
    ports: tuple[int | None, int | None] = (None, None),
    hosts: tuple[str, str] = (HOST, HOST),
    env: Mapping[str, str] | None = None,
) -> tuple[Site, Site]:
    """Return the assistant and the music service, without starting them.

    :param data: the directory for the files of both sites.
    :param hosts: the host names or addresses in the URLs of the two sites. All must belong to this
        machine. If they differ, a browser does not send the cookies of one site to the other site.
    :param env: environment variables for both sites; see the module ``settings``.
    """
    data.mkdir(parents=True, exist_ok=True)
    assistant = Site(ASSISTANT, data, port=ports[0], host=hosts[0], env=env)
    music = Site(MUSIC, data, port=ports[1], host=hosts[1], env=env)
    assistant.other, music.other = music, assistant
    return assistant, music


def prepare_all(*sites: Site) -> None:
    """Call :meth:`Site.prepare` for all sites, at the same time in several threads.

    :raises SiteError: a command failed.
    """
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(Site.prepare, sites))


@contextlib.contextmanager
def running(*sites: Site, prepare: bool = False) -> Iterator[None]:
    """Start the sites and wait until all of them respond to requests. At the end of the ``with``
    block, stop them.

    :param prepare: whether the sites are prepared first; see :meth:`Site.prepare`.
    :raises SiteError: a site does not start.
    """
    try:
        for site in sites:
            site.start(prepare=prepare)
        for site in sites:
            site.wait_until_ready()
        yield
    finally:
        for site in sites:
            site.stop()


def port_is_free(port: int) -> bool:
    """Return whether no server uses ``port`` of the loopback address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int = 2) -> list[int]:
    """Return ports of the loopback address that no server uses now."""
    with contextlib.ExitStack() as probes:
        found = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind((HOST, 0))
            found.append(probe.getsockname()[1])
    return found
