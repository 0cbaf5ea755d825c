"""The command ``reciprocal_status``. It tells operators and monitors whether this site works, and
what somebody must do if not."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from math import isfinite
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError

from reciprocal_oauth.checks.settings import check_settings
from reciprocal_oauth.status.figures import Figures, collect
from reciprocal_oauth.status.problems import Code, Problem, problems_in
from reciprocal_oauth.status.queues import QueueFigures
from reciprocal_oauth.status.workers import Worker

from ._output import as_json, for_people, printable, table

#: The exit status for each status of the site.
_EXIT = {"healthy": 0, "unhealthy": 1, "unknown": 2}
#: The longest period, in hours: ten years. A longer one may begin before the first date of Python.
_MAX_HOURS = 87600.0


class Command(BaseCommand):
    """Shows the figures of this site, and the problems that somebody must act on."""

    help = (
        "Shows whether this site works: the queues, the workers, the peers, the links, the "
        "pairings. The exit status is 0 if all is well, 1 if somebody must act, and 2 if nothing "
        "can be told, for example because the database is down."
    )
    # A wrong setting is one of the things that the command reports.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options of the command."""
        parser.add_argument(
            "--since",
            type=_hours,
            default=24.0,
            metavar="HOURS",
            help="count what has failed in the last HOURS (default: 24)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the figures and the problems, and exit with the status that fits."""
        try:
            figures = collect(timedelta(hours=options["since"]))
        except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
            self._report("unknown", None, (_unknown(error),), options["json"])
            return
        except (TypeError, ValueError) as error:
            # A setting of another type. The check of the settings says which.
            wrong = [f"{each.msg} {each.hint or ''}".strip() for each in check_settings()]
            if not wrong:
                raise
            problem = _unknown(ImproperlyConfigured(" ".join(wrong) or str(error)))
            self._report("unknown", None, (problem,), options["json"])
            return
        problems = problems_in(figures)
        status = "unhealthy" if problems else "healthy"
        self._report(status, figures, problems, options["json"])

    def _report(
        self, status: str, figures: Figures | None, problems: Sequence[Problem], json: bool
    ) -> None:
        """Print the report, and exit if the exit status is not 0."""
        if json:
            found = {} if figures is None else asdict(figures)
            document = {"status": status, "problems": [asdict(each) for each in problems], **found}
            self.stdout.write(as_json(document))
        else:
            if figures is not None:
                self.stdout.write(table(_lines(figures)))
                self.stdout.write("")
            self._write_problems(problems)
        if _EXIT[status]:
            sys.exit(_EXIT[status])

    def _write_problems(self, problems: Sequence[Problem]) -> None:
        if not problems:
            self.stdout.write(self.style.SUCCESS("No problem was found."))
        for problem in problems:
            self.stdout.write(self.style.ERROR(printable(problem.text)))
            self.stdout.write(f"  {printable(problem.remedy)}")


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not isfinite(hours) or not 0 < hours <= _MAX_HOURS:
        raise ArgumentTypeError(
            f"{text!r} is not a number of hours above 0, and at most {_MAX_HOURS:g}."
        )
    return hours


def _unknown(error: Exception) -> Problem:
    if isinstance(error, ImproperlyConfigured):
        text, remedy = str(error), "Correct the setting. “manage.py check” says more."
        return Problem(Code.SETTINGS, text, remedy)
    said = str(error).partition("\n")[0]
    return Problem(
        Code.DATABASE,
        f"The figures cannot be read from the database ({type(error).__name__}: {said}).",
        "Check that the database runs, and that “manage.py migrate” was run.",
    )


def _lines(figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield the lines of the text for people: what a line is about, and what it says."""
    workers = [_worker(each, figures) for each in figures.workers]
    yield from _under("Workers", workers or ["none seen in the last seven days"])
    for queue in figures.queues:
        yield queue.name.capitalize(), _queue(queue)
    paused = (
        f"{each.slug}: {each.reason}, since {for_people(each.since)}"
        for each in figures.paused_peers
    )
    yield from _under("Paused peers", [*paused] or ["none"])
    yield (
        "Broken links",
        f"{figures.broken_outgoing} outgoing, {figures.broken_incoming} incoming",
    )
    stalled = (
        f"{each.slug}: {each.state} ({each.reason}), since {for_people(each.since)}"
        for each in figures.stalled_pairings
    )
    yield from _under("Pairings that stand still", [*stalled] or ["none"])
    failed = (f"{each.slug}: {each.count} {each.problem}" for each in figures.failed_connections)
    yield from _under("Failed attempts to connect", [*failed] or ["none"])
    unreadable = ", ".join(figures.unreadable)
    yield "Stored secrets", f"cannot be decrypted: {unreadable}" if unreadable else "readable"
    yield "Failures counted since", for_people(figures.since)


def _under(heading: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        yield ("" if number else heading), line


def _worker(worker: Worker, figures: Figures) -> str:
    ago = _in_words((figures.at - worker.seen_at).total_seconds())
    return f"{worker.kind} on {worker.host}, seen {ago} ago" + (
        " (missing)" if worker.is_missing else ""
    )


def _queue(queue: QueueFigures) -> str:
    due = f"{queue.due} due"
    if queue.oldest_due_seconds is not None:
        due += f" (the oldest for {_in_words(queue.oldest_due_seconds)})"
    return (
        f"{due}, {queue.overdue} overdue, {queue.on_hold} on hold, {queue.unfinished} unfinished, "
        f"{queue.failed} failed"
    )


def _in_words(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
