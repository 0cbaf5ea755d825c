"""Tests the example sites with the conformance tester: Assistant as party A, Music as party B.

Each site is a process of its own with a new database. Its users go through its pages. Without
``--role``, both sites are tested at the same time. The exit status is that of the tester, or 1 if a
check was not tested and the file of known verdicts does not say why, or if the site has logged an
exception.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .run import REPORTS, ROLES, faults, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Test the sites, and return the first exit status that is not 0."""
    options = _options(arguments)
    roles = [options.role] if options.role else list(ROLES)
    with ThreadPoolExecutor(len(roles)) as pool:
        running = [pool.submit(_run, role, options, len(roles) > 1) for role in roles]
        statuses = [each.result() for each in running]
    return next((status for status in statuses if status), 0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.example_sites", description=__doc__
    )
    parser.add_argument("--role", choices=ROLES, help="only the site that is this party")
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="any database of a PostgreSQL server: each site gets one of its own. Default: SQLite",
    )
    parser.add_argument(
        "--quick", action="store_true", help="with settings for which the tester waits less"
    )
    parser.add_argument("--slow", action="store_true", help="also what waits for the end of a life")
    parser.add_argument(
        "--reports", type=Path, metavar="DIR", help="write the reports into this directory"
    )
    parser.add_argument("--only-html", action="store_true", help="of the reports, only the page")
    parser.add_argument(
        "arguments", nargs="*", metavar="ARGUMENT", help="of the tester, after --: -- A-CODE -v"
    )
    return parser.parse_args(arguments)


def _run(role: str, options: argparse.Namespace, has_prefix: bool) -> int:
    prefix = f"{role}  " if has_prefix else ""
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        # Whole lines, so that those of both roles do not mix.
        sys.stdout.write(prefix + line)
        sys.stdout.flush()

    ended = run(
        role,
        options.arguments,
        database=options.database,
        is_quick=options.quick,
        is_slow=options.slow,
        reports=_files(role, options),
        write=write,
    )
    if options.reports and not options.only_html:
        _file(options.reports, role, "txt").write_text("".join(lines), encoding="utf-8")
    found = faults(role, ended)
    for sentence in found:
        write(f"{sentence}\n")
    return ended.status or int(bool(found))


def _files(role: str, options: argparse.Namespace) -> dict[str, Path]:
    if not options.reports:
        return {}
    options.reports.mkdir(parents=True, exist_ok=True)
    kinds = ["html"] if options.only_html else REPORTS
    return {kind: _file(options.reports, role, REPORTS[kind]) for kind in kinds}


def _file(folder: Path, role: str, end: str) -> Path:
    return (folder / f"party_{role}.{end}").resolve()


if __name__ == "__main__":
    sys.exit(main())
