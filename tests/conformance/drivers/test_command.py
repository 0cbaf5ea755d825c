"""The driver ``command`` speaks with a program, one line of JSON each way."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reciprocal_oauth.conformance.drivers.journeys import (
    Driver,
    Journey,
    JourneyFailed,
    Outcome,
    Unsupported,
)

#: A program that says for each journey what the user is called.
PROGRAM = """import json, os, sys, time
for line in sys.stdin:
    journey = json.loads(line)
{body}
"""


def never() -> bool:
    return False


@pytest.fixture
def run(make_driver: Callable[..., Driver], tmp_path: Path) -> Callable[..., Driver]:
    """Makes a driver with a program whose loop over the journeys has this body."""

    def run(body: str, **table: object) -> Driver:
        file = tmp_path / "program.py"
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        file.write_text(PROGRAM.format(body=lines))
        table = {"command": [sys.executable, str(file)], **table}
        return make_driver("a", kind="command", **table)

    return run


def answers(text: str) -> str:
    return f"print({text!r}, flush=True)"


def test_a_journey_goes_out_and_an_answer_comes_back(run: Callable[..., Driver]) -> None:
    driver = run(
        """said = "&".join(f"{name}={value}" for name, value in journey.items())
url = f"http://a.example/?{said}"
print(json.dumps({"ok": True, "url": url, "status": 200, "consent": True}), flush=True)"""
    )

    first = driver.go(Journey("link", "alice", decision="look", scopes=("read",)), never)
    second = driver.go(Journey("end", "bob"), never)

    url = "http://a.example/?journey=link&user=alice&decision=look&scopes=['read']"
    assert first == Outcome(url, 200, consent=True)
    assert second.url == "http://a.example/?journey=end&user=bob"


def test_an_answer_needs_nothing_but_ok(run: Callable[..., Driver]) -> None:
    driver = run(answers('{"ok": true, "url": null, "more": 1}'))

    assert driver.go(Journey("end", "alice"), never) == Outcome()


def test_one_program_does_all_journeys(run: Callable[..., Driver]) -> None:
    driver = run('print(json.dumps({"ok": True, "url": str(os.getpid())}), flush=True)')

    urls = {driver.go(Journey("end", "alice"), never).url for _time in range(3)}

    assert len(urls) == 1


def test_an_error_of_the_program_is_that_of_the_journey(run: Callable[..., Driver]) -> None:
    driver = run(answers('{"ok": false, "error": "no button Allow", "status": 404}'))

    with pytest.raises(JourneyFailed, match=r"^no button Allow$") as caught:
        driver.go(Journey("end", "alice"), never)

    assert caught.value.outcome == Outcome(status=404)


def test_an_error_page_is_a_failure_but_where_checks_look_at_its_status(
    run: Callable[..., Driver],
) -> None:
    driver = run(answers('{"ok": true, "status": 403, "url": "http://a.example/"}'))

    with pytest.raises(JourneyFailed, match=r"error page, status 403: http://a\.example/"):
        driver.go(Journey("end", "alice"), never)
    assert driver.go(Journey("forge", "alice", how="get"), never).status == 403


def test_a_program_can_say_that_it_does_not_know_a_journey(run: Callable[..., Driver]) -> None:
    driver = run(answers('{"unsupported": true}'))

    with pytest.raises(Unsupported):
        driver.go(Journey("end", "alice"), never)


def test_a_journey_that_is_not_listed_does_not_reach_the_program(
    run: Callable[..., Driver],
) -> None:
    driver = run(answers('{"ok": true}'), journeys=["link"])

    with pytest.raises(Unsupported, match=r"driver\.journeys does not have end"):
        driver.go(Journey("end", "alice"), never)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Traceback", "answered what is no JSON: Traceback"),
        ("[" * 50_000, "answered what is no JSON: [[["),
        ("[]", "answered what is no JSON object: []"),
        ("{}", 'answered with "ok": None, which is not true or false.'),
        ('{"ok": 1}', 'answered with "ok": 1, which is not true or false.'),
        ('{"ok": true, "status": "200"}', "\"status\": '200', which is not a number."),
        ('{"ok": true, "status": true}', '"status": True, which is not a number.'),
        ('{"ok": true, "url": 1}', '"url": 1, which is not a text.'),
        ('{"ok": true, "consent": "yes"}', "\"consent\": 'yes', which is not true or false."),
    ],
)
def test_another_answer_is_a_failure(run: Callable[..., Driver], answer: str, said: str) -> None:
    driver = run(answers(answer) if len(answer) < 1000 else 'print("[" * 50_000, flush=True)')

    with pytest.raises(JourneyFailed) as caught:
        driver.go(Journey("end", "alice"), never)

    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_program_that_writes_before_it_was_asked_is_said(run: Callable[..., Driver]) -> None:
    driver = run(f"""{answers('{"ok": true}' + chr(10) + "more")}""")
    driver.go(Journey("end", "alice"), never)
    time.sleep(0.5)

    with pytest.raises(JourneyFailed, match="wrote before it was asked: more"):
        driver.go(Journey("end", "alice"), never)


def test_a_program_that_writes_on_and_on_is_ended(run: Callable[..., Driver]) -> None:
    driver = run("for number in range(1000): print(number)\nsys.exit()")

    with pytest.raises(JourneyFailed, match="no JSON object: 0"):
        driver.go(Journey("end", "alice"), never)
    driver.close()

    assert left([]) == []


def test_a_program_that_ends_is_said_with_its_last_words(run: Callable[..., Driver]) -> None:
    driver = run('raise SystemExit("cannot " + "go on")')

    with pytest.raises(JourneyFailed) as caught:
        driver.go(Journey("end", "alice"), never)

    assert str(caught.value) == (
        f"The program {sys.executable} has ended with status 1. Its standard error ends with:\n"
        "cannot go on"
    )


def test_after_a_failure_the_program_is_started_again(
    run: Callable[..., Driver], tmp_path: Path
) -> None:
    been = tmp_path / "been"
    driver = run(
        f"""if not os.path.exists({str(been)!r}):
    open({str(been)!r}, "w").close()
    os._exit(3)
{answers('{"ok": true}')}"""
    )
    with pytest.raises(JourneyFailed, match="has ended with status 3"):
        driver.go(Journey("end", "alice"), never)

    assert driver.go(Journey("end", "alice"), never) == Outcome()


def test_an_answer_that_comes_too_late_is_not_that_of_the_next_journey(
    run: Callable[..., Driver],
) -> None:
    driver = run(
        """time.sleep(2 if journey["user"] == "slow" else 0)
print(json.dumps({"ok": True, "url": journey["user"]}), flush=True)""",
        seconds=1,
    )
    with pytest.raises(JourneyFailed, match=r"did not answer in 1 seconds\. It must flush"):
        driver.go(Journey("end", "slow"), never)
    time.sleep(1.5)

    assert driver.go(Journey("end", "quick"), never).url == "quick"


def test_patience_makes_the_limit_longer(run: Callable[..., Driver]) -> None:
    driver = run("time.sleep(60)", seconds=2, options={"patience": 0.1})

    with pytest.raises(JourneyFailed, match=r"did not answer in 0\.2 seconds"):
        driver.go(Journey("end", "alice"), never)


def test_a_program_that_says_much_does_not_stop(run: Callable[..., Driver]) -> None:
    driver = run(
        f"""sys.stderr.write("x" * 1_000_000 + "\\n" + "the end\\n")
sys.stderr.flush()
{answers('{"ok": true}')}
if journey["user"] == "bob":
    sys.exit(1)"""
    )

    for user in ("alice", "bob"):
        driver.go(Journey("end", user), never)
    with pytest.raises(JourneyFailed) as caught:
        driver.go(Journey("end", "alice"), never)

    assert str(caught.value).endswith("the end")
    assert len(str(caught.value)) < 12_000


def test_a_program_can_be_given_as_one_text(
    make_driver: Callable[..., Driver], tmp_path: Path
) -> None:
    file = tmp_path / "my program.py"
    file.write_text(PROGRAM.format(body="    " + answers('{"ok": true}')))
    driver = make_driver("b", kind="command", command=f"{sys.executable} '{file}'")

    assert driver.go(Journey("end", "alice"), never) == Outcome()


def test_at_the_end_the_program_can_tidy_up(run: Callable[..., Driver], tmp_path: Path) -> None:
    tidy = tmp_path / "tidy"
    driver = run(
        f"""import atexit
atexit.register(lambda: open({str(tidy)!r}, "w").close())
{answers('{"ok": true}')}"""
    )
    driver.go(Journey("end", "alice"), never)

    driver.close()

    assert tidy.exists()


@pytest.mark.parametrize("then", ["while True: time.sleep(60)", "continue"])
def test_at_the_end_no_process_and_no_thread_is_left(
    run: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr("reciprocal_oauth.conformance.drivers.command._END_SECONDS", 0.3)
    driver = run(
        """import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print(json.dumps({"ok": True, "url": f"{os.getpid()} {child.pid}"}), flush=True)
"""
        + then
    )
    pids = [int(pid) for pid in driver.go(Journey("end", "alice"), never).url.split()]

    driver.close()

    # The system takes a moment to end what was killed.
    until = time.monotonic() + 20
    while left(pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert left(pids) == []


def left(pids: list[int]) -> list[object]:
    """The processes that still run, and the threads of the driver."""
    threads = [each for each in threading.enumerate() if each.name == "driver-command"]
    return [*threads, *(pid for pid in pids if is_alive(pid))]


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended may wait for its parent to notice."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
