"""A fresh Django project in a folder of its own, and what its administrator types there."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pytest
import requests

from example_project.servers import START_SECONDS

from ..delivery.processes import soon
from ..reading import ROOT

#: The Python with which the commands run; another one tests an installed package.
PYTHON = os.environ.get("NEWCOMER_PYTHON", sys.executable)
SECONDS = 120


class Project:
    """A project that is not the example project.

    :ivar folder: the folder with ``manage.py``.
    :ivar port: where its server listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder.parent / f"{folder.name}.log"
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Path:
        return self.folder / self.folder.name / "settings.py"

    @property
    def urls(self) -> Path:
        return self.folder / self.folder.name / "urls.py"

    def create(self) -> None:
        """Run ``django-admin startproject``."""
        self.run_in(self.folder.parent, f"django-admin startproject {self.folder.name}")

    def append(self, code: str) -> None:
        """Append ``code`` to the settings."""
        with self.settings.open("a") as file:
            file.write("\n" + code)

    def run(self, command: str, *, fails: bool = False) -> str:
        """Run a command line in the folder. Return all that it prints.

        :param fails: whether the command has to fail.
        """
        return self.run_in(self.folder, command, fails=fails)

    def run_in(self, folder: Path, command: str, *, fails: bool = False) -> str:
        line, _redirected, file = command.partition(" < ")
        more, arguments = _split(line)
        with contextlib.ExitStack() as stack:
            stdin = stack.enter_context((folder / file).open()) if file else subprocess.DEVNULL
            ended = subprocess.run(
                arguments,
                cwd=folder,
                env=_environment(more),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        assert bool(ended.returncode) is fails, f"{command}\n{ended.stdout}\n{self.tail()}"
        return ended.stdout

    def type_in(
        self, command: str, answers: Mapping[str, str], *, statuses: Sequence[int] = (0,)
    ) -> str:
        """Run a command at a terminal. Type each answer when its question appears. Return all that
        the terminal shows.

        :param statuses: the exit statuses that are expected.
        """
        more, arguments = _split(command)
        child = pexpect.spawn(
            arguments[0],
            arguments[1:],
            cwd=str(self.folder),
            env=_environment(more),
            encoding="utf-8",
            timeout=SECONDS,
            dimensions=(50, 500),
        )
        shown = ""
        for question, answer in answers.items():
            child.expect_exact(question)
            shown += child.before
            child.sendline(answer)
        child.expect(pexpect.EOF)
        shown += child.before
        child.close()
        assert child.exitstatus in statuses, f"{command}\n{shown}\n{self.tail()}"
        return shown

    def accept(self, command: str, invitation: str) -> str:
        """Run ``reciprocal_pair accept``, as an administrator does. Return all that the terminal
        shows."""
        answers = {"(it is not shown": invitation, "[y/N]": "y"}
        # On a busy machine, a site may be late. The command then says so, and its worker goes on.
        shown = self.type_in(command, answers, statuses=(0, 2))
        soon(self._is_paired, within=SECONDS)
        return shown

    def _is_paired(self) -> bool:
        (pairing,) = json.loads(self.run("python manage.py reciprocal_pair list --json"))
        return pairing["state"] == "complete" and bool(pairing["findings"])

    def serve(self, command: str = "") -> None:
        """Start the server of the project, and wait until it responds."""
        more, arguments = _split(command or f"python manage.py runserver --noreload {self.port}")
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                arguments,
                cwd=self.folder,
                env=_environment(more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # runserver starts another process.
            )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and self._server.poll() is None:
            with contextlib.suppress(requests.RequestException):
                session = requests.Session()
                session.trust_env = False
                session.get(f"{self.url}/o/.well-known/oauth-authorization-server", timeout=10)
                return
            time.sleep(0.1)
        pytest.fail(f"{command} does not serve.\n{self.tail()}")

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self._server is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGTERM)
        self._server.wait(SECONDS)
        self._server = None

    def tail(self) -> str:
        """The last lines of the log of the server."""
        return "\n".join(self.log.read_text().splitlines()[-30:]) if self.log.exists() else ""


def _split(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables that stand before a command, and its words."""
    words = shlex.split(command)
    more: dict[str, str] = {}
    while "=" in words[0]:
        name, _equals, value = words.pop(0).partition("=")
        more[name] = value
    programs = {"python": [PYTHON], "django-admin": [PYTHON, "-m", "django"]}
    return more, [*programs.get(words[0], words[:1]), *words[1:]]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "DATABASE_", "TEST_DATABASE_", "EXAMPLE_"))
    }
    if sys.executable == PYTHON:
        kept["PYTHONPATH"] = str(ROOT)
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "DJANGO_COLORS": "nocolor", **more}
