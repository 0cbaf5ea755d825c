"""Listeners are told what happens, and cannot break it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_django import Settings

from reciprocal_oauth.core import telemetry
from reciprocal_oauth.core.telemetry import Count, Duration, Listener, Span, Step

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Notes(Listener, Span):
    """Notes what it is told."""

    def __init__(self, trace: str = "") -> None:
        self.told: list[Any] = []
        self._trace = trace

    def count(self, count: Count, labels: Mapping[str, str]) -> None:
        self.told.append((count, dict(labels)))

    def observe(self, duration: Duration, seconds: float, labels: Mapping[str, str]) -> None:
        self.told.append((duration, dict(labels)))

    @contextmanager
    def span(self, step: Step, attributes: Mapping[str, str], parent: str) -> Iterator[Span]:
        self.told.append(("begins", step, dict(attributes), parent))
        yield self
        self.told.append(("ends", step))

    def set(self, name: str, value: str) -> None:
        self.told.append((name, value))

    def failed(self, reason: str) -> None:
        self.told.append(("failed", reason))

    def trace_parent(self) -> str:
        return self._trace


class Broken(Listener):
    """Fails whatever it is told."""

    def count(self, *args: Any) -> None:
        raise RuntimeError("count")

    observe = span = trace_parent = count  # type: ignore[assignment]


class BrokenSpan(Listener):
    """Fails when a span ends."""

    @contextmanager
    def span(self, *args: Any) -> Iterator[Span]:
        yield self  # type: ignore[misc]
        raise RuntimeError("the end")


def test_without_a_listener_nothing_is_done() -> None:
    assert not telemetry.is_on()
    telemetry.count(Count.TOKEN_REFRESHES, peer="music")
    with telemetry.span(Step.HANDOVER, "music") as span, telemetry.http_request() as ended:
        span.set("result", "accepted")
        ended("2xx")
    assert telemetry.trace_headers() == {}


def test_labels_that_are_not_given_are_empty() -> None:
    notes = Notes()
    with telemetry.listening(notes):
        telemetry.count(Count.CONNECTIONS, peer="music", result="linked")

    assert notes.told == [(Count.CONNECTIONS, {"peer": "music", "result": "linked", "reason": ""})]


def test_a_request_has_the_peer_and_the_purpose_of_the_step_around_it() -> None:
    notes = Notes()
    with telemetry.listening(notes):
        with telemetry.span(Step.REFRESH, "music"), telemetry.http_request() as ended:
            ended("4xx")
        with pytest.raises(OSError, match="gone"), telemetry.http_request("music", "api"):
            raise OSError("gone")

    assert [each[1] for each in notes.told if each[0] is Duration.HTTP_REQUEST] == [
        {"peer": "music", "purpose": "refresh", "outcome": "4xx"},
        {"peer": "music", "purpose": "api", "outcome": "unreachable"},
    ]


@pytest.mark.threat("X123")
def test_an_exception_ends_a_step_with_its_name_but_not_with_its_text() -> None:
    notes = Notes()
    with (
        telemetry.listening(notes),
        pytest.raises(ValueError, match="s3cret"),
        telemetry.span(Step.HANDOVER, "music", parent=TRACE),
    ):
        raise ValueError("s3cret")

    assert notes.told == [
        ("begins", Step.HANDOVER, {"peer": "music"}, TRACE),
        ("failed", "ValueError"),
        ("ends", Step.HANDOVER),
    ]


@pytest.mark.parametrize("broken", [Broken(), BrokenSpan()])
def test_a_listener_that_fails_is_logged_and_breaks_nothing(
    broken: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes(TRACE)
    with telemetry.listening(broken), telemetry.listening(notes):
        telemetry.count(Count.HANDOVER_REFUSALS)
        with telemetry.span(Step.HANDOVER) as span, telemetry.http_request():
            span.set("a", "b")
            assert telemetry.trace_parent() == TRACE

    assert [each[0] for each in notes.told] == [
        Count.HANDOVER_REFUSALS,
        "begins",
        "a",
        Duration.HTTP_REQUEST,
        "ends",
    ]
    records = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert records
    assert {each.name for each in records} == {"reciprocal_oauth.telemetry"}


@pytest.mark.threat("X2")
def test_the_exception_of_the_work_is_not_logged_with_that_of_a_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Chained(BrokenSpan):
        @contextmanager
        def span(self, *args: Any) -> Iterator[Span]:
            yield self  # type: ignore[misc]
            raise RuntimeError("the end") from KeyError("of the listener")

        def failed(self, reason: str) -> None:
            raise RuntimeError("failed")

    for broken in (BrokenSpan(), Chained()):
        with (
            telemetry.listening(broken),
            pytest.raises(ValueError, match="refresh_token"),
            telemetry.span(Step.REFRESH),
        ):
            raise ValueError("refresh_token=secret")

    assert "RuntimeError: the end" in caplog.text
    assert "refresh_token" not in caplog.text


@pytest.mark.threat("X124")
@pytest.mark.parametrize(
    ("header", "read"),
    [
        (TRACE, TRACE),
        (TRACE[:-2] + "00", TRACE[:-2] + "00"),
        (TRACE[:-2] + "ff", TRACE),  # Only the sampled flag is known.
        ("cc" + TRACE[2:] + "-what-comes-later", TRACE),
        ("cc" + TRACE[2:], TRACE),
        ("ff" + TRACE[2:], ""),
        (TRACE + "-more", ""),
        (TRACE.upper(), ""),
        (f"{TRACE},{TRACE}", ""),
        (f"{TRACE}\n", ""),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", ""),
        ("cc" + TRACE[2:] + "-" + "x" * 1000, ""),
        ("x" * 100_000, ""),
        ("", ""),
    ],
)
def test_only_a_valid_trace_is_continued(header: str, read: str) -> None:
    """W3C Trace Context, sections 3.2.2 and 4.3."""
    with telemetry.listening(Notes()):
        assert telemetry.trace_of_peer(header) == read


def test_a_trace_of_the_site_itself_is_not_replaced(settings: Settings) -> None:
    with telemetry.listening(Notes(TRACE)):
        assert telemetry.trace_of_peer(TRACE) == ""


@pytest.mark.threat("X124")
def test_a_site_can_ignore_the_traces_of_peers(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"CONTINUE_PEER_TRACES": False}

    with telemetry.listening(Notes()):
        assert telemetry.trace_of_peer(TRACE) == ""


@pytest.mark.parametrize("names", [["statsd"], ["no.such.Listener"], ["builtins.int"]])
def test_what_cannot_listen_is_an_error_in_the_log(
    names: list[str], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"TELEMETRY": names}

    telemetry.install()

    assert not telemetry.is_on()
    assert "Metrics or traces are missing" in caplog.text


class CannotBeMade(Listener):
    def __init__(self) -> None:
        raise OSError("no agent on port 8125")


def test_the_other_listeners_listen_all_the_same(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening: list[Listener] = []
    monkeypatch.setattr(telemetry, "listen", listening.append)
    names = ["no.such.Listener", f"{__name__}.CannotBeMade", f"{__name__}.Notes"]
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"TELEMETRY": names}

    telemetry.install()

    assert [type(each) for each in listening] == [Notes]
    assert "CannotBeMade" in caplog.text
