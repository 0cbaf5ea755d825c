"""Encrypts stored secrets again with the first key in the setting ``ENCRYPTION_KEYS``. After that,
an administrator can remove the older keys from the setting. A secret in an older format is also
written in the current format.

The site can stay in use during the rotation, because each secret is changed with one conditional
UPDATE. The rotation can be stopped at any time. The next run skips the secrets that are already
encrypted with the first key, so it continues with the remaining secrets.
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

#: The number of rows that one query reads.
BATCH_ROWS = 500


class Outcome(enum.StrEnum):
    """The result of the rotation for one stored secret."""

    #: The secret was encrypted again. In a dry run, the secret was not changed, but a real run
    #: would encrypt it again.
    ROTATED = "rotated"
    #: The secret is already encrypted with the first key, in the current format.
    CURRENT = "current"
    #: The secret cannot be decrypted, because the key is not in the settings, or because the
    #: ciphertext was copied from another row or column. It was not changed.
    UNREADABLE = "unreadable"


def encrypted_columns() -> Iterator[tuple[type[Model], str]]:
    """Yield the model and the field name of every column of this app that stores secrets."""
    for model in apps.get_app_config("reciprocal_oauth").get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedField):
                yield model, field.name


def rotate(model: type[Model], name: str, *, dry_run: bool = False) -> Counter[Outcome]:
    """Encrypt the secrets in one column again, except those that are already encrypted with the
    first key in the current format. Return the number of secrets for each :class:`Outcome`.

    Each row is changed in its own transaction, so that other processes never wait long for a row.

    :param name: the name of the field.
    :param dry_run: if ``True``, count the secrets and change nothing.
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
    """Encrypt the secret in one row again, and return the result. Return ``None`` if another
    process has just deleted the secret.

    If another process has just stored a new secret in the row, do not overwrite the new secret.
    Check the new secret and encrypt it again if necessary, because that process perhaps still uses
    an older key.
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
