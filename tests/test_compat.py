"""Names that django-oauth-toolkit moves are taken from where the release at hand keeps them."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

WHOLE = """
import warnings
warnings.filterwarnings("error", "oauth2_provider", DeprecationWarning)
import django
django.setup()
from django.core.checks import run_checks
run_checks()
print("started")
"""


@pytest.mark.threat("F90")
def test_a_site_starts_without_a_warning_of_a_module_that_has_moved() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WHOLE],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.stdout == "started\n", ran.stderr


def test_scopes_come_from_the_new_place_where_there_is_one() -> None:
    from reciprocal_oauth import compat

    place = "oauth2_provider.core.scopes" if find_spec("oauth2_provider.core") else None

    assert compat.get_scopes_backend.__module__ == (place or "oauth2_provider.scopes")
