"""The two sites as the tests see them: ask them, let them work, let a process of theirs die."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from example_project.driver import Page, Person
from example_project.sites import HOST, MANAGE_PY, Site

_REQUEST = re.compile(r'"(?:GET|POST) (\S+) HTTP/1\.1" (\d+)')
#: When to stop waiting. What is promised is the lease and five seconds, on a machine with nothing
#: else to do.
PATIENCE_SECONDS = 60


def wait_until(what: Callable[[], object]) -> None:
    """Wait until ``what`` gives something that is true."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)


class Place:
    """A site: its server, and a process that forks off others, see :mod:`.inside`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._server: int | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        with self.site.log_path.open("ab") as log:
            self._inside = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.inside"],
                cwd=MANAGE_PY.parent,
                env=self.site.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        with self._inside:  # Closes its input, with which it ends, and waits for it.
            yield

    # Processes

    def ask(self, function: str, **arguments: Any) -> Any:
        """Run a function of :mod:`.inside` in a process of its own, and give what it returns."""
        answer = self._fork(function, arguments)
        assert answer["status"] == 0, self.site.log_tail(60)
        return answer["said"]

    def dies(self, moment: str, function: str = "deliver", **arguments: Any) -> None:
        """Run a function in a process that kills itself at the ``moment``."""
        answer = self._fork(function, arguments, dies=moment)
        assert answer["status"] == -signal.SIGKILL, self.site.log_tail(60)

    def deliver(self) -> None:
        """Let a worker do what is due."""
        self.ask("deliver")

    @contextlib.contextmanager
    def delivering(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that goes on until it is told to stop, started as an administrator would."""
        with self.site.log_path.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, MANAGE_PY, "reciprocal_deliver", "--loop", "0.2"],
                env={**self.site.env, "EXAMPLE_RECIPROCAL_OAUTH": "{}"},
                stdout=log,
                stderr=log,
            )
        with worker:
            try:
                yield worker
            finally:
                worker.kill()

    def serve(self, *, dies: str = "", **arguments: Any) -> None:
        """Start the server.

        :param dies: the moment at which it is going to kill itself.
        """
        port = {"port": self.site.port}
        self._server = self._fork("serve", {**port, **arguments}, dies=dies, stays=True)
        wait_until(self._listens)

    def stop_serving(self) -> None:
        if self._server is not None:
            self._order(end=self._server, signal=int(signal.SIGTERM))
            self._server = None

    def server_has_died(self) -> None:
        """Assert that the server has killed itself."""
        status = self._order(end=self._server, signal=0)
        assert status == -signal.SIGKILL, self.site.log_tail(60)
        self._server = None

    @contextlib.contextmanager
    def serving(self, **arguments: Any) -> Iterator[None]:
        """Serve in another way for a while; afterwards, the usual server is back."""
        self.stop_serving()
        self.serve(**arguments)
        try:
            yield
        finally:
            self.stop_serving()
            self.serve()

    def _fork(
        self, function: str, arguments: dict[str, Any], *, dies: str = "", stays: bool = False
    ) -> Any:
        return self._order(function=function, arguments=arguments, dies=dies, stays=stays)

    def _order(self, **order: Any) -> Any:
        assert self._inside.stdin is not None
        assert self._inside.stdout is not None
        self._inside.stdin.write(json.dumps(order) + "\n")
        self._inside.stdin.flush()
        answer = self._inside.stdout.readline()
        assert answer, self.site.log_tail(60)
        return json.loads(answer)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.site.port)) == 0

    # The log

    def log_size(self) -> int:
        return self.site.log_path.stat().st_size

    def written_since(self, size: int) -> str:
        """What the site has logged since its log had this size."""
        return self.site.log_path.read_bytes()[size:].decode(errors="replace")

    def answers_since(self, size: int, path: str) -> list[int]:
        """The statuses with which requests for ``path`` were answered since."""
        found = _REQUEST.findall(self.written_since(size))
        return [int(status) for wanted, status in found if wanted == path]


@dataclass
class Story:
    """A person with an account at both sites, who begins at party A.

    :ivar begun: how much the sites had logged by then.
    """

    a: Place
    b: Place
    person: Person
    begun: dict[Place, int]

    @property
    def name(self) -> str:
        return self.person.name

    def allow(self) -> Page:
        """The person goes through the flow, up to the answer that lets A begin to hand over."""
        for place in (self.a, self.b):
            place.ask("add_user", name=self.name)
            self.person.sign_in(place.site)
        question = self.person.authorize(self.person.connect(self.a.site))
        return self.person.answer(question)

    def link(self) -> None:
        """The same, and nobody dies."""
        self.allow()
        self.go_on()

    def go_on(self) -> None:
        """Workers come by at both sites, as they do after a restart, until no row of the person
        is left to be worked on."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        rounds_at_rest = 0
        while rounds_at_rest < 2:  # What the second site does may be work for the first.
            left = [place.ask("deliver", name=self.name) for place in (self.a, self.b)]
            rounds_at_rest = 0 if any(left) else rounds_at_rest + 1
            assert time.monotonic() < give_up, (self.at(self.a), self.at(self.b))
            time.sleep(0.05)

    def at(self, place: Place) -> dict[str, Any]:
        """Everything that a site holds for the person."""
        return place.ask("state_of", name=self.name)
