"""The commands of the example project, where they have something to say before they begin."""

import os
import subprocess
import sys
from pathlib import Path

from example_project.sites import MANAGE_PY


def manage(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` in an environment that sets nothing of the example project but ``env``."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, MANAGE_PY, *arguments],
        env={**kept, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_setting_that_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    ended = manage("check", cwd=tmp_path)

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "Set DJANGO_SECRET_KEY; or DJANGO_DEBUG=1" in line
    assert "Traceback" in manage("check", "--traceback", cwd=tmp_path).stderr
