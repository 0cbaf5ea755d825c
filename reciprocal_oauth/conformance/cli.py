"""The command line: ``python -m reciprocal_oauth.conformance``."""

import argparse
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .._version import __version__
from . import selection, sheet, templates
from .config import Config, load
from .drivers import make
from .errors import UsageError
from .exit_status import Exit, Expectation, exit_of, read_expected
from .listing import explain, list_checks
from .loopback import FLAG, require_test_system
from .reports import document as documents
from .reports import files, text
from .results import CheckResult
from .run import Run, run
from .verdicts import Verdict

PROGRAM = "python -m reciprocal_oauth.conformance"
_TELLS_MORE = "Documentation: docs/conformance.rst in the source."


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line, and return the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that is not UTF-8 shows a subject's text with escapes, and the run goes on.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A run that is stopped writes its reports, as after Ctrl-C.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted: ``list | head``.
        _stop_printing()
        return Exit.OK


def _stop_printing() -> None:
    """Print into nothing, because nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Tests an implementation of draft-ietf-oauth-reciprocal-04 as the other party.",
        epilog="Exit status: 0 all that ran passes, 1 a fail or an unexpected verdict, 2 usage, "
        f"3 nothing is known, 130 interrupted. {_TELLS_MORE}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for role, other in (("a", "b"), ("b", "a")):
        command = commands.add_parser(
            role,
            help=f"test a party {role.upper()}; the tester is party {other.upper()}",
            allow_abbrev=False,
        )
        _add_run_options(command)
        command.set_defaults(command=_run, role=role)
    _add_small_commands(commands)
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "checks",
        nargs="*",
        metavar="ID",
        help="only these checks: an ID, or its part before a hyphen (B-TOK, A-CODE)",
    )
    add(
        "--config",
        required=True,
        type=Path,
        metavar="FILE",
        help="the TOML file; `init` writes one",
    )
    choice = command.add_argument_group("which checks")
    choice.add_argument("--skip", action="append", default=[], metavar="ID", help="leave these out")
    choice.add_argument(
        "--severity", default="", metavar="LIST", help="must,security,should,information"
    )
    choice.add_argument(
        "--slow", action="store_true", help="also checks that wait until a token or code expires"
    )
    choice.add_argument("--only-unattended", action="store_true", help="ask no person (driver ask)")
    verdicts = command.add_argument_group("verdicts")
    verdicts.add_argument(
        "--expected", type=Path, metavar="FILE", help="JSON: the verdicts that are known"
    )
    verdicts.add_argument("--strict", action="store_true", help="a warn counts as a fail")
    verdicts.add_argument(
        "--fail-fast", action="store_true", help="stop at the first fault that is not known"
    )
    network = command.add_argument_group("network")
    _add_places(network)
    network.add_argument(
        "--ca", default="", metavar="FILE", help="who issued the subject's certificate"
    )
    network.add_argument(
        FLAG,
        action="store_true",
        dest="is_test_system",
        help="allow a subject on another computer, if nobody uses it",
    )
    network.add_argument(
        "--insecure-http", action="store_true", help="allow http to a subject on another computer"
    )
    network.add_argument(
        "--patience", type=float, default=1.0, metavar="N", help="all waits N times as long"
    )
    reports = command.add_argument_group("reports")
    reports.add_argument("--verbose", "-v", action="store_true", help="notes and HTTP exchanges")
    reports.add_argument(
        "--evidence", choices=("full", "none"), default="full", help="keep exchanges"
    )
    for kind in ("json", "junit", "html"):
        reports.add_argument(
            f"--{kind}", type=Path, metavar="FILE", help=f"write the report as {kind}"
        )


def _add_places(network: "argparse._ArgumentGroup | argparse.ArgumentParser") -> None:
    network.add_argument(
        "--listen", default="", metavar="HOST:PORT", help="where the tester listens"
    )
    network.add_argument(
        "--public-url", default="", metavar="URL", help="how the subject reaches it"
    )
    network.add_argument(
        "--tls-cert", default="", metavar="FILE", help="the tester's certificate (PEM)"
    )
    network.add_argument("--tls-key", default="", metavar="FILE", help="and its key")


def _add_small_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("init", help="write a configuration, secrets made up")
    command.add_argument("role", choices=("a", "b"), help="which party is tested")
    command.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="a new file; else stdout"
    )
    command.set_defaults(command=_init)

    command = commands.add_parser("sheet", help="print what to register at the subject")
    command.add_argument("role", nargs="?", choices=("a", "b"), help="which party is tested")
    command.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="the TOML file of the run"
    )
    _add_places(command)
    command.set_defaults(command=_sheet)

    command = commands.add_parser("list", help="list the checks")
    command.add_argument("role", nargs="?", choices=("a", "b"), help="only those of this party")
    command.add_argument("--sentences", action="store_true", help="by sentences of the draft")
    command.add_argument("--json", action="store_true", dest="as_json", help="as JSON")
    command.set_defaults(command=_list)

    command = commands.add_parser("explain", help="say what a check does, and why")
    command.add_argument("check", metavar="ID")
    command.set_defaults(command=_explain)

    command = commands.add_parser("report", help="make reports of a JSON report")
    command.add_argument("run", type=Path, metavar="RUN.JSON")
    group = command.add_argument_group("reports")
    group.add_argument("--text", action="store_true", help="print it (without other formats, too)")
    group.add_argument("--verbose", "-v", action="store_true", help="notes and HTTP exchanges")
    for kind in ("junit", "html"):
        group.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write it as {kind}")
    command.set_defaults(command=_report)


# --- A run -------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    if not 0 < options.patience < math.inf:
        raise UsageError("--patience is a number above 0.")
    checks = selection.select(
        options.role,
        options.checks,
        skip=options.skip,
        severities=[each.strip() for each in options.severity.split(",") if each.strip()],
    )
    expected = read_expected(options.expected) if options.expected else {}
    config = _config(options)
    paths = {
        kind: getattr(options, kind) for kind in ("json", "junit", "html") if getattr(options, kind)
    }
    _check_files(options.config, paths)
    driver = make(
        config.driver,
        role=config.role,
        patience=options.patience,
        person_seconds=config.waits.person,
        may_ask=not options.only_unattended,
    )
    found = run(
        config,
        checks,
        driver,
        is_slow=options.slow,
        stop_at=partial(_is_new_fault, options, expected) if options.fail_fast else None,
        has_evidence=options.evidence == "full",
        require=lambda complete: _require(options, complete),
        on_result=_printer(expected, is_verbose=options.verbose),
    )
    status, report = _judged(options, config, found, expected)
    files.write_reports(report, paths)
    colour, width = text.is_coloured(sys.stdout), text.width_of(sys.stdout)
    _print("\n" + text.summary(report, colour=colour, width=width))
    return status


def _print(line: str) -> None:
    """Print a line of a run. The run goes on if its reader has gone: ``b … | head``."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        _stop_printing()


def _check_files(read: Path, paths: dict[str, Path]) -> None:
    """Refuse reports that cannot be written, or that would take the place of another file.

    :param read: the file that the command reads.
    """
    files.check_distinct([read, *paths.values()])
    for path in paths.values():
        files.check_writable(path)


def _is_new_fault(
    options: argparse.Namespace, expected: dict[str, Expectation], result: CheckResult
) -> bool:
    known = expected.get(result.check.id)
    if known is not None:
        return result.verdict != known.verdict
    is_fault = result.verdict is Verdict.FAIL
    return is_fault or (options.strict and result.verdict is Verdict.WARN)


def _config(options: argparse.Namespace) -> Config:
    config = load(options.config, options.role, options.patience, ca=options.ca, **_places(options))
    _require(options, config)
    return config


def _places(options: argparse.Namespace) -> dict[str, Any]:
    """Return where the tester is, as far as the command line says it."""
    return {
        name: getattr(options, name) for name in ("listen", "public_url", "tls_cert", "tls_key")
    }


def _require(options: argparse.Namespace, config: Config) -> None:
    require_test_system(
        config, is_confirmed=options.is_test_system, may_use_http=options.insecure_http
    )


def _printer(
    expected: dict[str, Expectation], *, is_verbose: bool
) -> Callable[[CheckResult], None]:
    colour, width = text.is_coloured(sys.stdout), text.width_of(sys.stdout)

    def tell(result: CheckResult) -> None:
        known = expected.get(result.check.id)
        _print(text.line(result, known, is_verbose, colour=colour, width=width))

    return tell


def _judged(
    options: argparse.Namespace, config: Config, found: Run, expected: dict[str, Expectation]
) -> tuple[Exit, dict[str, object]]:
    status, reason = exit_of(
        found.results,
        expected,
        is_strict=options.strict,
        is_interrupted=found.is_interrupted,
    )
    report = documents.document(
        found.results,
        role=found.role,
        dialect=config.dialect.name,
        config=config.shown(),
        started=found.started,
        seconds=found.seconds,
        notes=found.notes,
        expected=expected,
        exit_status=status,
        exit_reason=reason,
        is_interrupted=found.is_interrupted,
        is_strict=options.strict,
    )
    return status, report


# --- The small commands ------------------------------------------------------------------------


def _init(options: argparse.Namespace) -> int:
    content = templates.template(options.role)
    if options.output is None:
        print(content, end="")
        return Exit.OK
    templates.write_new(options.output, content)
    print(
        f"{options.output} is written. Fill in the subject, then: {PROGRAM} sheet {options.role} ",
        end="",
    )
    print(f"--config {options.output}")
    return Exit.OK


def _sheet(options: argparse.Namespace) -> int:
    role = options.role or sheet.role_of(options.config)
    print(sheet.sheet(load(options.config, role, **_places(options))), end="")
    return Exit.OK


def _list(options: argparse.Namespace) -> int:
    print(
        list_checks(options.role, by_sentences=options.sentences, as_json=options.as_json).rstrip()
    )
    return Exit.OK


def _explain(options: argparse.Namespace) -> int:
    print(explain(options.check).rstrip())
    return Exit.OK


def _report(options: argparse.Namespace) -> int:
    report = documents.load(options.run)
    paths = {kind: getattr(options, kind) for kind in ("junit", "html") if getattr(options, kind)}
    _check_files(options.run, paths)
    if options.text or not paths:
        print(
            text.render(
                report,
                is_verbose=options.verbose,
                colour=text.is_coloured(sys.stdout),
                width=text.width_of(sys.stdout),
            ),
            end="",
        )
    files.write_reports(report, paths)
    return Exit.OK
