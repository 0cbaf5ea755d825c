"""Runs the two example sites in processes of their own. The demo and the tests use this module to
prepare and start the sites, to run commands in them, and to stop them.

::

    assistant, music = two_sites(Path("/tmp/two-sites"))
    with running(assistant, music, prepare=True):
        print(assistant.url, assistant.manage_json("reciprocal_links", "--json"))

The process that imports this module needs no Django settings.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .roles import ASSISTANT, MUSIC, Role
from .servers import HOST, Server, SiteError, free_ports, port_is_free, running

__all__ = [
    "COMMAND_SECONDS",
    "HOST",
    "MANAGE_PY",
    "Site",
    "SiteError",
    "free_ports",
    "port_is_free",
    "prepare_all",
    "running",
    "two_sites",
]

MANAGE_PY = Path(__file__).resolve().parent.parent / "manage.py"
COMMAND_SECONDS = 120


class Site(Server):
    """One of the two sites, with its process, its database and its log.

    :ivar other: the other one of the two sites.
    :ivar reached_at: the base URL at which the server of the other site calls this site. Tests can
        replace it by the URL of a proxy, but only before the other site is prepared.
    :ivar is_paired: whether the sites become peers by an invitation, when both are running; see
        :func:`.pairing.pair`. Otherwise :meth:`prepare` adds the other site as a peer by hand.
    :ivar client_id: if not paired: the client ID of this site at the other site.
    :ivar client_secret: if not paired: the client secret of this site at the other site.
    :ivar env: see :class:`.Server` and the module ``settings``.
    :ivar more_preparations: commands that :meth:`prepare` runs last.
    """

    other: "Site"
    is_paired = False
    more_preparations: Sequence[Sequence[str]] = ()
    ready_path = "/.well-known/oauth-authorization-server"

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
        self.data = data.resolve()
        super().__init__(
            role.name, port or role.port, self.data / f"{role.slug}.log", os.environ, host=host
        )
        self.reached_at = self.url
        self.issuer = f"{self.url}/o"
        self.database_path = self.data / f"{role.slug}.sqlite3"
        self.client_id = f"{role.slug}-at-{role.other.slug}"
        self.client_secret = secrets.token_urlsafe(32)
        self.env |= {
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
        """Create the tables and the users of the demo if they do not exist. If the sites will not
        be paired, then add or update the other site as a peer, with the same command that an
        administrator uses.

        :raises SiteError: one of the commands failed.
        """
        self.manage("run_all", stdin=json.dumps(self._preparations()))

    def _preparations(self) -> list[list[str]]:
        return [
            ["migrate", "--verbosity=0"],
            ["create_demo_users"],
            ["create_demo_app"],
            *([] if self.is_paired else [self._peer_command()]),
            *map(list, self.more_preparations),
        ]

    def _peer_command(self) -> list[str]:
        return ["reciprocal_peer", "add", self.role.other.slug, *self._peer_flags()]

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

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, MANAGE_PY, "run_all"]

    def order(self, *, prepare: bool) -> list[list[str]]:
        server = ["runserver", "--noreload", f"{HOST}:{self.port}"]
        return [*(self._preparations() if prepare else []), server]


def two_sites(
    data: Path,
    *,
    ports: tuple[int | None, int | None] = (None, None),
    hosts: tuple[str, str] = (HOST, HOST),
    env: Mapping[str, str] | None = None,
    paired: bool = False,
) -> tuple[Site, Site]:
    """Return the assistant and the music service, without starting them.

    :param data: the directory for the files of both sites.
    :param hosts: the host names or addresses in the URLs of the two sites. All must belong to this
        machine. If they differ, a browser does not send the cookies of one site to the other site.
    :param env: environment variables for both sites; see the module ``settings``.
    :param paired: see ``Site.is_paired``.
    """
    data.mkdir(parents=True, exist_ok=True)
    assistant = Site(ASSISTANT, data, port=ports[0], host=hosts[0], env=env)
    music = Site(MUSIC, data, port=ports[1], host=hosts[1], env=env)
    assistant.other, music.other = music, assistant
    assistant.is_paired = music.is_paired = paired
    return assistant, music


def prepare_all(*sites: Site) -> None:
    """Call :meth:`Site.prepare` for all sites, at the same time in several threads.

    :raises SiteError: a command failed.
    """
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(Site.prepare, sites))
