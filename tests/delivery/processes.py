"""Helpers that start other processes on the database of the tests."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

TOP = Path(__file__).resolve().parent.parent.parent


def url_of_the_database() -> str:
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    scheme = {"postgresql": "postgres", "mysql": "mysql"}[connection.vendor]
    user = f"{quote(values['USER'])}:{quote(values['PASSWORD'])}"
    return f"{scheme}://{user}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


def soon(is_true: Callable[[], Any], within: float = 30.0) -> None:
    """Wait until the condition is true. The timeout is long, for slow machines."""
    end = time.monotonic() + within
    while not is_true():
        assert time.monotonic() < end, "It has not happened."
        time.sleep(0.02)


class Process:
    """A process with its child processes and its output."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as written:
            self._started = subprocess.Popen(
                command,
                env={**os.environ, **env},
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._started.pid

    def written(self) -> str:
        return self.log.read_text()

    def until(self, is_true: Callable[[], Any]) -> None:
        """Wait until the condition is true, as long as the process runs."""
        soon(lambda: self._started.poll() is not None or is_true())
        assert self._started.poll() is None, f"It has ended:\n{self.written()}"

    def kill(self) -> None:
        """Kill the process and its children."""
        os.killpg(self.pid, signal.SIGKILL)
        self._started.wait(10)

    def end(self, within: float = 20.0) -> int:
        """Send SIGTERM, as an operator would, and return the exit status."""
        self._started.terminate()
        try:
            return self._started.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"It has not ended:\n{self.written()}")

    def clean_up(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._started.wait(10)


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    process = Process(command, env, log)
    try:
        yield process
    finally:
        process.clean_up()
