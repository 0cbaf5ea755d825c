"""The example project tests itself with ``reciprocal_oauth.testing``."""

import os
import re
import subprocess
import sys
from pathlib import Path

from example_project.sites import MANAGE_PY


def test_the_tests_of_the_assistant_pass(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, MANAGE_PY, "test", "example_project.assistant", "--noinput"],
        env={**kept, "DJANGO_DEBUG": "1", "EXAMPLE_SITE": "assistant"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"Ran [1-9]\d* tests", ended.stderr)
