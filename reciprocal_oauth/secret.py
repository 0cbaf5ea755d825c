"""A value that must not be seen by accident, and the keys that protect it at rest."""

import base64
import hmac
from functools import lru_cache
from typing import Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from .conf import settings
from .exceptions import DecryptionError

#: What encrypted values begin with. The number allows another form later.
PREFIX = "fernet1:"


class Secret:
    """A code, token or client secret. Prints as ``***``; ``reveal()`` gives the text.

    Made from plain text, or from the stored ciphertext, which is decrypted only by ``reveal()``,
    so a list of rows can be shown without any key.
    """

    __slots__ = ("_ciphertext", "_plain")

    def __init__(self, plain: str | None = None, *, ciphertext: str | None = None) -> None:
        if (plain is None) == (ciphertext is None):
            raise TypeError("Secret takes a plain text or a ciphertext.")
        self._plain = plain
        self._ciphertext = ciphertext

    def reveal(self) -> str:
        """The plain text.

        :raises DecryptionError: no configured key reads the ciphertext.
        """
        if self._plain is None:
            self._plain = decrypt(self._ciphertext or "")
        return self._plain

    def encrypted(self) -> str:
        """The ciphertext; the stored one where the value came from the database."""
        return self._ciphertext or encrypt(self._plain or "")

    def __bool__(self) -> bool:
        return self._plain != ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret('***')"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        # A pickle travels to caches, queues and error reports.
        raise TypeError("A Secret cannot be pickled.")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: Any) -> "Secret":
        return self


@sensitive_variables()
def encrypt(plain: str) -> str:
    """``plain`` under the first key, with the prefix of its form."""
    return PREFIX + _fernet().encrypt(plain.encode()).decode("ascii")


@sensitive_variables()
def decrypt(ciphertext: str) -> str:
    """The plain text of what :func:`encrypt` made, under any configured key.

    :raises DecryptionError: it has another form, or no key reads it. Never falls back to the text.
    """
    if not ciphertext.startswith(PREFIX):
        raise DecryptionError("A stored secret is not in encrypted form.")
    try:
        return _read(_fernet(), ciphertext)
    except (InvalidToken, UnicodeError):
        # The chained error would only repeat the ciphertext.
        raise DecryptionError(
            "A stored secret cannot be decrypted: no key in RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] "
            "(or derived from SECRET_KEY and SECRET_KEY_FALLBACKS) reads it. Put the key that "
            "wrote it back at the end of the list."
        ) from None


@sensitive_variables()
def is_under_first_key(ciphertext: str) -> bool:
    """Whether the first key alone reads ``ciphertext``, so that the others can go without it."""
    if not ciphertext.startswith(PREFIX):
        return False
    try:
        _read(_first_fernet(), ciphertext)
    except (InvalidToken, UnicodeError):
        return False
    return True


@sensitive_variables()
def reencrypted(ciphertext: str) -> str:
    """The same text under the first key.

    :raises DecryptionError: as :func:`decrypt`.
    """
    return encrypt(decrypt(ciphertext))


@sensitive_variables()
def derived_key(secret_key: str | bytes) -> str:
    """The Fernet key that is used while ``ENCRYPTION_KEYS`` is empty and ``SECRET_KEY`` is
    ``secret_key``. At the end of ``ENCRYPTION_KEYS`` it reads what was stored before there were
    any; the settings may call this, it reads none."""
    material = secret_key.encode() if isinstance(secret_key, str) else secret_key
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"reciprocal_oauth.fernet")
    return base64.urlsafe_b64encode(hkdf.derive(material)).decode("ascii")


def _read(fernet: MultiFernet, ciphertext: str) -> str:
    return fernet.decrypt(ciphertext.removeprefix(PREFIX).encode("ascii")).decode()


@sensitive_variables()
def _fernet() -> MultiFernet:
    if settings.ENCRYPTION_KEYS:
        return _from_keys(tuple(settings.ENCRYPTION_KEYS))
    return _derived((django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS))


@sensitive_variables()
def _first_fernet() -> MultiFernet:
    if settings.ENCRYPTION_KEYS:
        return _from_keys((settings.ENCRYPTION_KEYS[0],))
    return _derived((django_settings.SECRET_KEY,))


@lru_cache(maxsize=8)
@sensitive_variables()
def _from_keys(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except (ValueError, TypeError):
        raise ImproperlyConfigured(
            "RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] must be a list of Fernet keys (32 bytes in "
            "url-safe base64). Make one with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'"
        ) from None


@lru_cache(maxsize=8)
@sensitive_variables()
def _derived(secret_keys: tuple[str | bytes, ...]) -> MultiFernet:
    return MultiFernet([Fernet(derived_key(key)) for key in secret_keys])
