"""Encrypts stored secrets again with the first key, so that the older keys can be removed. Secrets
in an older format are written in the current one.

The site can stay in use, and the rotation can be stopped at any time: each value is one conditional
UPDATE, and values that are under the first key already are skipped. So the next run continues where
this one has stopped.
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

#: Rows that one query reads.
BATCH_ROWS = 500


class Outcome(enum.StrEnum):
    """The result for one stored value."""

    ROTATED = "rotated"  #: It was encrypted again; in a dry run, it would be.
    CURRENT = "current"  #: It is under the first key, in the current format.
    UNREADABLE = "unreadable"  #: No key decrypts it, or it belongs to another row. Not changed.


def encrypted_columns() -> Iterator[tuple[type[Model], str]]:
    """Yield the model and the field name of every column of this app that stores secrets."""
    for model in apps.get_app_config("reciprocal_oauth").get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedField):
                yield model, field.name


def rotate(model: type[Model], name: str, *, dry_run: bool = False) -> Counter[Outcome]:
    """Encrypt the secrets in one column again where needed, and count the results.

    Each row has a transaction of its own, so that others never wait long for a row.
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
    """Encrypt one value again. ``None``: it was deleted meanwhile.

    A value that another process has written meanwhile is not overwritten. It is checked again,
    because that process may not have the new key yet.
    """
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
