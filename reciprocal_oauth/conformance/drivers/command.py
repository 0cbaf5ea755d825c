"""The driver ``command``: a program of your own, in any language.

::

    [driver]
    kind = "command"
    command = ["node", "driver.mjs"]        # or a text: "node driver.mjs"
    journeys = ["authorize", "end"]        # optional: what the program can do. Default: all
    seconds = 120                          # optional: at most, until an answer

The program is started before its first journey. For each journey it gets a line of JSON on its
standard input::

    {"journey": "authorize", "user": "alice", "url": "http://127.0.0.1:8001/o/authorize/?…"}

The members are those of :class:`.Journey`; what is empty is left out. It answers with one line of
JSON on its standard output:

- ``{"ok": true}``: the person got through. Optional members: ``url`` and ``status`` of the last
  page, and ``consent``, for the decision ``look``: whether the page asks for consent.
- ``{"ok": false, "error": "…"}``: the person did not get through.
- ``{"unsupported": true}``: the program does not know this journey.

What it writes to its standard error is quoted when a journey fails. If it ends, does not answer in
time, or answers something else, the journey fails, and the next one starts the program again. At
the end its standard input is closed; it has two seconds to end.
"""

import contextlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from ..errors import UsageError
from ..tables import list_of, nearest, only_known, seconds_of
from .journeys import NAMES, Journey, JourneyFailed, Outcome, Unsupported, arrived

_SECONDS: Final = 120.0
#: How long the program may take to end: by itself, and after it was asked to.
_END_SECONDS: Final = 2.0
#: How much of the standard error is kept, and how long a line of it may be.
_LINES: Final = 20
_CHARACTERS: Final = 500
_LONGEST_ANSWER: Final = 100_000


def from_table(table: Mapping[str, Any], role: str, patience: float) -> "CommandDriver":
    """Make the driver of the table ``[driver]``.

    :param patience: a factor for the time until an answer.
    :raises UsageError: the table is wrong, or the program does not exist.
    """
    only_known("driver", table, ("kind", "command", "journeys", "seconds"))
    journeys = list_of("driver.journeys", table.get("journeys", list(NAMES[role])))
    for name in journeys:
        if name not in NAMES[role]:
            hint = nearest(name, NAMES[role])
            raise UsageError(
                f"driver.journeys: {name} is no journey of party {role.upper()}.{hint}"
            )
    seconds = seconds_of("driver", table, "seconds", _SECONDS)
    return CommandDriver(_words(table.get("command")), journeys, seconds * patience)


def _words(value: Any) -> list[str]:
    """Return the program and its arguments."""
    if value is None:
        raise UsageError('driver.command is missing: ["python", "driver.py"].')
    try:
        words = shlex.split(value) if isinstance(value, str) else list_of("driver.command", value)
    except ValueError as error:
        raise UsageError(f"driver.command cannot be split into words: {error}.") from error
    if not words:
        raise UsageError("driver.command is empty.")
    if shutil.which(words[0]) is None:
        raise UsageError(f"driver.command: there is no program {words[0]}.")
    return words


class CommandDriver:
    """Lets a program carry out journeys."""

    def __init__(self, words: list[str], journeys: list[str], seconds: float) -> None:
        """:param words: the program and its arguments.
        :param journeys: the names of the journeys that it knows.
        :param seconds: at most, until an answer.
        """
        self._words = words
        self._journeys = journeys
        self._seconds = seconds
        self._program: _Program | None = None

    def supports(self, name: str) -> bool:
        return name in self._journeys

    def go(self, journey: Journey, is_over: Callable[[], bool]) -> Outcome:
        """Let the program carry out a journey.

        :raises JourneyFailed: it says so, ends, does not answer in time, or answers something else.
        :raises Unsupported: it does not know the journey.
        """
        if not self.supports(journey.name):
            raise Unsupported(f"driver.journeys does not have {journey.name}.")
        try:
            answer = self._answer(journey)
            outcome = _outcome(answer)
        except _NoAnswer as error:
            text = f"The program {self._words[0]} {error}"
            if self._program is not None:
                text += self._program.last_words()
            # Its answer may still come, and must not be taken for that of the next journey.
            self.close()
            raise JourneyFailed(text) from error
        return arrived(journey, outcome)

    def close(self) -> None:
        """End the program."""
        program, self._program = self._program, None
        if program is not None:
            program.end()

    def _answer(self, journey: Journey) -> str:
        if self._program is None:
            try:
                self._program = _Program(self._words)
            except OSError as error:
                raise _NoAnswer(f"cannot be started: {error.strerror}.") from error
        self._program.say(json.dumps(journey.as_json()))
        return self._program.hear(self._seconds)


class _NoAnswer(Exception):
    """There is no answer that can be used. ``str()`` goes on after "The program X"."""


class _Program:
    """The program while it runs. Two threads read what it writes, so that it never has to wait.
    They end with it."""

    def __init__(self, words: list[str]) -> None:
        """:raises OSError: the program cannot be started."""
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C in the terminal is for the tester, which then ends the program.
            start_new_session=True,
        )
        self._answers: queue.Queue[str] = queue.Queue(maxsize=100)
        self._errors: deque[str] = deque(maxlen=_LINES)
        self._readers = [
            threading.Thread(target=read, args=(stream,), name="driver-command", daemon=True)
            for read, stream in (
                (self._read_answers, self._process.stdout),
                (self._read_errors, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def say(self, line: str) -> None:
        """Write a line to the program.

        :raises _NoAnswer: the program has ended, or has written something that nobody asked for.
        """
        with contextlib.suppress(queue.Empty):
            early = self._answers.get_nowait()
            if not early:
                raise self._ended()
            raise _NoAnswer(f"wrote before it was asked: {early.strip()[:_CHARACTERS]}")
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it was asked for
        try:
            stdin.write(line + "\n")
            stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def hear(self, seconds: float) -> str:
        """Return the next line that the program writes.

        :raises _NoAnswer: there is none in this time, or the program has ended.
        """
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise _NoAnswer(
                f"did not answer in {seconds:g} seconds. It must flush its output after each line."
            ) from None
        if not line:
            raise self._ended()
        return line

    def last_words(self) -> str:
        """Return the last lines of its standard error, or an empty text."""
        # What it wrote before it ended may not be read yet.
        if self._process.poll() is not None:
            self._readers[1].join(_END_SECONDS)
        said = "\n".join(self._errors)
        return f" Its standard error ends with:\n{said}" if said else ""

    def end(self) -> None:
        """Close its standard input. If it does not end, ask it to, and at last kill it."""
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(OSError):
                stdin.close()
        for end in (None, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if end is not None:
                self._signal(end)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
                break
        # What the program has started, and left behind.
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        for reader in self._readers:
            reader.join(_END_SECONDS)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()

    def _ended(self) -> _NoAnswer:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        return _NoAnswer(f"has ended with status {self._process.poll()}.")

    def _read_answers(self, stream: IO[str]) -> None:
        """Put lines into the queue, and an empty text at the end."""
        with stream:
            line = stream.readline(_LONGEST_ANSWER)
            while line:
                # Of a program that writes on and on, the first lines say enough.
                with contextlib.suppress(queue.Full):
                    self._answers.put_nowait(line)
                line = stream.readline(_LONGEST_ANSWER)
        with contextlib.suppress(queue.Full):
            self._answers.put_nowait("")

    def _read_errors(self, stream: IO[str]) -> None:
        with stream:
            while line := stream.readline(_CHARACTERS):
                self._errors.append(line.rstrip())


def _outcome(line: str) -> Outcome:
    """Read an answer.

    :raises _NoAnswer: it is none.
    :raises JourneyFailed: it says that the person did not get through.
    :raises Unsupported: it says that the program does not know the journey.
    """
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise _NoAnswer(f"answered what is no JSON: {line.strip()[:_CHARACTERS]}") from None
    if not isinstance(answer, dict):
        raise _NoAnswer(f"answered what is no JSON object: {line.strip()[:_CHARACTERS]}")
    if answer.get("unsupported") is True:
        raise Unsupported("The program does not know this journey.")
    url, status, consent = (answer.get(name) for name in ("url", "status", "consent"))
    _require("ok", answer.get("ok"), bool, "true or false")
    _require("url", url, str, "a text")
    _require("status", status, int, "a number")
    _require("consent", consent, bool, "true or false")
    outcome = Outcome(url or "", status, consent)
    if not answer["ok"]:
        error = answer.get("error")
        raise JourneyFailed(str(error) if error else "The program gives no reason.", outcome)
    return outcome


def _require(name: str, value: Any, kind: type, expected: str) -> None:
    is_right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not is_right and (value is not None or name == "ok"):
        raise _NoAnswer(f'answered with "{name}": {value!r}, which is not {expected}.')
