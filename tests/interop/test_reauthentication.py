"""``REAUTHENTICATE = "allauth"``: the person is asked on the page of the real django-allauth."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def test_django_asking_site_once_and_then_the_person_goes_to_the_peer() -> None:
    if not importlib.util.find_spec("allauth"):
        pytest.skip("django-allauth is not installed: pip install 'reciprocal-oauth[interop]'")

    ended = subprocess.run(
        [sys.executable, str(HERE / "asking_site.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    met = json.loads(ended.stdout)
    assert met["first"] == "/accounts/reauthenticate/?next=%2Fconnections%2F"
    assert met["after_the_password"] == "/connections/"
    assert met["second"].startswith("https://music.example/authorize/?")
    assert met["without_a_password"].startswith("https://music.example/authorize/?")
