"""A read replica that has fallen behind, and the router that a site with one has."""

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper


class Replica(DatabaseWrapper):
    """The default database as it was when this was made."""

    def __init__(self, file: Path) -> None:
        primary = connections["default"]
        primary.ensure_connection()
        with sqlite3.connect(file) as copy:
            primary.connection.backup(copy)
        copy.close()
        super().__init__({**connections.settings["default"], "NAME": str(file)}, "replica")

    def ensure_connection(self) -> None:
        # Django's tests refuse every database that they have not made.
        if self.connection is None:
            self.connect()


class Router:
    """Reads from the replica, except for these models."""

    def __init__(self, not_read_there: Collection[Any] = ()) -> None:
        self.not_read_there = not_read_there

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default" if model in self.not_read_there else "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True
