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
import traceback
from collections.abc import Iterator

from example_project.sites import MANAGE_PY, Site, SiteError

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
    shell.stdin.write(json.dumps(program) + "\n")
    shell.stdin.flush()
    succeeded, printed = json.loads(shell.stdout.readline())
    if not succeeded:
        raise SiteError(printed)
    return printed


def _start(site: Site) -> subprocess.Popen[str]:
    with site.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=MANAGE_PY.parent,
            env=site.env,
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
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return False
    return True


if __name__ == "__main__":
    main()
