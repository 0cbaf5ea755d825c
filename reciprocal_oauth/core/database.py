"""Transactions and connections of the database that holds this app's tables (and, with them,
DOT's)."""

import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.apps import apps
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connections,
    router,
    transaction,
)
from django.db.models import QuerySet
from django.db.transaction import Atomic, TransactionManagementError
from django.views.decorators.debug import sensitive_variables

logger = logging.getLogger("reciprocal_oauth")

P = ParamSpec("P")
T = TypeVar("T")

#: "Try the transaction again": serialization failure and deadlock (SQLSTATE, PostgreSQL).
_CONFLICT_STATES = frozenset({"40001", "40P01"})
#: The same by number (MySQL, MariaDB): deadlock, and a row that changed since it was read.
_CONFLICT_NUMBERS = frozenset({1213, 1020})
#: The primary result code of SQLite for "another connection writes".
_SQLITE_BUSY = 5
#: SQLite says "busy" at once where waiting cannot help, and else after its own timeout. Then, after
#: these seconds, it is not asked again.
_SQLITE_SOON_SECONDS = 1.0
#: How often work is done once more.
_REPEATS = 3
#: The first pause before that, in seconds; each one after it is twice as long.
_FIRST_PAUSE_SECONDS = 0.02
#: The longest pause, in seconds, while something that cannot be asked for again is to be saved.
_LONGEST_PAUSE_SECONDS = 1.0


class _Thread(threading.local):
    """What is true of the running thread."""

    #: A web request is served: what is read lazily belongs to that request.
    serves = False
    #: A row of a queue is worked on: nobody else uses the thread's connections.
    delivers = False
    #: Work is being done that begins again as a whole.
    repeats = False


_thread = _Thread()


def database() -> str:
    """Alias of the database that this app's tables are written to."""
    return router.db_for_write(apps.get_model("reciprocal_oauth", "Link"))


def rows_of(model: Any) -> QuerySet[Any]:
    """The rows of a model of DOT's, read where they are written: a replica may be behind. Ours are
    read so without it (:class:`~reciprocal_oauth.models.base.BaseModel`)."""
    return model.objects.using(database())


def atomic() -> Atomic:
    """``transaction.atomic`` on that database."""
    return transaction.atomic(using=database())


def on_commit(function: Callable[[], object]) -> None:
    """Run ``function`` once the transaction on that database is committed. If it fails, the error
    is logged: it breaks neither the caller nor what others want to do after the commit."""
    transaction.on_commit(function, using=database(), robust=True)


def is_in_transaction() -> bool:
    """Whether a transaction of the caller is open. Those that Django's ``TestCase`` opens around a
    test do not count, as for ``atomic(durable=True)``."""
    blocks = connections[database()].atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def require_no_transaction(what: str) -> None:
    """Refuse to go on within a transaction of the caller.

    :raises TransactionManagementError: there is one.
    """
    if is_in_transaction():
        raise TransactionManagementError(
            f"{what} within a transaction: a rollback would lose a refresh token that the peer has "
            "given, and locks would be held while it is asked. Do it outside of atomic(); "
            "with ATOMIC_REQUESTS, mark the view with transaction.non_atomic_requests."
        )


def outside_transactions(view: Any) -> Any:
    """Exempt ``view`` from ``ATOMIC_REQUESTS``, whatever database it is set on."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def log_exception(log: logging.Logger, message: str, *args: Any) -> None:
    """Log the exception that is being handled: with its traceback, unless the database is not there
    or too busy. That is an ordinary outage, of which one line says all; error reporters would send
    it with the variables of every frame, each time."""
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        said = str(error).partition("\n")[0]
        log.error(f"{message} (%s: %s)", *args, type(error).__name__, said)
    else:
        log.error(message, *args, exc_info=error)


# Work that the database wants to be done again


def wants_another_try(error: BaseException) -> bool:
    """Whether the database has undone what it was asked to do, and says to ask it again."""
    if not isinstance(error, DatabaseError):
        return False
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    number = error.args[0] if error.args else None
    return state in _CONFLICT_STATES or number in _CONFLICT_NUMBERS or _is_busy(error)


def _is_busy(error: DatabaseError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return code & 0xFF == _SQLITE_BUSY


def tried_again(function: Callable[P, T]) -> Callable[P, T]:
    """A function that is run once more, at most three times, when the database says so
    (:func:`wants_another_try`).

    For a function that either does all of its work or none, and finds the same when it is called
    again. Within a transaction of the caller nothing is repeated: all of that is undone, so the
    caller has to begin again.
    """

    @wraps(function)
    @sensitive_variables()
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if _thread.repeats or is_in_transaction():
            return function(*args, **kwargs)
        pause, last = _FIRST_PAUSE_SECONDS, _REPEATS
        for repeat in range(last + 1):
            begun = time.monotonic()
            try:
                with _repeating():
                    return function(*args, **kwargs)
            except DatabaseError as error:
                waited = _is_busy(error) and time.monotonic() - begun > _SQLITE_SOON_SECONDS
                if repeat == last or waited or not wants_another_try(error):
                    raise
                _note_repeat(function, error)
            _rest(pause)
            pause *= 2
        raise AssertionError("unreachable")

    return run


@contextmanager
def _repeating() -> Iterator[None]:
    _thread.repeats = True
    try:
        yield
    finally:
        _thread.repeats = False


def _note_repeat(function: Callable[..., Any], error: DatabaseError) -> None:
    logger.info(
        "The database asks to try again (%s): %s is repeated",
        type(error).__name__,
        getattr(function, "__qualname__", function),
        extra={"action": "tried_again"},
    )


@sensitive_variables()
def saved_at_last(what: str, save: Callable[[], T], *, until: float) -> T:
    """What ``save`` returns, which saves what no peer gives a second time: whatever is wrong with
    the database, it is tried again on a fresh connection until it works.

    :param what: is saved, for our log.
    :param save: as for :func:`tried_again`, and it must do no harm where the commit has worked and
        only its confirmation was lost.
    :param until: by ``time.monotonic()``; the last try begins before.
    :raises DatabaseError, InterfaceError: it did not work in time.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return save()
        except (DatabaseError, InterfaceError) as error:
            if not _may_pass(error) or is_in_transaction() or time.monotonic() >= until:
                raise
            logger.warning(
                "%s cannot be saved now (%s): it is tried again", what, type(error).__name__
            )
        _drop_connection()
        _rest(min(pause, max(until - time.monotonic(), 0)))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _may_pass(error: Exception) -> bool:
    lasting = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
    return wants_another_try(error) or not isinstance(error, lasting)


def _drop_connection() -> None:
    connection = connections[database()]
    if not connection.in_atomic_block:
        with suppress(DatabaseError, InterfaceError):
            connection.close()


def _rest(seconds: float) -> None:
    release_connections()
    # Two that were in each other's way must not meet again.
    time.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311


# Connections that nobody uses while a peer is waited for


def request_begins() -> None:
    """This thread serves a web request from now on."""
    _thread.serves = True


def request_ends() -> None:
    """The web request is over."""
    _thread.serves = False


@contextmanager
def delivering() -> Iterator[None]:
    """This thread works on a row of a queue."""
    before, _thread.delivers = _thread.delivers, True
    try:
        yield
    finally:
        _thread.delivers = before


def release_connections() -> None:
    """Give this thread's database connections back, because it waits for somebody else now; the
    next query takes one again. So a peer that hangs holds none of those that others wait for.

    Not within a transaction. In a web request, only those that Django would not keep for the next
    one (``CONN_MAX_AGE``). And in a program of the site's none: it may be reading from a cursor on
    the server (``QuerySet.iterator()``), which would be lost.
    """
    if not _thread.delivers and not _thread.serves:
        return
    for connection in connections.all(initialized_only=True):
        is_free = connection.autocommit and not connection.in_atomic_block
        if is_free and (_thread.delivers or connection.settings_dict["CONN_MAX_AGE"] == 0):
            connection.close()


def is_pooled() -> bool:
    """Whether to give a connection back and to take one again costs next to nothing."""
    return bool(connections[database()].settings_dict.get("OPTIONS", {}).get("pool"))
