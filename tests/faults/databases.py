"""A fresh database for each site: created, and dropped in the end. On SQLite, a file each."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
from django.db import connections

from .plan import OTHER, STARTS


def urls(database: str, data: Path) -> Mapping[str, str]:
    """The URL of each site's own database.

    :param database: the URL of any database on the server; empty: SQLite, with files in ``data``.
    """
    if not database or database.startswith("sqlite"):
        return {site: f"sqlite:///{data / site}.sqlite3" for site in (STARTS, OTHER)}
    parts = urlsplit(database)
    # The process id tells several runs on one server apart.
    names = {site: f"/faults_{os.getpid()}_{site}" for site in (STARTS, OTHER)}
    return {site: urlunsplit(parts._replace(path=name)) for site, name in names.items()}


def set_up_django(databases: Mapping[str, str]) -> None:
    """Make this process see the databases of both sites, by the sites' names."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DJANGO_SECRET_KEY": SECRET_KEY,
        "EXAMPLE_SITE": STARTS,
        "EXAMPLE_LOG_LEVEL": "ERROR",
        "DATABASE_URL": databases[STARTS],
        "FAULTS_DATABASES": json.dumps(databases),
        "RECIPROCAL_DISPATCHER": "none",
    }
    django.setup()


#: Of both sites, so that the harness can read what they encrypt.
SECRET_KEY = "of-the-sites-of-a-run-with-faults"


@contextlib.contextmanager
def created(databases: Mapping[str, str]) -> Iterator[None]:
    """Empty databases, until the block ends."""
    with contextlib.ExitStack() as stack:
        for alias in databases:
            stack.enter_context(_created(connections[alias]))
        yield


@contextlib.contextmanager
def _created(connection: Any) -> Iterator[None]:
    if connection.vendor == "sqlite":
        try:
            yield
        finally:
            connection.close()
        return
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    charset = " CHARACTER SET utf8mb4" if connection.vendor == "mysql" else ""
    force = " WITH (FORCE)" if connection.vendor == "postgresql" else ""
    _execute(connection, f"DROP DATABASE IF EXISTS {name}")
    _execute(connection, f"CREATE DATABASE {name}{charset}")
    try:
        yield
    finally:
        connection.close()
        _execute(connection, f"DROP DATABASE IF EXISTS {name}{force}")


def _execute(connection: Any, statement: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(statement)
