"""Whole runs of the tester against the small parties."""

import json
import os
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project.servers import free_ports
from reciprocal_oauth.conformance.cli import main
from reciprocal_oauth.conformance.redaction import SHORTEST, Redaction
from reciprocal_oauth.conformance.wire.exchanges import Exchange, Recorder

from ..reading import ROOT
from .configs import PARTY, SECOND, TESTER, WHOLE_RUNS
from .trial import Place, party, prepared

pytestmark = pytest.mark.two_process


#: What is run if not all checks are.
SOME = {
    "a": ("A-AUTH", "A-CODE", "A-CON", "A-E", "A-REF"),
    "b": ("B-OK", "B-ASK", "B-RED", "B-MISS", "B-SHAPE", "B-AUTH", "B-TOK", "B-USE", "B-END"),
}


@pytest.fixture(params=["a", "b"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(role: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, *free_ports())
    prepared(role, place)
    with party(role, place):
        yield place


def test_no_secret_stands_in_a_report(
    role: str,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By value: codes, tokens, states, and the secrets of clients. By name: cookies and passwords
    that the tester did not make."""
    values = {each["client_secret"] for each in (TESTER, SECOND, PARTY)}
    exchanges: list[Exchange] = []
    learn, keep = Redaction.learn, Recorder.keep

    def note_value(self: Redaction, value: str, kind: str) -> str:
        values.add(value)
        return learn(self, value, kind)

    def note_exchange(self: Recorder, exchange: Exchange) -> None:
        exchanges.append(exchange)
        keep(self, exchange)

    monkeypatch.setattr(Redaction, "learn", note_value)
    monkeypatch.setattr(Recorder, "keep", note_exchange)
    files = {kind: place.folder / f"report.{kind}" for kind in ("json", "junit", "html")}
    options = [f"--{kind}={path}" for kind, path in files.items()]

    some = () if WHOLE_RUNS else SOME[role]
    config = f"--config={place.folder / 'tester.toml'}"

    status = main([role, config, "--verbose", *some, *options])

    assert status == 0
    texts = {kind: path.read_text() for kind, path in files.items()}
    texts["text"] = capsys.readouterr().out
    secrets = {value for value in values if SHORTEST <= len(value) < 1000}
    assert len(secrets) > 100
    assert len(exchanges) > 100
    shown = [(kind, value) for kind, text in texts.items() for value in secrets if value in text]
    assert shown == []
    headers = {
        value
        for exchange in exchanges
        for name, value in (*exchange.request_headers, *exchange.response_headers)
        if name.lower() in ("authorization", "cookie", "set-cookie")
    }
    assert [value for value in headers if any(value in text for text in texts.values())] == []


def test_a_run_needs_no_package_but_this_one(role: str, place: Place) -> None:
    """``pip install --no-deps``: an environment that has nothing but the standard library."""
    venv.create(place.folder / "empty", symlinks=True, with_pip=False)
    python = place.folder / "empty" / "bin" / "python"
    report = place.folder / "report.json"
    checks = {"a": ["A-CODE-1", "A-E"], "b": ["B-OK", "B-MISS"]}[role]

    ended = subprocess.run(
        [
            *(python, "-m", "reciprocal_oauth.conformance", role, *checks),
            *(f"--config={place.folder / 'tester.toml'}", f"--json={report}"),
        ],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(report.read_text())["counts"]["pass"] >= 7
    django = subprocess.run([python, "-c", "import django"], capture_output=True)
    assert django.returncode == 1
