"""A shell inside a site: one process that has loaded Django, and runs one program after the other.
``manage.py shell`` would load Django for each of them, which takes half a second.

::

    with running(assistant, music, prepare=True), shells(assistant, music):
        print(run_inside(music, "print(2 + 2)"))
"""

import contextlib
import io
import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator

from example_project.sites import COMMAND_SECONDS, MANAGE_PY, Site, SiteError

_opened: dict[Site, subprocess.Popen[str]] = {}


@contextlib.contextmanager
def shells(*sites: Site) -> Iterator[None]:
    """A shell in each of the sites, for as long as the block runs."""
    with contextlib.ExitStack() as stack:
        for site in sites:
            # Closes its input, with which it ends, and waits for it.
            _opened[site] = stack.enter_context(_start(site))
            stack.callback(_opened.pop, site)
        yield


def run_inside(site: Site, program: str) -> str:
    """Run the Python source in the shell of ``site``, and give what it prints.

    :raises SiteError: it failed. The text of the error is the traceback.
    """
    shell = _opened[site]
    assert shell.stdin
    assert shell.stdout
    too_late = threading.Timer(COMMAND_SECONDS, shell.kill)
    too_late.start()
    try:
        shell.stdin.write(json.dumps(program) + "\n")
        shell.stdin.flush()
        answer = shell.stdout.readline()
    finally:
        too_late.cancel()
    if not answer:
        raise SiteError(f"The shell in {site} has ended.\n{site.log_tail()}")
    succeeded, printed = json.loads(answer)
    if not succeeded:
        raise SiteError(printed)
    return printed


def _start(site: Site) -> subprocess.Popen[str]:
    with site.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=MANAGE_PY.parent,
            # What is due is for the server and its dispatcher: the tests are about these.
            env={**site.env, "RECIPROCAL_DISPATCHER": "none"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def main() -> None:
    import django
    from django.db import connections

    answers = sys.stdout
    django.setup()
    for line in sys.stdin:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            succeeded = _run(json.loads(line))
            connections.close_all()
        print(json.dumps([succeeded, printed.getvalue()]), file=answers, flush=True)


def _run(program: str) -> bool:
    try:
        exec(compile(program, "<program>", "exec"), {})  # noqa: S102
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        return False
    return True


if __name__ == "__main__":
    main()
