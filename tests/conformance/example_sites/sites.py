"""An example site as a process of its own, with the tester as its peer, and its database."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trustme

from example_project.roles import ASSISTANT, MUSIC
from example_project.servers import HOST, free_ports
from example_project.sites import Site
from reciprocal_oauth.conformance import made_up

#: The name of the tester on the pages of the sites.
NAME: Final = "Tester"
USERS: Final = ("alice", "bob")
#: Scopes that the tester may get at Assistant, in addition to those that it asks.
OTHER_SCOPE: Final = "reciprocal:read"
#: Any number of hand-overs in a minute, and a short pause before a hand-over is sent again.
_QUICK: Final = {"HANDOVERS_PER_MINUTE": 0, "RETRY_SCHEDULE_SECONDS": [0, 1, 5, 300]}

# bob, for what belongs to another user. The demo has alice.
_CREATE_BOB: Final = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("bob", password="bob")
"""


@dataclass(frozen=True)
class Credentials:
    """A client ID and its secret. The secret has characters that must be encoded in Basic."""

    client_id: str
    client_secret: str


@dataclass(frozen=True)
class Subject:
    """A site, and what it and the tester know about each other.

    :ivar role: ``a`` or ``b``: the party that the site is.
    :ivar tester_url: the base URL of the tester.
    :ivar site_at_tester: how the site authenticates to the tester.
    :ivar tester_at_site: how the tester authenticates to the site.
    :ivar second: a client of the site that is no peer.
    """

    role: str
    site: Site
    folder: Path
    tester_port: int
    site_at_tester: Credentials
    tester_at_site: Credentials
    second: Credentials

    @property
    def tester_url(self) -> str:
        return f"https://{HOST}:{self.tester_port}"

    @property
    def callback(self) -> str:
        """Where the site, as party A, wants its users back."""
        return f"{self.site.url}/connections/{self.site.role.other.slug}/callback/"


def make_subject(
    role: str,
    folder: Path,
    database_url: str = "",
    *,
    is_quick: bool = False,
    is_slow: bool = False,
) -> Subject:
    """Make a site that is not running yet, and the certificates of the tester.

    :param folder: an empty directory for the files of the site and of the tester.
    :param database_url: of an empty database. Default: SQLite, with a file in the directory.
    :param is_quick: not with the default settings, but with those for which the tester waits less.
    :param is_slow: the tester waits for the end of lives, so access tokens do not live for hours.
    """
    site_port, tester_port = free_ports()
    # What a peer on the same computer needs. The rest is default.
    settings = {"HTTP_ALLOW_LOOPBACK": True, "HTTP_CA_BUNDLE": str(folder / "ca.pem")}
    if is_quick:
        settings |= _QUICK
    env = {
        "EXAMPLE_RECIPROCAL_OAUTH": json.dumps(settings),
        "DJANGO_DEBUG": "0",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(32),
    }
    if database_url:
        env["DATABASE_URL"] = database_url
    if is_slow:
        env["DJANGO_SETTINGS_MODULE"] = "tests.conformance.example_sites.short_lives"
    site = Site(ASSISTANT if role == "a" else MUSIC, folder, port=site_port, env=env)
    # So that the other example site does not become a peer. The tester takes its place.
    site.is_paired = True
    subject = Subject(
        role,
        site,
        folder,
        tester_port,
        Credentials(f"{site.role.slug}-at-tester", made_up.secret()),
        Credentials("tester", made_up.secret()),
        Credentials("second-tester", made_up.secret()),
    )
    site.more_preparations = [
        ["shell", "--verbosity=0", f"--command={_CREATE_BOB}"],
        ["reciprocal_peer", "add", site.role.other.slug, "--sends-iss", *_flags(_peer(subject))],
        [
            "createapplication",
            "confidential",
            "authorization-code",
            *_flags(_second_client(subject)),
        ],
    ]
    _make_certificates(folder)
    return subject


def _peer(subject: Subject) -> dict[str, str]:
    """Return how an administrator of the site registers the tester."""
    role, tester = subject.site.role, subject.tester_url
    allowed = [*role.scopes, *([OTHER_SCOPE] if subject.role == "a" else [])]
    return {
        "--name": NAME,
        # The site calls the API of its peer below this address.
        "--homepage": f"{tester}/",
        "--issuer": tester,
        "--authorization-endpoint": f"{tester}/authorize",
        "--token-endpoint": f"{tester}/token",
        "--revocation-endpoint": f"{tester}/revoke",
        "--client-id": subject.site_at_tester.client_id,
        "--client-secret": subject.site_at_tester.client_secret,
        "--scope": role.scope,
        "--reciprocal-scope": role.reciprocal_scope,
        "--allowed-scope": " ".join(allowed),
        "--preconfigured-scope": role.preconfigured_scope,
        "--application-client-id": subject.tester_at_site.client_id,
        "--application-client-secret": subject.tester_at_site.client_secret,
        "--redirect-uri": f"{tester}/callback",
    }


def _second_client(subject: Subject) -> dict[str, str]:
    return {
        "--name": "Second tester",
        "--client-id": subject.second.client_id,
        "--client-secret": subject.second.client_secret,
        "--redirect-uris": f"{subject.tester_url}/callback",
    }


def _flags(values: dict[str, str]) -> list[str]:
    return [f"{flag}={value}" for flag, value in values.items()]


def _make_certificates(folder: Path) -> None:
    """Write the certificate of the tester, its key, and that of who issued it."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "tester.pem"))


# --- The database ------------------------------------------------------------------------------


@contextlib.contextmanager
def new_database(server_url: str, role: str) -> Iterator[str]:
    """Create a database, and drop it at the end. Yield its URL.

    :param server_url: the URL of any database on a PostgreSQL server. Empty: yield an empty text.
    :raises psycopg.Error: the server cannot be reached, or refuses.
    """
    if not server_url:
        yield ""
        return
    # The process ID tells several runs on one server apart.
    name = f"conformance_{role}_{os.getpid()}"
    _execute(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(url: str, statement: Any) -> None:
    # Only who names a server needs it.
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
