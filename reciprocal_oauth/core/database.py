"""Functions for the database that contains the tables of this app and of django-oauth-toolkit
(DOT): they open transactions, repeat work after temporary errors, and close connections."""

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

#: The SQLSTATE codes of PostgreSQL for errors after which a transaction can be tried again:
#: serialization failure and deadlock.
_CONFLICT_STATES = frozenset({"40001", "40P01"})
#: The error numbers of MySQL and MariaDB for errors after which a transaction can be tried again:
#: deadlock, and a row that another transaction changed after it was read.
_CONFLICT_NUMBERS = frozenset({1213, 1020})
#: The primary result code of SQLite that means "busy": another connection is writing.
_SQLITE_BUSY = 5
#: If SQLite reports "busy" after more than this number of seconds, the work is not repeated,
#: because SQLite has already waited for the lock until its own timeout. If it reports "busy"
#: earlier, it has not waited, and the work is repeated.
_SQLITE_SOON_SECONDS = 1.0
#: How many times :func:`tried_again` calls a function again after the first attempt.
_REPEATS = 3
#: The pause, in seconds, before a failed function is called again for the first time. Each further
#: pause is twice as long as the previous one.
_FIRST_PAUSE_SECONDS = 0.02
#: The longest pause, in seconds, between attempts to save data that a peer sends only once.
_LONGEST_PAUSE_SECONDS = 1.0


class _Thread(threading.local):
    """What the current thread is doing. Each thread has its own values."""

    #: Whether the thread is processing a web request now.
    serves = False
    #: Whether the thread is processing a queue row now. If so, only code of this app uses the
    #: database connections of the thread, so this app can close them safely.
    delivers = False
    #: Whether the thread is running a function that is decorated with :func:`tried_again`. The
    #: function is repeated as a whole. If it calls other decorated functions, these are not
    #: repeated separately.
    repeats = False


_thread = _Thread()


def database() -> str:
    """Return the alias of the database to which this app writes (a key of ``DATABASES``)."""
    return router.db_for_write(apps.get_model("reciprocal_oauth", "Link"))


def rows_of(model: Any) -> QuerySet[Any]:
    """Return the rows of a DOT model from the database to which this app writes. They are not read
    from a replica, because a replica may lack the latest changes.

    Models of this app need no such function: their manager always uses this database
    (:class:`~reciprocal_oauth.models.base.BaseModel`).
    """
    return model.objects.using(database())


def atomic() -> Atomic:
    """Return ``transaction.atomic`` for the database to which this app writes."""
    return transaction.atomic(using=database())


def on_commit(function: Callable[[], object]) -> None:
    """Run ``function`` after the current transaction of this app's database (:func:`database`)
    commits. If ``function`` raises an exception, Django logs the exception and still runs the other
    functions that were registered for this commit."""
    transaction.on_commit(function, using=database(), robust=True)


def is_in_transaction() -> bool:
    """Return whether the caller has an open transaction. The transaction that Django's ``TestCase``
    opens around each test is ignored, as in Django's ``atomic(durable=True)``."""
    blocks = connections[database()].atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def require_no_transaction(what: str) -> None:
    """Raise an error if the caller has an open transaction.

    :param what: the beginning of the error message: what is not possible in a transaction, such as
        "A peer cannot be called".
    :raises TransactionManagementError: the caller has an open transaction.
    """
    if is_in_transaction():
        raise TransactionManagementError(
            f"{what} within a transaction: a rollback would lose a refresh token that the peer has "
            "issued, and rows would be locked during the request to the peer. Do it outside of "
            "atomic(); with ATOMIC_REQUESTS, mark the view with transaction.non_atomic_requests."
        )


def outside_transactions(view: Any) -> Any:
    """Return ``view`` with an exemption from ``ATOMIC_REQUESTS``, so that Django opens no
    transaction for its requests on any database."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def log_exception(log: logging.Logger, message: str, *args: Any) -> None:
    """Log the exception that is being handled, with its traceback.

    If the database is down, log only one line without a traceback: an outage causes many such
    records, and error reporters would send each traceback with the variables of all frames.
    """
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        said = str(error).partition("\n")[0]
        log.error(f"{message} (%s: %s)", *args, type(error).__name__, said)
    else:
        log.error(message, *args, exc_info=error)


# Repetition of work after a temporary database error


def wants_another_try(error: BaseException) -> bool:
    """Return whether ``error`` is a temporary database error. If so, the database has rolled back
    the transaction, and the same transaction can succeed if it is tried again."""
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
    """Decorate a function so that it is called again after a temporary database error
    (:func:`wants_another_try`), at most three times.

    The function must undo its work if it fails, for example by a transaction, so that it can be
    called again.

    If the caller has an open transaction, the function is not called again. In this case the
    database has also rolled back what the caller did earlier in the transaction, so the caller
    would have to repeat this work too.

    :raises DatabaseError: the decorated function raises its database error if trying again cannot
        help or did not help.
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
    """Save data that a peer sends only once, such as new tokens, and return the result of ``save``.

    ``save`` is called again after an error that may be temporary. Before each further call, the
    database connection is closed, so that the call uses a new connection.

    :param what: the name of the data in the log.
    :param save: a function that saves the data. It must be possible to call it again, even if an
        earlier call did commit but the connection broke before the confirmation arrived.
    :param until: the time, by ``time.monotonic()``, after which ``save`` is not called again.
    :raises DatabaseError, InterfaceError: ``save`` failed and is not called again, because the time
        is over, the error is permanent, or the caller has an open transaction.
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
    # The pause is random, so that two transactions that collided do not start again at the same
    # moment.
    time.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311


# Closing database connections before requests to peers


def request_begins() -> None:
    """Record that the current thread starts to serve a web request."""
    _thread.serves = True


def request_ends() -> None:
    """Record that the current thread no longer serves a web request."""
    _thread.serves = False


@contextmanager
def delivering() -> Iterator[None]:
    """Record that the current thread processes a queue row while it runs the ``with`` block."""
    before, _thread.delivers = _thread.delivers, True
    try:
        yield
    finally:
        _thread.delivers = before


def release_connections() -> None:
    """Close database connections of the current thread before it waits for a peer, so that a slow
    peer does not occupy connections that other threads need. The next query opens a new connection.

    Which connections are closed:

    - In a thread that processes a queue row: all connections.
    - In a web request: only connections with ``CONN_MAX_AGE`` 0. Django would close them after the
      request anyway.
    - In other code, such as a management command of the site: none, because the code may be reading
      from a server-side cursor (``QuerySet.iterator()``).

    A connection with an open transaction is never closed.
    """
    if not _thread.delivers and not _thread.serves:
        return
    for connection in connections.all(initialized_only=True):
        is_free = connection.autocommit and not connection.in_atomic_block
        if is_free and (_thread.delivers or connection.settings_dict["CONN_MAX_AGE"] == 0):
            connection.close()


def is_pooled() -> bool:
    """Return whether the database connections come from a connection pool. If so, closing a
    connection and opening a new one is cheap."""
    return bool(connections[database()].settings_dict.get("OPTIONS", {}).get("pool"))
