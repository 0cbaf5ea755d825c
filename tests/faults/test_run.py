"""The harness, run small."""

import json
import subprocess
import sys

import pytest

from .report import INVARIANTS
from .sites import ROOT


@pytest.mark.two_process
@pytest.mark.threat("R23")
@pytest.mark.parametrize("dialect", ["ietf", "ietf-first"])
def test_people_are_linked_over_a_network_that_misbehaves(dialect: str) -> None:
    command = [sys.executable, "-m", "tests.faults", "--links=30", "--seed=1", "--json"]
    more = ["--workers=2", "--kill-every=3", "--limit=240", f"--dialect={dialect}"]

    ended = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    assert report["broken"] == {name: [] for name in INVARIANTS}
    assert (report["lost"], report["doubled"], report["problems"]) == ([], [], [])
    assert report["decisions"]["consent"] == 30
    assert report["posts"] >= 30
    assert report["faults"]
    assert report["kills"]
