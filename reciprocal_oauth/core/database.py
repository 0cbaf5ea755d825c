"""Transactions and connections of the database that holds the tables of this app, and those of
django-oauth-toolkit (DOT)."""

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

#: Errors after which a transaction can be tried again: serialization failure and deadlock (SQLSTATE
#: of PostgreSQL).
_CONFLICT_STATES = frozenset({"40001", "40P01"})
#: The same, by error number of MySQL and MariaDB: deadlock, and a row that changed after it was
#: read.
_CONFLICT_NUMBERS = frozenset({1213, 1020})
#: The primary result code of SQLite for "another connection is writing".
_SQLITE_BUSY = 5
#: SQLite reports "busy" at once if waiting cannot help, and otherwise after its own timeout. If it
#: has waited longer than these seconds, the work is not repeated.
_SQLITE_SOON_SECONDS = 1.0
#: How many times work is repeated.
_REPEATS = 3
#: The pause before the first repetition, in seconds. Each further pause is twice as long.
_FIRST_PAUSE_SECONDS = 0.02
#: The longest pause, in seconds, between attempts to save data that a peer sends only once.
_LONGEST_PAUSE_SECONDS = 1.0


class _Thread(threading.local):
    """What the current thread does."""

    #: The thread serves a web request.
    serves = False
    #: The thread works on a row of a queue. No other code uses the connections of the thread.
    delivers = False
    #: The thread runs a function that is repeated as a whole. Functions that it calls are not
    #: repeated on their own.
    repeats = False


_thread = _Thread()


def database() -> str:
    """Return the alias of the database to which this app writes."""
    return router.db_for_write(apps.get_model("reciprocal_oauth", "Link"))


def rows_of(model: Any) -> QuerySet[Any]:
    """Return the rows of a DOT model, read from the database to which they are written, because a
    replica may be behind. Models of this app do this by themselves
    (:class:`~reciprocal_oauth.models.base.BaseModel`)."""
    return model.objects.using(database())


def atomic() -> Atomic:
    """Begin a transaction (``transaction.atomic``) on that database."""
    return transaction.atomic(using=database())


def on_commit(function: Callable[[], object]) -> None:
    """Run ``function`` after the current transaction on that database commits. An exception of
    ``function`` is logged; the caller and other functions that run after the commit go on."""
    transaction.on_commit(function, using=database(), robust=True)


def is_in_transaction() -> bool:
    """Whether the caller has an open transaction. The transaction that Django's ``TestCase`` opens
    around a test does not count, as with ``atomic(durable=True)``."""
    blocks = connections[database()].atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def require_no_transaction(what: str) -> None:
    """Make sure that the caller has no open transaction.

    :param what: what the caller does, as the beginning of the error message.
    :raises TransactionManagementError: the caller has an open transaction.
    """
    if is_in_transaction():
        raise TransactionManagementError(
            f"{what} within a transaction: a rollback would lose a refresh token that the peer has "
            "issued, and rows would be locked during the request to the peer. Do it outside of "
            "atomic(); with ATOMIC_REQUESTS, mark the view with transaction.non_atomic_requests."
        )


def outside_transactions(view: Any) -> Any:
    """Exempt ``view`` from ``ATOMIC_REQUESTS`` on every database."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def log_exception(log: logging.Logger, message: str, *args: Any) -> None:
    """Log the exception that is being handled, with its traceback.

    An outage of the database is logged in one line without a traceback. Otherwise error reporters
    would send it each time, with the variables of every frame.
    """
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        said = str(error).partition("\n")[0]
        log.error(f"{message} (%s: %s)", *args, type(error).__name__, said)
    else:
        log.error(message, *args, exc_info=error)


# Repeating work after a temporary error of the database


def wants_another_try(error: BaseException) -> bool:
    """Whether ``error`` means that the database has rolled back, and that trying again can help."""
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
    """Decorate a function to be repeated after a temporary error (:func:`wants_another_try`), at
    most three times.

    The function must do all of its work or none, so that it can be called again. It is not repeated
    within a transaction of the caller, because the database has rolled back all of that.

    :raises DatabaseError: by the decorated function, if trying again cannot help or did not help.
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
    """Save data that a peer sends only once, such as new tokens: call ``save``, on a new connection
    after each error, until it works.

    :param what: what is saved, for the log.
    :param save: a function that can be called again, also after a commit whose confirmation was
        lost. Its result is returned.
    :param until: no attempt begins after this time of ``time.monotonic()``.
    :raises DatabaseError, InterfaceError: saving did not work in time, or the error is permanent.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return save()
        except (DatabaseError, InterfaceError) as error:
            if not _may_pass(error) or is_in_transaction() or time.monotonic() >= until:
                raise
            logger.warning("%s cannot be saved now (%s): trying again", what, type(error).__name__)
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
    # A random pause, so that two transactions that collided do not collide again.
    time.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311


# Connections that are released during a request to a peer


def request_begins() -> None:
    """Note that the current thread serves a web request."""
    _thread.serves = True


def request_ends() -> None:
    """Note that the current thread no longer serves a web request."""
    _thread.serves = False


@contextmanager
def delivering() -> Iterator[None]:
    """Note, for this block, that the current thread works on a row of a queue."""
    before, _thread.delivers = _thread.delivers, True
    try:
        yield
    finally:
        _thread.delivers = before


def release_connections() -> None:
    """Close the database connections of the current thread before it waits for a peer. The next
    query opens one again. So a peer that hangs does not block connections that others need.

    Connections in a transaction stay open. In a web request, only connections with ``CONN_MAX_AGE``
    0 are closed, which Django would close after the request. In other code of the site, all stay
    open, because it may be reading from a server-side cursor (``QuerySet.iterator()``).
    """
    if not _thread.delivers and not _thread.serves:
        return
    for connection in connections.all(initialized_only=True):
        is_free = connection.autocommit and not connection.in_atomic_block
        if is_free and (_thread.delivers or connection.settings_dict["CONN_MAX_AGE"] == 0):
            connection.close()


def is_pooled() -> bool:
    """Whether the connections come from a pool, so that closing and opening one is cheap."""
    return bool(connections[database()].settings_dict.get("OPTIONS", {}).get("pool"))
