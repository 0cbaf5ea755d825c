"""Runs the tester with a dialect, as a process of its own."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..configs import toml

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
LIMIT_SECONDS: Final = 900
EXPECTED: Final = HERE / "expected"


@dataclass(frozen=True)
class Report:
    """What the tester said.

    :ivar verdicts: by the IDs of the checks.
    :ivar observed: what each check saw, or why it did not run.
    :ivar printed: what the tester printed.
    :ivar document: the JSON report.
    """

    exit_status: int
    verdicts: dict[str, str]
    observed: dict[str, str]
    printed: str
    document: dict[str, Any]

    def not_passed(self) -> dict[str, str]:
        return {check_id: each for check_id, each in self.verdicts.items() if each != "pass"}

    def missed(self, checks: Iterable[str]) -> dict[str, str]:
        """Return the verdicts of those of these checks that found no fault."""
        found = {check_id: self.verdicts.get(check_id, "missing") for check_id in checks}
        return {check_id: each for check_id, each in found.items() if each not in ("fail", "warn")}

    def counts(self) -> str:
        """Return how many checks have each verdict, in words."""
        verdicts = list(self.verdicts.values())
        names = ("pass", "fail", "warn", "inconclusive", "not tested")
        return ", ".join(f"{verdicts.count(name)} {name}" for name in names if name in verdicts)


def run_tester(
    folder: Path, config: Mapping[str, Any], *checks: str, expected: Path | None = None
) -> Report:
    """Run the tester as party A.

    :param folder: for the configuration and the reports.
    :param config: the tables of the configuration.
    :param checks: IDs of checks, or beginnings of them. None: all.
    """
    config_path, report_path = folder / "tester.toml", folder / "report.json"
    lines = (f"{name} = {toml(table)}\n" for name, table in config.items())
    config_path.write_text("".join(lines), encoding="utf-8")
    flags = ["--config", config_path, "--json", report_path, "--html", folder / "report.html"]
    flags += ["--junit", folder / "report.xml"]
    if expected is not None:
        flags += ["--expected", expected]
    ended = subprocess.run(
        [sys.executable, "-m", "reciprocal_oauth.conformance", "b", *checks, *map(str, flags)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    printed = f"{ended.stdout}\n{ended.stderr}"
    assert report_path.exists(), printed
    document = json.loads(report_path.read_text())
    found = document["checks"]
    return Report(
        ended.returncode,
        {each["id"]: each["verdict"] for each in found},
        {each["id"]: each["observed"] for each in found},
        printed,
        document,
    )


def dialect_table(name: str) -> dict[str, Any]:
    """Return the table of the file with this dialect. The documentation shows these files."""
    text = (HERE / f"{name}.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["dialect"])


def known(name: str) -> dict[str, str]:
    """Return the verdicts that are not ``pass`` and are explained, by the IDs of the checks."""
    entries = json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))
    return {check_id: entry["verdict"] for check_id, entry in entries.items()}
