"""Transactions on the database that holds this app's tables (and, with them, DOT's)."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.transaction import Atomic, TransactionManagementError


def database() -> str:
    """Alias of the database that this app's tables are written to."""
    return router.db_for_write(apps.get_model("reciprocal_oauth", "Link"))


def rows_of(model: Any) -> QuerySet[Any]:
    """The rows of a model of DOT's, read where they are written: a replica may be behind. Ours are
    read so without it (:class:`~reciprocal_oauth.models.rows.Row`)."""
    return model.objects.using(database())


def atomic() -> Atomic:
    """``transaction.atomic`` on that database."""
    return transaction.atomic(using=database())


def on_commit(function: Callable[[], object]) -> None:
    """Run ``function`` once the transaction on that database is committed."""
    transaction.on_commit(function, using=database())


def require_no_transaction(what: str) -> None:
    """Refuse to go on within a transaction of the caller. Those that Django's ``TestCase`` opens
    around a test do not count, as for ``atomic(durable=True)``.

    :raises TransactionManagementError: there is one.
    """
    blocks = connections[database()].atomic_blocks
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
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
