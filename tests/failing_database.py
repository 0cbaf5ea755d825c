"""A database that fails at chosen statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection

MakeError = Callable[[], Exception]


class _Cause(Exception):
    """What the driver of a database raises."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def _caused(**values: Any) -> Exception:
    error = OperationalError("so says the driver")
    error.__cause__ = _Cause(**values)
    return error


#: What databases say to whoever shall try again.
TRY_AGAIN: dict[str, MakeError] = {
    "deadlock of MariaDB": lambda: OperationalError(1213, "Deadlock found"),
    "MariaDB, read by a snapshot": lambda: OperationalError(1020, "Record has changed"),
    "deadlock of PostgreSQL": lambda: _caused(sqlstate="40P01"),
    "PostgreSQL, not serializable": lambda: _caused(sqlstate="40001"),
    "the same by psycopg2": lambda: _caused(sqlstate=None, pgcode="40001"),
    "SQLite, busy with a newer snapshot": lambda: _caused(sqlite_errorcode=517),
}
DEADLOCK = TRY_AGAIN["deadlock of MariaDB"]

#: What a database says that is away, or of which another machine has become the master.
AWAY: dict[str, MakeError] = {
    "cut off": lambda: OperationalError("server closed the connection unexpectedly"),
    "no connection": lambda: InterfaceError("connection already closed"),
    "read only": lambda: DatabaseError("cannot execute UPDATE in a read-only transaction"),
    "deadlock": DEADLOCK,
}


@contextmanager
def fails(
    statement: str, *parts: str, times: int, error: MakeError = DEADLOCK
) -> Iterator[list[str]]:
    """While it lasts, the statements that begin with ``statement`` and have all ``parts`` fail, as
    often as ``times`` says; gives those that did.

    The transaction stays good for the database, but Django rolls it back as after an error.
    """
    failed: list[str] = []

    def execute(go_on: Callable[..., Any], sql: str, *args: Any) -> Any:
        is_it = sql.startswith(statement) and all(part in sql for part in parts)
        if is_it and len(failed) < times:
            failed.append(sql)
            raise error()
        return go_on(sql, *args)

    with connection.execute_wrapper(execute):
        yield failed
