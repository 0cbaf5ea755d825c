"""Sites as processes of their own: prepare, start, ask, stop. For the demo and for tests.

::

    assistant, music = two_sites(Path("/tmp/two-sites"))
    with running(assistant, music, prepare=True):
        print(assistant.url, assistant.manage_json("reciprocal_links", "--json"))

Needs no Django settings in the process that imports it.
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
    """A site could not be prepared, started or asked. ``str()`` says what it wrote."""


class Site:
    """One of the two sites: its process, its database, its log.

    :ivar other: the site that it is to be linked with.
    :ivar reached_at: where the other site's server calls it: its own URL, or that of something
        which stands before it. May be changed until the other site is prepared.
    :ivar client_id: its id at the other site.
    :ivar client_secret: its secret there.
    :ivar env: its environment variables, see ``settings``. May be changed until it is started.
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
        """Run a ``manage.py`` command in the site and give what it printed.

        :raises SiteError: it failed.
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
        """Run a command that prints JSON, and give what that says.

        :raises SiteError: it failed, or printed something else.
        """
        printed = self.manage(*arguments)
        try:
            return json.loads(printed)
        except ValueError as error:
            raise SiteError(f"{self}: {arguments[0]} printed no JSON:\n{printed}") from error

    def prepare(self) -> None:
        """Make the tables and the users of the demo, as far as they are missing, and set the other
        site up as peer, with the command that an administrator uses.

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
        # With a space between them, a secret that begins with a hyphen would be taken for a flag.
        # On a database that is kept, the other site may have moved to another port. A revocation
        # at django-oauth-toolkit ends the tokens of one connection, and no newer ones.
        switches = ("--accept-changes", "--sends-iss", "--revoke-replaced")
        return [*switches, *(f"{flag}={value}" for flag, value in flags.items())]

    # The process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, prepare: bool = False) -> None:
        """Start the server; it answers a little later.

        :param prepare: let its process :meth:`prepare` the site first, which is faster than two.
        :raises SiteError: the port is taken, or it runs already.
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
                # Ctrl-C is for whoever started us; we pass it on in our own time.
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until the server answers.

        :raises SiteError: it ended, or did not answer in time.
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
        """Stop the server, whatever state it is in."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def read_log(self) -> str:
        """Everything that the site has written."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        """The end of the log."""
        return "\n".join(self.read_log().splitlines()[-lines:])


def two_sites(
    data: Path,
    *,
    ports: tuple[int | None, int | None] = (None, None),
    hosts: tuple[str, str] = (HOST, HOST),
    env: Mapping[str, str] | None = None,
) -> tuple[Site, Site]:
    """The assistant and the music service, with their files in ``data``; nothing is run yet.

    :param hosts: what browsers call them: names or addresses of this machine. Two different ones
        are two sites to a browser, and share no cookie.
    :param env: environment variables for both, see ``settings``.
    """
    data.mkdir(parents=True, exist_ok=True)
    assistant = Site(ASSISTANT, data, port=ports[0], host=hosts[0], env=env)
    music = Site(MUSIC, data, port=ports[1], host=hosts[1], env=env)
    assistant.other, music.other = music, assistant
    return assistant, music


def prepare_all(*sites: Site) -> None:
    """Prepare the sites side by side.

    :raises SiteError: a command failed.
    """
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(Site.prepare, sites))


@contextlib.contextmanager
def running(*sites: Site, prepare: bool = False) -> Iterator[None]:
    """Start the sites, wait until all answer, and stop them in the end.

    :raises SiteError: one of them does not start.
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
    """Whether a server could listen on ``port`` of this machine's loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int = 2) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as probes:
        found = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind((HOST, 0))
            found.append(probe.getsockname()[1])
    return found
