"""The settings of the benchmarks: the settings of the tests, but with Django's default password
hasher, and with SQLite in a file instead of in memory."""

import os
import tempfile
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, OAUTH2_PROVIDER

PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
ROOT_URLCONF = "benchmarks.token_endpoint"
if not os.environ.get("TEST_DATABASE_URL"):
    directory = tempfile.mkdtemp(prefix="reciprocal-benchmark-")
    DATABASES["default"] |= {
        "NAME": str(Path(directory) / "benchmark.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        "TEST": {"NAME": str(Path(directory) / "benchmark-test.sqlite3")},
    }
LOGGING = {"version": 1, "root": {"level": "ERROR"}}
OAUTH2_PROVIDER = {**OAUTH2_PROVIDER, "ALWAYS_RELOAD_OAUTHLIB_CORE": False}
