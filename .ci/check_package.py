"""Check a built wheel: that it is complete, and that it works in an empty environment.

    python .ci/check_package.py DIRECTORY_OF_THE_WHEEL

Run from the top of the checkout. The wheel must hold every file of the package, must state the
licence, and must bring, installed on its own, everything that Django needs to load the app.
"""

import email
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

PACKAGE = Path("reciprocal_oauth")

#: What a new project does with the app, with nothing installed but the wheel. It runs outside the
#: checkout, so that the installed package is the one imported.
USE = """
import django
from django.conf import settings

import reciprocal_oauth

settings.configure(
    SECRET_KEY="only for this check",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "oauth2_provider",
        "reciprocal_oauth",
    ],
)
django.setup()
from django.core.management import call_command

call_command("migrate", verbosity=0)
print("imported", reciprocal_oauth.__version__, "from", reciprocal_oauth.__file__)
"""


def files_in_checkout() -> set[str]:
    return {
        path.as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        headers = email.message_from_bytes(archive.read(metadata))
    packaged = {name for name in names if ".dist-info/" not in name}
    for name in sorted(packaged):
        print(name)
    expected = files_in_checkout()
    if packaged != expected:
        sys.exit(
            f"missing from the wheel: {sorted(expected - packaged)}\n"
            f"not of the package: {sorted(packaged - expected)}"
        )
    templates = f"{PACKAGE}/templates/"
    if f"{PACKAGE}/py.typed" not in packaged or not any(n.startswith(templates) for n in packaged):
        sys.exit("the wheel has no py.typed or no templates")
    if headers["License-Expression"] != "BSD-3-Clause":
        sys.exit(f"License-Expression is {headers['License-Expression']!r}")


def check_installation(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        python = str(Path(directory, "bin", "python"))
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", str(wheel.resolve())], check=True
        )
        subprocess.run([python, "-m", "pip", "check"], check=True)
        subprocess.run([python, "-c", USE], check=True, cwd=directory)


if __name__ == "__main__":
    [wheel] = Path(sys.argv[1]).glob("*.whl")
    check_contents(wheel)
    check_installation(wheel)
