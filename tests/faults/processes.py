"""The processes of a run: started, counted in memory, killed, started again, stopped."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STOP_SECONDS = 10
#: From this age on a process has loaded what it needs: what it takes later is growth.
SETTLED_AFTER_SECONDS = 10


@dataclass
class Process:
    """One process, and how to start it again.

    :ivar is_server: it forks workers of its own and sees to them.
    :ivar is_mortal: it may be killed.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    is_server: bool = False
    is_mortal: bool = False
    output: Any = None
    running: subprocess.Popen[str] = field(init=False)

    def start(self) -> "Process":
        with self.log.open("a") as log:
            self.running = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=self.output or log,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        return self

    @property
    def has_ended(self) -> bool:
        return self.running.poll() is not None

    def pids(self) -> list[int]:
        """Of the processes that do the work: those that a server has forked, else its own."""
        pid = self.running.pid
        if not self.is_server:
            return [pid]
        with contextlib.suppress(OSError):
            return [
                int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            ]
        return []

    def ask_to_stop(self) -> None:
        self.running.terminate()

    def stop(self) -> None:
        """Wait for its end, and bring it about where that takes too long."""
        try:
            self.running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()


@dataclass
class Memory:
    """Of one process, in MB."""

    name: str
    since: float
    peak: float
    settled: float = 0.0

    @property
    def growth(self) -> float:
        return self.peak - self.settled if self.settled else 0.0


class Crew:
    """All processes of the sites."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._processes: list[Process] = []
        self.kills: list[tuple[float, str]] = []
        self.died: list[str] = []
        self.memory: dict[int, Memory] = {}

    def start(self, process: Process) -> Process:
        self._processes.append(process.start())
        return process

    def kill_one(self) -> None:
        """``kill -9`` for one of the processes that serve or deliver."""
        victims = [
            (process, pid)
            for process in self._processes
            if process.is_mortal
            for pid in process.pids()
        ]
        if not victims:
            return
        process, pid = self._chance.choice(victims)
        self.kills.append((time.time(), process.name))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if not process.is_server:
            process.running.wait()
            process.start()

    def revive(self) -> None:
        """Start again what has ended by itself, which nothing should."""
        for process in self._processes:
            if process.is_mortal and process.has_ended:
                self.died.append(f"{process.name} ended with {process.running.returncode}")
                process.start()

    def look_at_memory(self) -> None:
        now = time.monotonic()
        for process in self._processes:
            for pid in process.pids() if process.is_mortal else ():
                if not (size := _resident(pid)):
                    continue
                seen = self.memory.setdefault(pid, Memory(process.name, now, size))
                seen.peak = max(seen.peak, size)
                if not seen.settled and now - seen.since > SETTLED_AFTER_SECONDS:
                    seen.settled = size

    def stop(self) -> None:
        for process in self._processes:
            process.ask_to_stop()
        for process in self._processes:
            process.stop()


@contextlib.contextmanager
def crew(seed: int) -> Iterator[Crew]:
    """Processes that are stopped when the block ends."""
    made = Crew(random.Random(f"kills {seed}"))
    try:
        yield made
    finally:
        made.stop()


def _resident(pid: int) -> float:
    """Resident memory of a process in MB; 0: it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0
