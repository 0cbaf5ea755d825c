"""Writes reports to files."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from . import junit, page, text

#: The kinds of reports, and what makes each of a document.
KINDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "json": lambda report: as_json(report),
    "junit": junit.render,
    "html": page.render,
    "text": text.render,
}


def as_json(report: Mapping[str, Any]) -> str:
    """Return the document as JSON, in ASCII: no text of a subject can steer a terminal."""
    return json.dumps(report, indent=2) + "\n"


def check_writable(path: Path) -> None:
    """Check that a report can be written, before a run that takes minutes.

    :raises UsageError: the directory does not exist or is not writable, or the path is a directory.
    """
    target = path.resolve()
    if target.is_dir():
        raise UsageError(f"{path} is a directory, and a report is a file.")
    if target.exists() and not target.is_file():
        return
    if not target.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no directory {target.parent}.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: the directory {target.parent} is read-only.")


def check_distinct(paths: Iterable[Path]) -> None:
    """Check that no report overwrites another one, or the file of which it is made.

    What is no file, such as ``/dev/stdout``, can be named twice.

    :param paths: all files that a command reads reports from and writes them to.
    :raises UsageError: two paths lead to the same file.
    """
    targets: set[Path] = set()
    for path in paths:
        target = path.resolve()
        if target in targets and (target.is_file() or not target.exists()):
            raise UsageError(f"{path} is named twice.")
        targets.add(target)


def write_reports(report: Mapping[str, Any], paths: Mapping[str, Path]) -> None:
    """Write a document in several formats.

    :param paths: where each of :data:`KINDS` goes. One that cannot be written does not keep the
        others from being written.
    :raises UsageError: a file cannot be written. The text names each of them.
    """
    faults = []
    for kind, path in paths.items():
        try:
            write(path, KINDS[kind](report))
        except UsageError as error:
            faults.append(str(error))
    if faults:
        raise UsageError(" ".join(faults))


def write(path: Path, content: str) -> None:
    """Write a file as a whole or not at all.

    Only the owner can read a new file: what a subject answers can hold data of its users. A file
    that exists keeps its mode. What is no file, such as ``/dev/stdout``, is written into.

    :raises UsageError: the file cannot be written.
    """
    target = path.resolve()
    data = content.encode("utf-8", "backslashreplace")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            _replace(target, data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _replace(target: Path, data: bytes) -> None:
    # The mode of the new file is 0600.
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        with contextlib.suppress(FileNotFoundError):
            os.chmod(name, target.stat().st_mode & 0o777)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
