"""How long a peer's name may take to be looked up, and what a name server that is dead costs."""

import os
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import override_settings
from pytest_django import Settings

from reciprocal_oauth.client import addresses, http
from reciprocal_oauth.client.addresses import resolve
from reciprocal_oauth.exceptions import PeerUnreachable

from ..names import Names

PUBLIC = "93.184.216.34"
SHORT = {"HTTP_CONNECT_TIMEOUT_SECONDS": 0.05}


@pytest.fixture
def dead(names: Names) -> Names:
    """The name server of ``dead.example`` does not answer."""
    names.resolve("dead.example", PUBLIC)
    names.hang("dead.example")
    return names


def _nobody_waits_for(host: str) -> None:
    with override_settings(RECIPROCAL_OAUTH=SHORT), pytest.raises(PeerUnreachable):
        resolve(host, 443)


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("resolve-")]


def _wait_until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


@pytest.mark.threat("H8", "R9")
@pytest.mark.parametrize("setting", ["HTTP_CONNECT_TIMEOUT_SECONDS", "HTTP_TOTAL_TIMEOUT_SECONDS"])
def test_a_name_server_that_does_not_answer_is_not_waited_for(
    setting: str, dead: Names, connected_to: list[Any], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {setting: 0.05}

    with pytest.raises(PeerUnreachable, match=r"dead\.example does not .*: no response in 0\.05 s"):
        http.call("GET", "https://dead.example/")

    assert connected_to == []


@pytest.mark.threat("R2", "R26")
def test_a_name_that_hangs_holds_one_thread_however_often_its_peer_is_tried(dead: Names) -> None:
    for _ in range(5):
        _nobody_waits_for("dead.example")

    assert _threads() == ["resolve-dead.example"]
    assert dead.asked == ["dead.example"]


@pytest.mark.threat("R2")
def test_a_name_that_hangs_does_not_hold_up_another(dead: Names) -> None:
    dead.resolve("peer.example", PUBLIC)
    _nobody_waits_for("dead.example")

    assert resolve("peer.example", 443) == [PUBLIC]


@pytest.mark.threat("R9", "R26")
def test_a_dead_resolver_cannot_pile_up_threads(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "MAX_LOOKUPS", 2)
    hosts = [f"{n}.example" for n in range(4)]
    for host in hosts:
        names.resolve(host, PUBLIC)
    names.hang(*hosts)

    for host in hosts:
        _nobody_waits_for(host)
    assert _threads() == ["resolve-0.example", "resolve-1.example"]

    names.let_go()
    assert [resolve(host, 443) for host in hosts] == [[PUBLIC]] * 4


def test_an_answer_that_comes_late_is_not_kept_for_the_next_exchange(names: Names) -> None:
    names.resolve("dead.example", "10.0.0.1", PUBLIC)
    names.hang("dead.example")
    _nobody_waits_for("dead.example")

    names.let_go()

    assert resolve("dead.example", 443) == [PUBLIC]


def test_who_asks_at_the_same_time_gets_the_same_answer(dead: Names) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(resolve, "dead.example", 443) for _ in range(4)]
        _wait_until(lambda: dead.asked)
        dead.let_go()

        assert [answer.result() for answer in answers] == [[PUBLIC]] * 4

    assert set(dead.asked) == {"dead.example"}


def test_a_name_that_could_not_be_asked_for_is_asked_for_the_next_time(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.resolve("peer.example", PUBLIC)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(PeerUnreachable):
            http.call("GET", "https://peer.example/")

    assert resolve("peer.example", 443) == [PUBLIC]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the name does not exist",
        ),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "no name server responds"),
        (socket.gaierror(socket.EAI_FAIL, "?"), r"the look-up failed \(gaierror\)"),
    ],
)
def test_it_is_said_in_words_why_a_name_does_not_resolve(
    error: OSError, reason: str, names: Names
) -> None:
    names.resolve("peer.example", error)

    with pytest.raises(PeerUnreachable, match=rf"^peer\.example does not resolve: {reason}"):
        http.call("GET", "https://peer.example/")


@pytest.mark.threat("R21")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_off_asks_for_itself(
    dead: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nobody_waits_for("dead.example")
    monkeypatch.setattr(addresses, "MAX_LOOKUPS", 1)
    with warnings.catch_warnings():
        # Python warns of forks where there are threads: they are what is tested.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        status = 1
        try:
            dead.resolve("peer.example", PUBLIC)
            status = 0 if list(resolve("peer.example", 443)) == [PUBLIC] else 2
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
