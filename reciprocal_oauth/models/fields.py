"""The model field for secrets at rest."""

from typing import TYPE_CHECKING, Any

from django.db import models

from ..secret import PREFIX, Secret

if TYPE_CHECKING:
    _TextField = models.TextField[Secret | str, Secret]
else:
    _TextField = models.TextField


class EncryptedField(_TextField):
    """Text that is stored encrypted and read as a :class:`~reciprocal_oauth.secret.Secret`.

    An empty value is stored empty. Nothing is decrypted before ``reveal()``, and a value that was
    read is written back as it stood, so rows can be saved without any key. Lookups other than
    ``isnull`` and ``exact`` with ``""`` make no sense: each encryption gives another text.
    """

    description = "Encrypted text"

    def get_default(self) -> Secret | None:
        return self.to_python(super().get_default())

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        return _stored(value)

    def to_python(self, value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        text = str(value)
        # The serializers write the ciphertext, see value_to_string().
        return _stored(text) if text.startswith(PREFIX) else Secret(text)

    def get_prep_value(self, value: Any) -> str | None:
        secret = self.to_python(value)
        if secret is None:
            return None
        return secret.encrypted() if secret else ""

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""


def _stored(value: str | None) -> Secret | None:
    if value is None:
        return None
    return Secret(ciphertext=value) if value else Secret("")
