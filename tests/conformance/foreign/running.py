"""Starts a site as a process of its own, and runs the tester against it as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from example_project.servers import HOST, Server, free_ports, running
from tests.interop.foreign import Kind, _beside_its_packages

FOLDER = Path(__file__).parent
SCRIPTS = [FOLDER / "node_b" / "site.mjs"]
ROOT = FOLDER.parents[2]
#: A whole role takes two to three minutes.
LIMIT_SECONDS = 900
#: Each has signs that form-encoding changes.
SECRET_OF_TESTER = "secret-of:the+tester%/41"
SECRET_OF_SUBJECT = "secret-of:the+subject%/41"
SECRET_OF_SECOND = "secret-of:the+second+client%/41"
USERS = ("alice", "bob")


@dataclass(frozen=True)
class Subject:
    """An implementation that is tested.

    :ivar expected: the name of the file with the verdicts that are not ``pass``.
    """

    role: str
    kind: Kind
    expected: str

    @property
    def expected_path(self) -> Path:
        return FOLDER / self.expected

    def known(self) -> dict[str, str]:
        """Return the verdicts that are not ``pass``, by the IDs of the checks."""
        entries = json.loads(self.expected_path.read_text())
        return {check_id: entry["verdict"] for check_id, entry in entries.items()}


AUTHLIB = ("authlib", "flask")
AUTHLIB_B = Subject("b", Kind("Authlib", "authlib_b.py", AUTHLIB), "authlib_b.expected.json")
AUTHLIB_A = Subject("a", Kind("Authlib", "authlib_a.py", AUTHLIB), "authlib_a.expected.json")
NODE_B = Subject("b", Kind("node-oidc-provider", "node_b/site.mjs"), "node_b/node_b.expected.json")


class Site(Server):
    """The process of a subject.

    :param switches: ``mistakes``, ``differences`` and ``put_right`` with names.
    :ivar tester_port: where the tester listens.
    """

    def __init__(self, subject: Subject, data: Path, switches: dict[str, Iterable[str]]) -> None:
        port, self.tester_port = free_ports()
        self.subject = subject
        self.data = data
        self.tester_url = f"https://{HOST}:{self.tester_port}"
        self.ca_path, self.certificate_path = data / "ca.pem", data / "tester.pem"
        self._make_certificate()
        env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(self.ca_path)}
        super().__init__(subject.kind.name, port, data / "site.log", env)
        self.config_path = data / "site.json"
        switched = {name: list(names) for name, names in switches.items()}
        sources = "".join(each.read_text() for each in [*FOLDER.glob("authlib_*.py"), *SCRIPTS])
        unknown = {name for names in switched.values() for name in names if name not in sources}
        assert not unknown, f"No site knows {unknown}."
        self.config_path.write_text(json.dumps({**self.config(), **switched}))

    def _make_certificate(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_path))
        issued = authority.issue_cert(HOST)
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.certificate_path))

    def command(self) -> Sequence[str | Path]:
        script = FOLDER / self.subject.kind.script
        if script.suffix == ".mjs":
            return ["node", _beside_its_packages(script, self.data), self.config_path]
        return [sys.executable, script, self.config_path]

    def order(self, *, prepare: bool) -> None:
        """It reads nothing from its standard input."""

    def config(self) -> dict[str, Any]:
        """Return what the site knows about the tester."""
        tester = self.tester_url
        scopes = "calendar contacts profile" if self.subject.role == "a" else "read write"
        clients = {"tester": SECRET_OF_TESTER, "second": SECRET_OF_SECOND}
        shared = {"redirect_uri": f"{tester}/callback", "scope": scopes}
        return {
            "port": self.port,
            # At party B, a check waits until a token has expired.
            "expires_in": 20 if self.subject.role == "b" else 3600,
            "code_lifetime": 25,
            "ca": str(self.ca_path),
            "users": USERS,
            "clients": [
                {"id": name, "secret": secret, **shared} for name, secret in clients.items()
            ],
            "peer": {
                "client_id": "subject",
                "client_secret": SECRET_OF_SUBJECT,
                "issuer": tester,
                "authorization_endpoint": f"{tester}/authorize",
                "token_endpoint": f"{tester}/token",
                "revocation_endpoint": f"{tester}/revoke",
                "api": f"{tester}/api/me",
                "scope": "listen",
                "agreed_scope": "calendar",
                "reciprocal": "notes",
            },
        }

    # The configuration of the tester

    def tester_config(self) -> dict[str, Any]:
        return self._as_party_b() if self.subject.role == "b" else self._as_party_a()

    def _common(self, **subject: Any) -> dict[str, Any]:
        return {
            "subject": {
                "token_endpoint": f"{self.url}/token",
                "revocation_endpoint": f"{self.url}/revoke",
                "users": list(USERS),
                "at_tester": {"client_id": "subject", "client_secret": SECRET_OF_SUBJECT},
                **subject,
            },
            "tester": {
                "listen": f"{HOST}:{self.tester_port}",
                "tls_cert": str(self.certificate_path),
                "tls_key": str(self.certificate_path),
                "at_subject": {
                    "client_id": "tester",
                    "client_secret": SECRET_OF_TESTER,
                    "second": {"client_id": "second", "client_secret": SECRET_OF_SECOND},
                },
            },
            "waits": {
                **{"redeem": 10, "send": 10, "quiet": 2, "retry": 15},
                **{"max_wait": 30, "code_lifetime": 25},
            },
        }

    def _as_party_b(self) -> dict[str, Any]:
        config = self._common(
            issuer=self.url,
            authorization_endpoint=f"{self.url}/authorize",
            api=f"{self.url}/me",
        )
        config["tester"]["at_subject"] |= {"scope": "read write", "reciprocal": "notes"}
        urls = {
            "authorize": "{url}&user={user}",
            "use": f"{self.url}/use?user={{user}}",
            "end": f"{self.url}/end?user={{user}}",
        }
        return {**config, "driver": {"kind": "follow", "urls": urls}}

    def _as_party_a(self) -> dict[str, Any]:
        apis = [
            {"url": f"{self.url}/api/{scope}", "scope": scope} for scope in ("calendar", "contacts")
        ]
        config = self._common(
            authorization_endpoint=f"{self.url}/authorize", api=apis, checks_iss=True
        )
        config["subject"]["at_tester"]["redirect_uri"] = f"{self.url}/callback"
        config["tester"]["at_subject"] |= {
            "scope": "calendar contacts",
            "other_scope": "profile",
            "agreed_scope": "calendar",
        }
        login = {"fill": {"user": "{user}", "password": "{user}"}, "press": "Log in"}
        answer = {"tick": {"scope": "{scopes}"}, "press": "Allow"}
        steps = {
            "sign_in": [{"open": f"{self.url}/login"}, login],
            "link": [{"open": f"{self.url}/"}, {"press": "Connect"}],
            "allow": [answer],
            "deny": [{"press": "Deny"}],
            "update": [{"open": f"{self.url}/update"}, answer],
            "end": [{"open": f"{self.url}/"}, {"press": "Disconnect"}],
            "authorize": [{"open": "{url}"}],
        }
        return {**config, "driver": {"kind": "forms", "steps": steps}}


def as_toml(value: Any) -> str:
    """Return a value as TOML, tables in one line."""
    if isinstance(value, dict):
        pairs = (f"{name} = {as_toml(each)}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(as_toml(each) for each in value)}]"
    return json.dumps(value)


@dataclass(frozen=True)
class Report:
    """What the tester said.

    :ivar verdicts: by the IDs of the checks.
    :ivar text: what it printed, and the end of the site's log.
    """

    exit_status: int
    verdicts: dict[str, str]
    text: str

    def not_passed(self) -> dict[str, str]:
        return {check_id: each for check_id, each in self.verdicts.items() if each != "pass"}

    def missed(self, checks: Iterable[str]) -> dict[str, str]:
        """Return the verdicts of those of these checks that found no fault."""
        found = {check_id: self.verdicts.get(check_id, "missing") for check_id in checks}
        return {check_id: each for check_id, each in found.items() if each not in ("fail", "warn")}


def report(
    subject: Subject,
    data: Path,
    *checks: str,
    **switches: Iterable[str],
) -> Report:
    """Start the site and run the tester against it.

    :param checks: IDs of checks, or beginnings of them. None: the whole role.
    :param switches: see :class:`Site`.
    """
    site = Site(subject, data, switches)
    config_path, json_path = data / "tester.toml", data / "report.json"
    tables = site.tester_config().items()
    config_path.write_text("".join(f"{name} = {as_toml(table)}\n" for name, table in tables))
    tester = [sys.executable, "-m", "reciprocal_oauth.conformance", subject.role]
    flags = ["--config", str(config_path), "--json", str(json_path), "--slow"]
    flags += ["--expected", str(subject.expected_path)]
    with running(site):
        ended = subprocess.run(
            [*tester, *checks, *flags],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    text = f"{ended.stdout}\n{ended.stderr}\n{site.log_tail(40)}"
    assert json_path.exists(), text
    document = json.loads(json_path.read_text())
    verdicts = {each["id"]: each["verdict"] for each in document["checks"]}
    return Report(ended.returncode, verdicts, text)
