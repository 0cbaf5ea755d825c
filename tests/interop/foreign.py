"""Foreign sites as processes: what each needs, how it is started, and what it has to say."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import requests

from example_project.roles import ASSISTANT, MUSIC
from example_project.sites import HOST, Site, free_ports

FOLDER = Path(__file__).parent
START_SECONDS = 60
#: Names the folder in which the packages of ``node_site/package.json`` are installed.
NODE_MODULES = "INTEROP_NODE_MODULES"
FORGET = """
from oauth2_provider.models import get_access_token_model
from reciprocal_oauth.models import Link
Link.objects.all().delete()
get_access_token_model().objects.all().delete()
"""
#: Fails instead of skipping where a foreign site cannot be run.
REQUIRE = "REQUIRE_INTEROP"


@dataclass(frozen=True)
class Kind:
    """A foreign site of one make.

    :ivar modules: Python packages that it needs; empty where it runs on Node.
    :ivar callback: path of its redirect URI.
    :ivar openid: whether it is linked with ``openid``, as OpenID Connect.
    :ivar metadata: whether it has a discovery document.
    :ivar issuer_path: the path of its issuer.
    :ivar registers: whether our site registers itself there (RFC 7591), so that it has neither a
        client ID nor a client secret for us before.
    """

    name: str
    script: str
    modules: tuple[str, ...] = ()
    callback: str = "/callback"
    openid: bool = True
    metadata: bool = True
    issuer_path: str = ""
    registers: bool = False
    auth_method: str = "client_secret_basic"
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.name

    def why_not(self) -> str:
        """Why it cannot be run here; empty if it can."""
        if self.modules:
            missing = [name for name in self.modules if not find_spec(name)]
            return (
                f"{self.name} needs {', '.join(missing)}: pip install '.[interop]'"
                if missing
                else ""
            )
        if not which("node"):
            return f"{self.name} needs Node.js"
        if not (Path(os.environ.get(NODE_MODULES, "")) / "oidc-provider").is_dir():
            return (
                f"{self.name} needs the packages of tests/interop/node_site/package.json, and the "
                f"folder node_modules that holds them in {NODE_MODULES}"
            )
        return ""

    def skip_unless_possible(self) -> None:
        if why := self.why_not():
            if os.environ.get(REQUIRE):
                pytest.fail(why)
            pytest.skip(why)


#: It has spaces, and signs that form-encoding changes.
SECRET_THERE = "assistant's secret+there/%41"

AUTHLIB = Kind("Authlib", "authlib_site.py", ("authlib", "flask"), metadata=False)
AUTHLIB_PLAIN = Kind(
    "Authlib without the grant",
    "authlib_site.py",
    ("authlib", "flask"),
    metadata=False,
    config={"reciprocal": False},
)
AUTHLIB_POST = Kind(
    "Authlib with client_secret_post",
    "authlib_site.py",
    ("authlib", "flask"),
    metadata=False,
    openid=False,
    auth_method="client_secret_post",
)
ALLAUTH = Kind(
    "django-allauth",
    "allauth_site.py",
    ("allauth",),
    callback="/accounts/oidc/assistant/login/callback/",
    # It does not decode Basic credentials (RFC 6749, section 2.3.1).
    auth_method="client_secret_post",
)
OIDC_PROVIDER = Kind("node-oidc-provider", "node_site/site.mjs")
OIDC_PROVIDER_KEYS = Kind(
    "node-oidc-provider with private_key_jwt", "node_site/site.mjs", auth_method="private_key_jwt"
)

#: The initial access token (RFC 7591, section 1.2) of the sites that let clients register.
REGISTRATION_TOKEN = "initial-access-token-of-them"
OIDC_PROVIDER_WITH_SECRET = Kind(
    "node-oidc-provider, registered with a secret",
    "node_site/site.mjs",
    registers=True,
    config={"registration_token": REGISTRATION_TOKEN},
)
OIDC_PROVIDER_WITH_KEY = Kind(
    "node-oidc-provider, registered with a key",
    "node_site/site.mjs",
    registers=True,
    auth_method="private_key_jwt",
    config={"registration_token": REGISTRATION_TOKEN},
)
DOT = Kind(
    "django-oauth-toolkit alone",
    "dot_site.py",
    ("oauth2_provider",),
    issuer_path="/o",
    # A client that has registered itself gets no ID tokens there: it has no algorithm.
    openid=False,
    registers=True,
    config={"registration_token": REGISTRATION_TOKEN},
)


class ForeignSite:
    """One foreign site: its process and its address.

    :ivar client_id: the id of our site there.
    """

    def __init__(self, kind: Kind, data: Path, ours: "OurSite", port: int) -> None:
        self.kind, self.ours, self.port = kind, ours, port
        self.url = f"http://{HOST}:{port}"
        self.data = data
        self.client_id, self.client_secret = "assistant-there", SECRET_THERE
        self._process: subprocess.Popen[bytes] | None = None
        self._forgotten = 0
        self.http = requests.Session()
        self.http.trust_env = False

    def config(self) -> dict[str, Any]:
        ours = self.ours
        openid = ["openid"] * self.kind.openid
        return {
            "url": self.url,
            "port": self.port,
            "data": str(self.data),
            "client": {
                "id": self.client_id,
                "secret": self.client_secret,
                "redirect_uri": f"{ours.url}/connections/music/callback/",
                "auth_method": self.kind.auth_method,
                "jwks_uri": f"{ours.issuer}/reciprocal/jwks.json",
            },
            "at_the_other": {
                "id": ours.foreign_client_id,
                "secret": ours.foreign_client_secret,
                "issuer": ours.issuer,
                "authorization_endpoint": f"{ours.issuer}/authorize/",
                "token_endpoint": f"{ours.issuer}/token/",
                "redirect_uri": ours.foreign_redirect_uri,
                "scope": " ".join([*openid, "now-playing"]),
                "resource": f"{ours.url}/api/whoami/",
            },
            **self.kind.config,
        }

    def start(self) -> None:
        path = self.data / "foreign.json"
        path.write_text(json.dumps(self.config()))
        self.log = (self.data / "foreign.log").open("ab")
        script = FOLDER / self.kind.script
        if script.suffix == ".mjs":
            command = ["node", str(_beside_its_packages(script, self.data)), str(path)]
        else:
            command = [sys.executable, str(script), str(path)]
        self._process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"{self.kind} has ended: {self.log_text()}")
            with contextlib.suppress(requests.RequestException):
                self.journal()
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.kind} does not respond: {self.log_text()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.log.close()
        self.http.close()

    def log_text(self) -> str:
        return (self.data / "foreign.log").read_text(errors="replace")[-3000:]

    def journal(self) -> list[dict[str, Any]]:
        """Return what has happened there, the oldest first."""
        return self._journal()[self._forgotten :]

    def _journal(self) -> list[dict[str, Any]]:
        return self.http.get(f"{self.url}/journal", timeout=10).json()

    def forget(self) -> None:
        """Ignore what has happened until now."""
        self._forgotten = len(self._journal())

    def happened(self, what: str) -> list[dict[str, Any]]:
        return [each for each in self.journal() if each["what"] == what]

    def call(self, *, refresh: bool = False) -> dict[str, Any]:
        """Let it call our resource; return status and body of the response."""
        parameters = {"refresh": "1"} if refresh else {}
        return self.http.post(f"{self.url}/call", params=parameters, timeout=20).json()


def _beside_its_packages(script: Path, data: Path) -> Path:
    """Copy the script beside a link to its packages, where Node looks for them."""
    copy = data / script.name
    copy.write_text(script.read_text())
    packages = data / "node_modules"
    if not packages.exists():
        packages.symlink_to(Path(os.environ[NODE_MODULES]).resolve())
    return copy


class OurSite(Site):
    """The example's assistant, with a foreign site in the place of the music service."""

    foreign_client_id, foreign_client_secret = "music-here", "secret-of-the-foreign-site"

    def __init__(self, data: Path, port: int, env: Mapping[str, str]) -> None:
        super().__init__(ASSISTANT, data, port=port, env=env)
        self.foreign: ForeignSite

    @property
    def foreign_redirect_uri(self) -> str:
        return f"{self.foreign.url}{self.foreign.kind.callback}"

    def _peer_flags(self) -> list[str]:
        foreign = self.foreign
        openid = ["openid"] * foreign.kind.openid
        flags = {
            "--name": MUSIC.name,
            "--auth-method": foreign.kind.auth_method,
            "--scope": " ".join([*openid, "playback", "history"]),
            "--reciprocal-scope": "playback",
            "--allowed-scope": " ".join([*openid, *ASSISTANT.scopes]),
            "--preconfigured-scope": "now-playing",
            "--application-client-id": self.foreign_client_id,
            "--application-client-secret": self.foreign_client_secret,
            "--redirect-uri": self.foreign_redirect_uri,
        }
        if foreign.kind.registers:
            flags["--initial-access-token"] = REGISTRATION_TOKEN
        else:
            flags["--client-id"] = foreign.client_id
            if foreign.kind.auth_method != "private_key_jwt":
                flags["--client-secret"] = foreign.client_secret
        if foreign.kind.metadata:
            flags["--discover"] = f"{foreign.url}{foreign.kind.issuer_path}"
        else:
            flags |= {
                "--issuer": foreign.url,
                "--authorization-endpoint": f"{foreign.url}/authorize",
                "--token-endpoint": f"{foreign.url}/token",
                "--revocation-endpoint": f"{foreign.url}/revoke",
            }
        register = ["--register"] * foreign.kind.registers
        return [*register, *(f"{flag}={value}" for flag, value in flags.items())]

    def read(self, code: str) -> Any:
        """Run ``code`` inside the site and return the JSON that it prints."""
        return self.manage_json("shell", "--no-imports", "--command", code)

    def forget(self) -> None:
        """Delete all links and tokens."""
        self.manage("shell", "--no-imports", "--command", FORGET)


@contextlib.contextmanager
def linked_up(kind: Kind, data: Path) -> Iterator[tuple[OurSite, ForeignSite]]:
    """Run both sites, each registered at the other, with nobody connected."""
    first, second = free_ports()
    env = {"EXAMPLE_LOG_LEVEL": "DEBUG", "EXAMPLE_OIDC": "1" if kind.openid else "0"}
    ours = OurSite(data, first, env)
    foreign = ours.foreign = ForeignSite(kind, data, ours, second)
    try:
        foreign.start()
        foreign.wait_until_ready()
        ours.start(prepare=True)
        ours.wait_until_ready()
        yield ours, foreign
    finally:
        ours.stop()
        foreign.stop()
