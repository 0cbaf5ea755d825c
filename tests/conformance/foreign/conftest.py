"""What the tests of foreign parties share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .running import Report, Subject, report

RunAgainst = Callable[..., Report]


@pytest.fixture
def run_against(tmp_path: Path) -> RunAgainst:
    """Return a function that runs the tester against a subject. It skips the test if the subject
    cannot run here, unless foreign parties are required."""

    def run(subject: Subject, *checks: str, **more: object) -> Report:
        subject.kind.skip_unless_possible()
        return report(subject, tmp_path, *checks, **more)

    return run
