"""A model field that encrypts a secret before it is stored in the database."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.functional import cached_property

from ..secret import PREFIX, UNBOUND_PREFIX, Place, Secret

if TYPE_CHECKING:
    _TextField = models.TextField[Secret | str, Secret]
else:
    _TextField = models.TextField


class _SecretOfRow(DeferredAttribute):
    """The attribute of a model object for an :class:`EncryptedField`.

    When a secret is assigned or read, this attribute tells the secret its place: the column, and
    the values of the ``owner`` fields of the row. A ciphertext can be decrypted only in the place
    for which it was made.
    """

    field: "EncryptedField"

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if not isinstance(value, Secret) or instance is None or value.place is not None:
            return value
        bound = value.at(self.field.place_in(instance))
        instance.__dict__[self.field.attname] = bound
        return bound

    def __set__(self, instance: models.Model, value: Any) -> None:
        if isinstance(value, str):
            value = self.field.to_python(value)
        # If the ``owner`` fields of the row (such as the user and the peer) are already set, tell
        # the secret its place now. If code changes one of these fields later, the secret still
        # knows the old values, which are needed to decrypt it.
        if isinstance(value, Secret) and value and (place := self.field.known_place(instance)):
            value = value.at(place)
        instance.__dict__[self.field.attname] = value


class EncryptedField(_TextField):
    """Text that is stored encrypted and read as a :class:`~reciprocal_oauth.secret.Secret`.

    An empty value is stored as an empty text. A secret that was not changed is saved with its
    stored ciphertext, so its row can be saved even if no key decrypts the secret. Each encryption
    of the same text gives a different ciphertext. So only two lookups are useful: ``isnull``, and
    ``exact`` with ``""`` or with a secret that was read from the same row.

    Each ciphertext is made for one place: its column, and the values of the ``owner`` fields of its
    row. It cannot be decrypted in another place. So ``QuerySet.update()`` accepts a new secret only
    after the secret was assigned to an object of that row. The secrets that ``QuerySet.values()``
    returns have no place, so they cannot be decrypted.

    :param owner: the names of the fields that say whose secret it is, such as ``user`` and
        ``peer``. Declare these fields above this field, and set their values before the row is
        first saved. Migrations do not contain ``owner``, so a data migration cannot decrypt
        secrets.
    """

    description = "Encrypted text"
    descriptor_class = _SecretOfRow

    def __init__(self, *args: Any, owner: Sequence[str] = (), **kwargs: Any) -> None:
        self.owner = tuple(owner)
        super().__init__(*args, **kwargs)

    def known_place(self, row: models.Model) -> Place | None:
        """Return the place to which the secret in ``row`` belongs: the label of the column,
        followed by the values of the ``owner`` fields of ``row``. A ciphertext can be decrypted
        only in its own place. Return ``None`` if one of these values is not set or not loaded."""
        values = row.__dict__
        try:
            owner = [_canonical(field, values[field.attname]) for field in self._owner_fields]
        except KeyError:
            return None
        return (self._label, *owner)

    def place_in(self, row: models.Model) -> Place:
        """Return the place to which the secret in ``row`` belongs, as :meth:`known_place` does. But
        first load the values that are not loaded."""
        for field in self._owner_fields:
            getattr(row, field.attname)
        return self.known_place(row) or ()

    @cached_property
    def _label(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"

    @cached_property
    def _owner_fields(self) -> list[Any]:
        return [self.model._meta.get_field(name) for name in self.owner]

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Return the secret to save. Its ciphertext is made for the column and for the present
        values of the ``owner`` fields of the row."""
        secret = super().pre_save(model_instance, add)
        if isinstance(secret, Secret):
            # Compute the place again, because code can have changed the ``owner`` fields of the row
            # after the secret was read. If so, the secret is encrypted again for the new values.
            secret = secret.at(self.place_in(model_instance))
            model_instance.__dict__[self.attname] = secret
        return secret

    def get_default(self) -> Secret | None:
        """Return the default value as a :class:`Secret`."""
        return self.to_python(super().get_default())

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        """Return the ciphertext from the database as a :class:`Secret`, without decrypting it."""
        return _stored(value)

    def to_python(self, value: Any) -> Secret | None:
        """Return ``value`` as a :class:`Secret`. ``value`` is a plain text, or a ciphertext from a
        fixture (see :meth:`value_to_string`). A ciphertext is not decrypted."""
        if value is None or isinstance(value, Secret):
            return value
        text = str(value)
        return _stored(text) if text.startswith((PREFIX, UNBOUND_PREFIX)) else Secret(text)

    def get_prep_value(self, value: Any) -> str | None:
        """Return the ciphertext to store, or an empty text if the secret is empty."""
        secret = self.to_python(value)
        if secret is None:
            return None
        return secret.encrypted() if secret else ""

    def value_to_string(self, obj: models.Model) -> str:
        """Return the ciphertext for a fixture, so that a fixture never contains a plain secret."""
        return self.get_prep_value(self.value_from_object(obj)) or ""


def _canonical(field: Any, value: Any) -> Any:
    """Convert ``value`` to the type that the database returns. For example, a new object can have a
    text instead of a UUID. The text and the UUID must give the same place."""
    # This function must be fast, because it runs for every row that is read. Nearly all values are
    # a UUID or a number, which need no conversion.
    return value if isinstance(value, (uuid.UUID, int)) else field.to_python(value)


def _stored(value: str | None) -> Secret | None:
    if value is None:
        return None
    return Secret(ciphertext=value) if value else Secret("")
