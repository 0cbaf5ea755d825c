"""The model field that stores a secret encrypted."""

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
    """The attribute of a model object that holds a secret, bound to its column and its owner."""

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
        # Bind it now if possible: the ciphertext belongs to the owner that the row has now.
        if isinstance(value, Secret) and value and (place := self.field.known_place(instance)):
            value = value.at(place)
        instance.__dict__[self.field.attname] = value


class EncryptedField(_TextField):
    """Text that is stored encrypted and read as a :class:`~reciprocal_oauth.secret.Secret`.

    An empty value is stored empty. Only ``reveal()`` decrypts, and saving writes an unchanged value
    back as it was read, so a row can be saved without any key. Each encryption gives another text,
    so only the lookups ``isnull`` and ``exact`` with ``""`` are useful.

    The ciphertext is bound to the column and to the values of ``owner``: it cannot be decrypted in
    another row or column. So ``QuerySet.update()`` accepts a secret only after it was assigned to
    the row, and nobody can decrypt the secrets that ``values()`` returns.

    :param owner: names of the fields that say whose secret it is. They are declared before this
        field and have their values before the row is first saved. They are not part of migrations:
        a data migration cannot read secrets.
    """

    description = "Encrypted text"
    descriptor_class = _SecretOfRow

    def __init__(self, *args: Any, owner: Sequence[str] = (), **kwargs: Any) -> None:
        self.owner = tuple(owner)
        super().__init__(*args, **kwargs)

    def known_place(self, row: models.Model) -> Place | None:
        """The column and the owner that the ciphertext of ``row`` is bound to. ``None`` if only a
        query could find the owner."""
        values = row.__dict__
        try:
            owner = [_canonical(field, values[field.attname]) for field in self._owner_fields]
        except KeyError:
            return None
        return (self._label, *owner)

    def place_in(self, row: models.Model) -> Place:
        """Like :meth:`known_place`, with a query if one is needed."""
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
        """Return the secret, bound to the column and the owner of the row."""
        secret = super().pre_save(model_instance, add)
        if isinstance(secret, Secret):
            # The owner may have changed since the secret was read.
            secret = secret.at(self.place_in(model_instance))
            model_instance.__dict__[self.attname] = secret
        return secret

    def get_default(self) -> Secret | None:
        """Return the default as a :class:`Secret`."""
        return self.to_python(super().get_default())

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        """Return the ciphertext of the database as a :class:`Secret`, not decrypted yet."""
        return _stored(value)

    def to_python(self, value: Any) -> Secret | None:
        """Return the value as a :class:`Secret`; a ciphertext from a fixture is decrypted later."""
        if value is None or isinstance(value, Secret):
            return value
        text = str(value)
        # Fixtures contain the ciphertext, see value_to_string().
        return _stored(text) if text.startswith((PREFIX, UNBOUND_PREFIX)) else Secret(text)

    def get_prep_value(self, value: Any) -> str | None:
        """Return the ciphertext to store; an empty secret is stored as an empty text."""
        secret = self.to_python(value)
        if secret is None:
            return None
        return secret.encrypted() if secret else ""

    def value_to_string(self, obj: models.Model) -> str:
        """Return the ciphertext, for fixtures: they never contain the plain secret."""
        return self.get_prep_value(self.value_from_object(obj)) or ""


def _canonical(field: Any, value: Any) -> Any:
    """``value`` in the type that the database returns: a new row may have its key as text."""
    # This runs for every row that is read, nearly always with one of these two types.
    return value if isinstance(value, (uuid.UUID, int)) else field.to_python(value)


def _stored(value: str | None) -> Secret | None:
    if value is None:
        return None
    return Secret(ciphertext=value) if value else Secret("")
