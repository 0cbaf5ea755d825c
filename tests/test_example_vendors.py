"""The demo with stand-ins for the vendors: real processes, and real HTTP between them."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from example_project.sites import MANAGE_PY

pytestmark = pytest.mark.two_process


def demo(data: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, MANAGE_PY, "demo", "--vendors", "--data", data],
        env={**kept, **env},
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def is_listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


def test_each_vendor_links_uses_and_ends_its_link_also_with_the_data_of_an_earlier_run(
    tmp_path: Path,
) -> None:
    for _run in range(2):
        ended = demo(tmp_path / "data")

        assert ended.returncode == 0, ended.stderr
        flows = re.split(r"\n(?=\w+ \(stand-in\): )", ended.stdout)[1:]
        assert [each.split(" (")[0] for each in flows] == [
            "SmartThings",
            "Alexa",
            "Alexa",
            "Google",
        ]
        for flow in flows:
            steps = re.findall(r"^ *\((.)\)", flow, re.MULTILINE)
            assert "".join(steps).endswith(("DEFG", "DEFGEFG")), flow
            assert "This connection ended." in flow
        urls = re.findall(r"http://127\.0\.0\.1:\d+", ended.stdout)
        assert len(set(urls)) == 4
        assert not any(map(is_listening, urls))


def test_a_vendor_that_is_refused_fails_the_demo(tmp_path: Path) -> None:
    ended = demo(tmp_path / "data", EXAMPLE_RECIPROCAL_OAUTH='{"ACCEPT_HANDOVERS": false}')

    assert ended.returncode == 1
    assert "SmartThings: failed while coming back to the vendor" in ended.stderr
    assert "The webhook says HTTP 500" in ended.stderr
    assert not any(map(is_listening, re.findall(r"http://127\.0\.0\.1:\d+", ended.stdout)))
