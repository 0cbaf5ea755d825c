"""Runs the tester against an example site."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import reciprocal_oauth.conformance.checks  # noqa: F401 - it registers the checks
from example_project.servers import running
from example_project.sites import MANAGE_PY
from reciprocal_oauth.conformance.exit_status import read_expected
from reciprocal_oauth.conformance.registry import CHECKS

from .configs import tester_config
from .sites import Subject, make_subject, new_database

HERE: Final = Path(__file__).parent
ROLES: Final = ("a", "b")
#: The kinds of reports, and the ends of their files.
REPORTS: Final = {"json": "json", "junit": "xml", "html": "html"}


@dataclass(frozen=True)
class Ended:
    """How the tester ended.

    :ivar status: its exit status.
    :ivar verdicts: of each check of the run, by its ID.
    :ivar log: what the site has logged.
    """

    status: int
    verdicts: Mapping[str, str]
    log: str = ""


def expected_file(role: str) -> Path:
    """Return the file with the verdicts that are known, and the reasons."""
    return HERE / f"{role}.expected.json"


def run(
    role: str,
    arguments: Sequence[str] = (),
    *,
    database: str = "",
    is_quick: bool = False,
    is_slow: bool = False,
    reports: Mapping[str, Path] | None = None,
    write: Callable[[str], object] = lambda line: None,
) -> Ended:
    """Start a site on a new database, and run the tester against it. A warn that is not expected
    counts as a fail.

    :param arguments: further arguments of the tester.
    :param database: the URL of any database on a PostgreSQL server. Default: SQLite.
    :param is_quick: see :func:`.sites.make_subject`.
    :param is_slow: also what waits for the end of a life.
    :param reports: the files to write, by their kinds.
    :param write: gets each line that the tester prints, with its end.
    :raises SiteError: the site does not start.
    :raises psycopg.Error: the server cannot be reached, or refuses.
    """
    with (
        tempfile.TemporaryDirectory(prefix=f"conformance-{role}-") as name,
        new_database(database, role) as database_url,
    ):
        folder = Path(name).resolve()
        subject = make_subject(role, folder, database_url, is_quick=is_quick, is_slow=is_slow)
        files = {"json": folder / "report.json", **(reports or {})}
        arguments = [*(["--slow"] if is_slow else []), *arguments, *_flags(files)]
        with running(subject.site, prepare=True):
            status = _run_tester(subject, arguments, write)
        return Ended(status, _verdicts(files["json"]), subject.site.read_log())


def faults(role: str, ended: Ended) -> list[str]:
    """Return sentences about what is not as it must be, in addition to the verdicts."""
    found = []
    if missing := untested(role, ended):
        names = ", ".join(missing)
        found.append(f"Not tested, and {role}.expected.json does not say why: {names}.")
    _before, mark, traceback = ended.log.partition("Traceback (most recent call last)")
    if mark:
        found.append(f"The site has logged an exception: {mark}{traceback[:3000]}")
    return found


def untested(role: str, ended: Ended) -> list[str]:
    """Return the IDs of the checks that were not tested although nothing is known that prevents it.
    What waits for the end of a life is only tested with ``--slow``."""
    expected = read_expected(expected_file(role))
    return [
        check_id
        for check_id, verdict in ended.verdicts.items()
        if verdict == "not tested" and check_id not in expected and not CHECKS[check_id].is_slow
    ]


def _flags(reports: Mapping[str, Path]) -> list[str]:
    return [argument for kind, path in reports.items() for argument in (f"--{kind}", str(path))]


def _run_tester(subject: Subject, arguments: Sequence[str], write: Callable[[str], object]) -> int:
    config = subject.folder / "tester.toml"
    config.write_text(tester_config(subject), encoding="utf-8")
    command = [sys.executable, "-m", "reciprocal_oauth.conformance", subject.role, "--strict"]
    command += ["--config", str(config), "--expected", str(expected_file(subject.role))]
    with subprocess.Popen(
        [*command, *arguments],
        cwd=MANAGE_PY.parent,
        env=subject.site.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            write(line)
    return process.returncode


def _verdicts(report: Path) -> dict[str, str]:
    if not report.exists():
        return {}
    return {each["id"]: each["verdict"] for each in json.loads(report.read_text())["checks"]}
