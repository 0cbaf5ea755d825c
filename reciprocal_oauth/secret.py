"""Secrets that are hidden in output, and encrypted in the database.

A ciphertext is bound to its *place*: the column and the row in which it is stored. So an attacker
who can write to the database, but has no key, cannot copy the token of one user or peer to the row
of another.
"""

import base64
import hashlib
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

#: Encrypted values begin with this. The number is the version of the format.
PREFIX = "fernet2:"
#: Values of the first format begin with this. They are bound to no place, and can still be read.
UNBOUND_PREFIX = "fernet1:"

#: What a ciphertext is bound to: the label of its column, and values that identify its row.
Place = tuple[Any, ...]

#: Length of the digest of the place, which is encrypted together with the text.
_DIGEST_BYTES = 16


class Secret:
    """A code, token or client secret. It is printed as ``***``; ``reveal()`` returns the text.

    Pass the plain text, or the stored ciphertext. Only ``reveal()`` decrypts, so pages that list
    rows need no key.

    :ivar place: the column and the row of the ciphertext. A model field sets it when the secret is
        assigned to a row; until then it is ``None``.
    """

    __slots__ = ("_ciphertext", "_origin", "_plain", "place")

    def __init__(
        self,
        plain: str | None = None,
        *,
        ciphertext: str | None = None,
        place: Place | None = None,
    ) -> None:
        if (plain is None) == (ciphertext is None):
            raise TypeError("Secret takes a plain text or a ciphertext.")
        self._plain = plain
        self._ciphertext = ciphertext
        #: The ciphertext in the place from which at() has moved this secret.
        self._origin: str | None = None
        self.place = place

    def reveal(self) -> str:
        """Return the plain text.

        :raises DecryptionError: no configured key decrypts the ciphertext, or the ciphertext
            belongs to another place.
        """
        if self._plain is None:
            self._plain = decrypt(self._ciphertext or "", self.place)
        return self._plain

    def encrypted(self) -> str:
        """Return the ciphertext. A secret that was read from the database keeps its ciphertext.

        :raises TypeError: the secret was never assigned to a row. This also happens if such a
            secret is passed to ``QuerySet.update()``, which does not know the row.
        """
        if self._ciphertext is None:
            if self.place is None:
                raise TypeError("A Secret is encrypted for one row: assign it to the row first.")
            self._ciphertext = encrypt(self._plain or "", self.place)
        return self._ciphertext

    def is_stored_as(self, other: "Secret | None") -> bool:
        """Whether both are the same stored value: they share a ciphertext, perhaps from before one
        of them was moved to another place. Two values with the same text are not enough."""
        if self is other:
            return True
        if other is None:
            return False
        mine, theirs = ({each._ciphertext, each._origin} for each in (self, other))
        return bool((mine & theirs) - {None})

    def at(self, place: Place) -> "Secret":
        """Return the same secret, bound to ``place``.

        A secret that no key decrypts is returned as it is, and cannot be read in ``place``.
        """
        if not self or self.place == place:
            return self
        if self.place is None and self._ciphertext is not None:
            return Secret(ciphertext=self._ciphertext, place=place)
        try:
            moved = Secret(self.reveal(), place=place)
        except DecryptionError:
            return self
        moved._origin = self._ciphertext or self._origin
        return moved

    def __bool__(self) -> bool:
        return self._plain != ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._ciphertext and (self._ciphertext, self.place) == (other._ciphertext, other.place):
            return True
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret('***')"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        # Pickles are stored in caches and queues, and sent in error reports.
        raise TypeError("A Secret cannot be pickled.")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: Any) -> "Secret":
        return self


@sensitive_variables()
def encrypt(plain: str, place: Place) -> str:
    """Encrypt ``plain`` with the first key, bound to ``place``."""
    return PREFIX + _fernet().encrypt(_digest_of(place) + plain.encode()).decode("ascii")


@sensitive_variables()
def decrypt(ciphertext: str, place: Place | None) -> str:
    """Decrypt ``ciphertext`` with any configured key.

    :raises DecryptionError: ``ciphertext`` has another format, no key decrypts it, or it belongs to
        another place than ``place``.
    """
    if not ciphertext.startswith((PREFIX, UNBOUND_PREFIX)):
        raise DecryptionError("A stored secret is not in encrypted form.")
    try:
        return _read(_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError):
        # "from None": the original error would only repeat the ciphertext.
        raise DecryptionError(
            "A stored secret cannot be decrypted: no key in RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] "
            "(or derived from SECRET_KEY and SECRET_KEY_FALLBACKS) decrypts it. Put the key that "
            "encrypted it back at the end of the list."
        ) from None


@sensitive_variables()
def is_current(ciphertext: str, place: Place) -> bool:
    """Whether ``ciphertext`` has the current format, belongs to ``place``, and the first key
    decrypts it, so that the other keys are not needed."""
    if not ciphertext.startswith(PREFIX):
        return False
    try:
        _read(_first_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError, DecryptionError):
        return False
    return True


@sensitive_variables()
def reencrypted(ciphertext: str, place: Place) -> str:
    """Encrypt the text of ``ciphertext`` again, with the first key, bound to ``place``.

    :raises DecryptionError: as :func:`decrypt`.
    """
    return encrypt(decrypt(ciphertext, place), place)


@sensitive_variables()
def derived_key(secret_key: str | bytes) -> str:
    """Return the Fernet key that is used if ``ENCRYPTION_KEYS`` is empty and ``SECRET_KEY`` is
    ``secret_key``.

    Put it at the end of ``ENCRYPTION_KEYS`` to decrypt what was stored while that was empty. This
    function reads no settings, so the settings module may call it.
    """
    material = secret_key.encode() if isinstance(secret_key, str) else secret_key
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"reciprocal_oauth.fernet")
    return base64.urlsafe_b64encode(hkdf.derive(material)).decode("ascii")


@sensitive_variables()
def _read(fernet: MultiFernet, ciphertext: str, place: Place | None) -> str:
    prefix, colon, token = ciphertext.partition(":")
    content = fernet.decrypt(token.encode("ascii"))
    if prefix + colon == UNBOUND_PREFIX:
        return content.decode()
    if place is None or content[:_DIGEST_BYTES] != _digest_of(place):
        raise DecryptionError(
            "A stored secret belongs to another row or column, and is not used in this one. The "
            "database was changed without this app, or was restored in part. Enter the peer's "
            "client secret again, or ask the user to connect again."
        )
    return content[_DIGEST_BYTES:].decode()


def _digest_of(place: Place) -> bytes:
    # The digest is part of the encrypted text, which Fernet authenticates. It serves as associated
    # data, which Fernet itself does not support.
    # The separator is NUL, because the parts cannot contain it: no database stores NUL in a text.
    text = "\0".join(map(str, place))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


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
