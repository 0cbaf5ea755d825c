"""Stored secrets, written anew with the first key, so that the older keys can go; and those of an
older form in the current one.

It works beside a running site and can be stopped at any time: each value is one conditional UPDATE,
and a value that the first key reads is passed over, so the next run goes on where this one ended.
"""

import enum
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model, QuerySet

from ..core.database import tried_again
from ..exceptions import DecryptionError
from ..models.fields import EncryptedField
from ..secret import Secret, is_current, reencrypted

#: Rows that are read at once.
BATCH_ROWS = 500


class Outcome(enum.StrEnum):
    """What became of one stored value."""

    ROTATED = "rotated"  #: Written anew (or, in a dry run, it would be).
    CURRENT = "current"  #: The first key reads it, and it has the current form.
    UNREADABLE = "unreadable"  #: No key reads it, or it is another row's. Left as it is.


def encrypted_columns() -> Iterator[tuple[type[Model], str]]:
    """Every column of this app that holds secrets: model and name of the field."""
    for model in apps.get_app_config("reciprocal_oauth").get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedField):
                yield model, field.name


def rotate(model: type[Model], name: str, *, dry_run: bool = False) -> Counter[Outcome]:
    """Write the secrets in one column anew, where that is needed, and count what became of them.

    No transaction spans two rows: one that waits for a row of this column never waits long.
    """
    rows = model._base_manager.only("pk", *_field(model, name).owner, name)
    counts: Counter[Outcome] = Counter()
    for row in _stored(rows, name):
        outcome = _rotate(rows, row, name, dry_run)
        if outcome is not None:
            counts[outcome] += 1
    return counts


def _field(model: type[Model], name: str) -> EncryptedField:
    field = model._meta.get_field(name)
    assert isinstance(field, EncryptedField)  # noqa: S101  For the type checker.
    return field


def _stored(rows: QuerySet[Any], name: str) -> Iterator[Any]:
    filled = rows.exclude(**{name: ""}).exclude(**{f"{name}__isnull": True}).order_by("pk")
    batch = list(filled[:BATCH_ROWS])
    while batch:
        yield from batch
        batch = list(filled.filter(pk__gt=batch[-1].pk)[:BATCH_ROWS])


def _rotate(rows: QuerySet[Any], row: Any, name: str, dry_run: bool) -> Outcome | None:
    """``None``: the value is gone. A value that was written by somebody else meanwhile is never
    overwritten, but looked at again: he may not have had the new key yet."""
    while row is not None and getattr(row, name):
        secret: Secret = getattr(row, name)
        stored, place = secret.encrypted(), _field(type(row), name).place_in(row)
        if is_current(stored, place):
            return Outcome.CURRENT
        try:
            fresh = Secret(ciphertext=reencrypted(stored, place))
        except DecryptionError:
            return Outcome.UNREADABLE
        unchanged = rows.filter(pk=row.pk, **{name: secret})
        if dry_run or tried_again(unchanged.update)(**{name: fresh}):
            return Outcome.ROTATED
        row = rows.filter(pk=row.pk).first()
    return None
