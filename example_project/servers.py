"""Servers that run in processes of their own: the base class, and ports for them."""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

HOST = "127.0.0.1"

START_SECONDS = 120
STOP_SECONDS = 5
#: The ports among which :func:`free_ports` chooses. They are below those that the system gives to
#: whoever asks for any port.
_PORTS = range(20_000, 32_000)


class SiteError(Exception):
    """A server could not be started, or a command of a site failed. ``str()`` contains the
    output."""


class Server(ABC):
    """A server in a process of its own, with its log.

    :ivar url: the base URL of the server, without a slash at the end.
    :ivar env: the environment variables of the process. Changes after the start of the process have
        no effect on it.
    """

    #: The path that shows whether the server responds.
    ready_path = "/"

    def __init__(
        self, name: str, port: int, log_path: Path, env: Mapping[str, str], *, host: str = HOST
    ) -> None:
        self.name = name
        self.port = port
        self.url = f"http://{host}:{port}"
        self.log_path = log_path
        self.env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command line of the process."""

    @abstractmethod
    def order(self, *, prepare: bool) -> Any:
        """Return the value that the process reads from its standard input, as JSON."""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, prepare: bool = False) -> None:
        """Start the process of the server. The server accepts requests a little later; see
        :meth:`wait_until_ready`.

        :param prepare: whether the same process first prepares what the server needs.
        :raises SiteError: another process uses the port, or the server is running already.
        """
        if self.is_running:
            raise SiteError(f"{self} is running already.")
        if not port_is_free(self.port):
            raise SiteError(f"Port {self.port} is taken.")
        with self.log_path.open("ab") as log, tempfile.TemporaryFile("w+") as stdin:
            json.dump(self.order(prepare=prepare), stdin)
            stdin.seek(0)
            self._process = subprocess.Popen(
                self.command(),
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
                    session.get(f"{self.url}{self.ready_path}", timeout=10)
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
        """Return the whole log of the server."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log of the server."""
        return "\n".join(self.read_log().splitlines()[-lines:])


@contextlib.contextmanager
def running(*servers: Server, prepare: bool = False) -> Iterator[None]:
    """Start the servers and wait until all of them respond to requests. At the end of the ``with``
    block, stop them.

    :param prepare: whether the servers are prepared first; see :meth:`Server.start`.
    :raises SiteError: a server does not start.
    """
    try:
        for server in servers:
            server.start(prepare=prepare)
        for server in servers:
            server.wait_until_ready()
        yield
    finally:
        for server in servers:
            server.stop()


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
    """Return ports of the loopback address that no server uses now.

    The system gives none of them to a client or to a server that asks for any port, so they stay
    free until they are used.
    """
    ports = random.sample(_PORTS, len(_PORTS))
    return list(itertools.islice(filter(port_is_free, ports), count))


def end_with_parent() -> None:
    """Stop this process when the process that started it has ended. A parent that is killed cannot
    stop this process itself. Do nothing if no :class:`Server` started this process."""
    parent = os.environ.get("EXAMPLE_ENDS_WITH")
    if not parent:
        return

    def wait() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
