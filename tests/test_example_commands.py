"""The commands of the example project, where they have something to say before they begin."""

import io
import os
import shlex
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from django.core.management import CommandError, call_command

from example_project.management.commands.demo import Command
from example_project.phone_app import AppError, Loopback, PhoneApp
from example_project.sites import MANAGE_PY, free_ports, two_sites


def manage(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` in an environment that sets nothing of the example project but ``env``."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, MANAGE_PY, *arguments],
        env={**kept, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_says_why_it_cannot_keep_its_data_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match=r"^--data .*/file/data: Not a directory\.$"):
        call_command(Command(), data=tmp_path / "file" / "data", ports=free_ports())


def test_a_setting_that_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    ended = manage("check", cwd=tmp_path)

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "Set DJANGO_SECRET_KEY; or DJANGO_DEBUG=1" in line
    assert "Traceback" in manage("check", "--traceback", cwd=tmp_path).stderr


def test_the_demo_tells_how_commands_find_its_sites(tmp_path: Path) -> None:
    _assistant, music = two_sites(tmp_path / "the data")
    said = io.StringIO()

    Command(stdout=said)._say_how(music)

    *settings, python, manage_py, _rest = shlex.split(said.getvalue().splitlines()[1])
    assert (python, manage_py) == ("python", "manage.py")
    program = "from django.conf import settings; print(settings.DATABASES['default']['NAME'])"
    ended = manage(
        "shell",
        "--verbosity=0",
        "-c",
        program,
        cwd=tmp_path,
        **dict(setting.split("=", 1) for setting in settings),
    )
    assert ended.stdout.strip() == str(music.database_path)


class TestThePhoneApp:
    def test_requests_of_other_pages_are_ignored(self) -> None:
        loopback = Loopback()
        port = urlsplit(loopback.url).port
        with socket.create_connection(("127.0.0.1", port)):  # As a browser does in advance.
            visit = ThreadPoolExecutor(1).submit(self.visit, loopback.url)
            assert loopback.wait("/connected", "ours") == {"state": "ours", "result": "linked"}
        visit.result()
        loopback.close()

    def visit(self, url: str) -> None:
        for query in ("state=%C3%A9", "state=theirs", "", "state=ours&result=linked"):
            requests.get(f"{url}/connected?{query}", timeout=20)

    def test_a_site_that_does_not_run(self) -> None:
        (port, _) = free_ports()
        app = PhoneApp(f"http://127.0.0.1:{port}", lambda url: None, lambda line: None)

        with pytest.raises(AppError, match=f"127.0.0.1:{port}/api/.*refused"):
            app._call("/links/")
