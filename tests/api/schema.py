"""Makes the OpenAPI schema, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, from the root of the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def schema_in_json() -> str:
    """The OpenAPI schema, made without a warning."""
    made = python(
        "-m",
        "django",
        "spectacular",
        "--settings=tests.api.settings",
        "--format=openapi-json",
        "--validate",
        "--fail-on-warn",
    )
    assert made.returncode == 0, made.stderr
    return made.stdout
