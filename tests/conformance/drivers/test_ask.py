"""The driver ``ask`` says what to do, and waits for the tester or for Enter."""

import io
import os
import pty
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from reciprocal_oauth.conformance.drivers.ask import AskDriver
from reciprocal_oauth.conformance.drivers.journeys import (
    Journey,
    JourneyFailed,
    Outcome,
    Unsupported,
)

REQUEST = "http://b.example/authorize?client_id=x"
ALL = ["authorize", "use", "end", "link", "update", "open"]


def never() -> bool:
    return False


@dataclass
class Terminal:
    """A terminal, with a person at it."""

    keys: TextIO
    _person: int

    def type(self, text: str) -> None:
        os.write(self._person, text.encode())

    def type_after(self, seconds: float, text: str) -> None:
        threading.Timer(seconds, self.type, (text,)).start()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    person, program = pty.openpty()
    with os.fdopen(program, "r") as keys:
        yield Terminal(keys, person)
    os.close(person)


def asking(
    keys: TextIO | None = None, seconds: float = 5, **urls: str
) -> tuple[AskDriver, io.StringIO]:
    out = io.StringIO()
    return AskDriver(ALL, urls, seconds, out=out, keys=keys or io.StringIO()), out


def soon() -> Callable[[], bool]:
    """Whether the tester has seen it: the second time."""
    answers = iter([False])
    return lambda: next(answers, True)


@pytest.mark.parametrize(
    ("journey", "said"),
    [
        (
            Journey("authorize", "alice", REQUEST),
            "As alice: open this address, sign in if you are asked to, and allow what is asked.\n"
            f"    {REQUEST}\n",
        ),
        (Journey("end", "bob"), "As bob: disconnect the tester.\n"),
        (
            Journey("link", "alice", decision="allow"),
            "As alice: connect the tester. When the site asks what the tester may do, "
            "allow exactly: all that is offered.\n",
        ),
        (
            Journey("link", "alice", decision="allow", scopes=("read", "write")),
            "allow exactly: read write.\n",
        ),
        (Journey("link", "alice", decision="deny"), "do not allow it.\n"),
        (Journey("link", "alice", decision="look"), "stop there: answer nothing.\n"),
        (Journey("update", "alice", scopes=()), "Allow exactly: nothing.\n"),
        (
            Journey("open", "alice", REQUEST),
            f"As alice: open this address in the browser in which you connected the tester.\n"
            f"    {REQUEST}\n",
        ),
    ],
)
def test_it_says_what_to_do(journey: Journey, said: str) -> None:
    driver, out = asking()

    assert driver.go(journey, soon()) == Outcome()
    assert said in out.getvalue()


def test_it_says_where_to_begin_if_that_is_configured() -> None:
    driver, out = asking(link="http://a.example/connections/?user={user}")

    driver.go(Journey("link", "alice", decision="deny"), soon())

    assert "\n    http://a.example/connections/?user=alice\n" in out.getvalue()


def test_it_ends_when_the_tester_has_seen_it() -> None:
    driver, out = asking()

    driver.go(Journey("end", "alice"), soon())

    assert "The tester goes on when it has seen it.\n" in out.getvalue()
    assert out.getvalue().endswith("The tester has seen it. Thank you.\n\n")


def test_it_ends_on_enter(terminal: Terminal) -> None:
    driver, out = asking(terminal.keys)
    terminal.type_after(0.3, "\n")

    assert driver.go(Journey("end", "alice"), never) == Outcome()
    assert "or when you press Enter.\n" in out.getvalue()


@pytest.mark.parametrize(("typed", "consent"), [("\n", True), ("n\n", False), ("No\n", False)])
def test_after_a_look_the_person_says_whether_the_site_asks(
    terminal: Terminal, typed: str, consent: bool
) -> None:
    driver, out = asking(terminal.keys)
    terminal.type_after(0.3, typed)

    outcome = driver.go(Journey("link", "alice", decision="look"), never)

    assert outcome == Outcome(consent=consent)
    assert "press Enter if the site asks, or n and Enter if it does not ask.\n" in out.getvalue()


def test_enter_that_was_pressed_before_does_not_count(terminal: Terminal) -> None:
    driver, _out = asking(terminal.keys, seconds=0.5)
    terminal.type("\n\n")
    time.sleep(0.1)

    with pytest.raises(JourneyFailed):
        driver.go(Journey("end", "alice"), never)


def test_nobody_is_waited_for_longer_than_the_limit() -> None:
    driver, _out = asking(seconds=0.3)

    with pytest.raises(JourneyFailed, match=r"Nobody did it in 0\.3 seconds"):
        driver.go(Journey("end", "alice"), never)


def test_an_input_that_is_no_terminal_is_not_read() -> None:
    keys = io.StringIO("\n\n\n")
    driver, _out = asking(keys, seconds=0.3)

    with pytest.raises(JourneyFailed):
        driver.go(Journey("end", "alice"), never)

    assert keys.read() == "\n\n\n"


def test_after_the_end_of_the_input_the_tester_alone_counts(terminal: Terminal) -> None:
    driver, out = asking(terminal.keys)
    terminal.type("\x04")
    time.sleep(0.1)

    assert driver.go(Journey("end", "alice"), soon()) == Outcome()
    assert "The tester goes on when it has seen it.\n" in out.getvalue()


def test_a_closed_input_is_no_error() -> None:
    keys = io.StringIO()
    keys.close()
    driver, _out = asking(keys)

    assert driver.go(Journey("end", "alice"), soon()) == Outcome()


def test_no_thread_is_left(terminal: Terminal) -> None:
    before = threading.active_count()
    driver, _out = asking(terminal.keys)
    driver.go(Journey("end", "alice"), soon())
    driver.close()

    assert threading.active_count() == before


def test_an_attack_cannot_be_asked_of_a_person() -> None:
    driver, _out = asking()

    with pytest.raises(Unsupported):
        driver.go(Journey("forge", "alice", how="get"), never)
