"""The configuration of nginx, gunicorn and Django in the documentation works: one site at the root
of its host, the other one below a path."""

import json
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from example_project.driver import Browser, Page
from example_project.pairing import pair
from example_project.roles import ASSISTANT, MUSIC, Role
from example_project.servers import free_ports
from example_project.sites import Site

from ..delivery.processes import Process, running, soon
from ..newcomer.pages_of_docs import blocks_of
from ..reading import ROOT

pytestmark = [
    pytest.mark.two_process,
    pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx"),
]

PAGE = "behind_a_proxy"


class ProxiedSite(Site):
    """An example site of which only nginx is reached by others."""

    def __init__(self, role: Role, data: Path, url: str, env: dict[str, str]) -> None:
        super().__init__(role, data, env=env)
        self.url, self.issuer = url, f"{url}/o"
        self.is_paired = True
        self.env |= {"EXAMPLE_ISSUER": "", "DJANGO_SETTINGS_MODULE": "tests.proxied.settings"}

    def serve(self, port: int) -> Any:
        """Start gunicorn as the documentation says, on another port."""
        (command,) = (
            command
            for block in blocks_of(PAGE)
            for command in block.commands
            if command.startswith(f"gunicorn {self.role.slug}.wsgi")
        )
        # With a second --bind, gunicorn would listen on both.
        command, changed = re.subn(r"--bind \S+", f"--bind 127.0.0.1:{port}", command)
        assert changed == 1
        _name, _wsgi, *options = shlex.split(command)
        line = [sys.executable, "-m", "gunicorn", "example_project.wsgi", *options]
        return running(line, self.env, self.log_path)


class Nginx:
    """nginx with the file of the documentation."""

    def __init__(self, folder: Path, addresses: Sequence[tuple[str, str]]) -> None:
        self.folder = folder
        page = (ROOT / "docs" / "nginx.conf").read_text()
        for old, new in addresses:
            page = page.replace(old, new)
        (folder / "site.conf").write_text(page)
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
            f"http {{ client_body_temp_path {folder}; proxy_temp_path {folder}; "
            f"fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
            f"include {folder}/site.conf; }}\n"
        )

    def command(self) -> list[str]:
        found = str(shutil.which("nginx"))
        return [found, "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"]

    def access_log(self, site: str) -> str:
        return (self.folder / f"{site}.log").read_text()


class Sites:
    """Both sites, nginx before them, and a browser that trusts their certificates."""

    def __init__(self, assistant: ProxiedSite, music: ProxiedSite, nginx: Nginx, ca: str) -> None:
        self.assistant, self.music, self.nginx = assistant, music, nginx
        self.browser = Browser()
        self.browser.session.verify = ca

    def get(self, url: str) -> requests.Response:
        return self.browser.session.get(url, timeout=20)

    def sign_in(self, page: Page) -> Page:
        if not page.path.endswith("/accounts/login/"):
            return page
        values = {"username": "alice", "password": "alice"}
        return self.browser.submit(page.form(button="Sign in"), values)


def _certificate(folder: Path) -> str:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    site = authority.issue_cert("localhost", "127.0.0.1")
    site.private_key_pem.write_to_path(folder / "site.key")
    for pem in site.cert_chain_pems:
        pem.write_to_path(folder / "site.pem", append=True)
    return str(folder / "authority.pem")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _until_listening(process: Process, port: int) -> None:
    process.until(lambda: _listens(port))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("proxied")
    bundle = _certificate(folder)
    port, first, second = free_ports(3)
    hosts = [("assistant.example", "localhost"), ("music.example", "127.0.0.1")]
    addresses = [(f"https://{name}", f"https://{host}:{port}") for name, host in hosts] + hosts
    env = {
        "TEST_ADDRESSES": json.dumps(addresses),
        "EXAMPLE_RECIPROCAL_OAUTH": json.dumps({"HTTP_CA_BUNDLE": bundle}),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    assistant = ProxiedSite(ASSISTANT, folder, f"https://localhost:{port}/app", env)
    music = ProxiedSite(MUSIC, folder, f"https://127.0.0.1:{port}", env)
    assistant.other, music.other = music, assistant
    for site in (assistant, music):
        site.prepare()
    nginx = Nginx(
        folder,
        [
            *hosts,
            ("127.0.0.1:8001", f"127.0.0.1:{first}"),
            ("127.0.0.1:8002", f"127.0.0.1:{second}"),
            ("listen 443", f"listen 127.0.0.1:{port}"),
            ("/etc/ssl", str(folder)),
            ("/var/log/nginx", str(folder)),
        ],
    )
    with (
        music.serve(first) as one,
        assistant.serve(second) as two,
        running(nginx.command(), {}, folder / "nginx.log") as three,
    ):
        for process, number in ((one, first), (two, second), (three, port)):
            _until_listening(process, number)
        pair(assistant, music)
        yield Sites(assistant, music, nginx, bundle)


@pytest.mark.rfc("8414", "3.1")
@pytest.mark.parametrize(
    ("site", "path"),
    [
        ("music", "/.well-known/oauth-authorization-server/o"),
        ("music", "/o/.well-known/oauth-authorization-server"),
        ("assistant", "/.well-known/oauth-authorization-server/app/o"),
        ("assistant", "/app/o/.well-known/oauth-authorization-server"),
    ],
)
def test_other_sites_find_the_metadata(sites: Sites, site: str, path: str) -> None:
    the_site: ProxiedSite = getattr(sites, site)
    host = the_site.url.removesuffix("/app")

    document = sites.get(f"{host}{path}").json()

    assert document["issuer"] == the_site.issuer
    assert document["token_endpoint"] == f"{the_site.issuer}/token/"


def test_commands_know_the_address_and_the_test_of_the_connection_fails_nowhere(
    sites: Sites,
) -> None:
    sheet = sites.assistant.manage("reciprocal_peer", "show", "music")
    found = sites.assistant.manage_json("reciprocal_peer", "test", "music", "--json")

    assert f"{sites.assistant.url}/connections/music/callback/" in sheet
    states = {each["check"]: each["state"] for each in found}
    assert "failed" not in states.values()
    assert states["redirect_uri"] == states["cookies"] == "passed"


def test_the_system_checks_find_no_wrong_address(sites: Sites) -> None:
    found = sites.assistant.manage("check", "--database", "default")

    assert not re.findall(r"reciprocal_oauth\.(?:E\d+|W020|W021|W024|W026|W027)", found)


def test_an_account_is_linked_in_both_directions(sites: Sites) -> None:
    browser = sites.browser
    page = sites.sign_in(browser.open(f"{sites.assistant.url}/connections/"))

    page = browser.submit(page.form(action="/app/connections/music/connect/"))
    page = sites.sign_in(page)
    page = browser.submit(page.form(button="allow"), button="allow")
    page = browser.submit(page.form(action="/consent/"), button="allow")

    soon(lambda: "Connected both ways" in browser.open(page.url).text)
    assert page.url.startswith(f"{sites.assistant.url}/connections/links/")
    cookies = {each.name: each for each in browser.session.cookies}
    assert cookies["assistant_sessionid"].path == "/app/"
    assert all(each.secure for each in cookies.values() if "session" in each.name)


def test_no_access_log_has_the_query_of_the_callback(sites: Sites) -> None:
    sites.get(
        f"{sites.assistant.url}/connections/music/callback/?code=c0de-canary&state=st4te-canary"
    )

    soon(lambda: "/app/connections/music/callback/" in sites.nginx.access_log("assistant"))
    soon(lambda: "/connections/music/callback/" in sites.assistant.read_log())
    for log in (sites.nginx.access_log("assistant"), sites.assistant.read_log()):
        assert "c0de-canary" not in log
        assert "st4te-canary" not in log


@pytest.mark.threat("F17")
def test_wrong_secrets_are_limited_for_the_address_of_the_client_not_of_the_proxy(
    sites: Sites,
) -> None:
    """The header of a client does not count: nginx appends the address from which it was called."""

    def status(forwarded: str) -> int:
        return requests.post(
            f"{sites.music.issuer}/token/",
            data={"grant_type": "authorization_code", "code": "x"},
            auth=(sites.assistant.client_id, "wrong"),
            headers={"X-Forwarded-For": forwarded},
            verify=str(sites.browser.session.verify),
            timeout=20,
        ).status_code

    assert [status(f"192.0.2.{number}") for number in range(12)].count(429) == 2
