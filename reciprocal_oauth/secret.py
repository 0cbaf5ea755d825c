"""Codes, tokens and client secrets as objects that are never shown in output and are stored only
encrypted.

Each ciphertext belongs to one *place*: the column in which it is stored, and values of the row that
say whose secret it is, such as the user and the peer. A ciphertext that was copied to another place
is not decrypted there. So an attacker who can write to the database, but has no key, cannot use the
token of one user or peer in the row of another.
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

#: The prefix of encrypted values in the current format. The number is the version of the format.
PREFIX = "fernet2:"
#: The prefix of encrypted values in the first format. Such a value can still be decrypted. It
#: contains no digest of its column and row, so this module cannot detect that it was copied to
#: another row.
UNBOUND_PREFIX = "fernet1:"

#: The place to which a ciphertext belongs: the label of the column, followed by values of the row
#: that say whose secret it is.
Place = tuple[Any, ...]

#: The length of the digest of the place. The digest is encrypted together with the plain text.
_DIGEST_BYTES = 16


class Secret:
    """A code, token or client secret, which is printed as ``***``.

    An object is made from either the plain text or the stored ciphertext. A ciphertext is decrypted
    only when the plain text is needed. So a page can list rows with secrets even if no key decrypts
    them.

    :ivar place: the column and the row to which the ciphertext belongs. A model field sets it when
        the secret is assigned to a row. Until then, it is ``None``.
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
        #: If at() has made this object from a stored secret, this is the ciphertext of the stored
        #: secret; otherwise None.
        self._origin: str | None = None
        self.place = place

    def reveal(self) -> str:
        """Return the plain text.

        :raises DecryptionError: no configured key decrypts the ciphertext, or the ciphertext
            belongs to another column or row.
        """
        if self._plain is None:
            self._plain = decrypt(self._ciphertext or "", self.place)
        return self._plain

    def encrypted(self) -> str:
        """Return the ciphertext, for storing. A secret that was read from the database is not
        encrypted again: its stored ciphertext is returned.

        :raises TypeError: the secret was never assigned to a row. For example, a new secret was
            passed to ``QuerySet.update()``, which does not know the row.
        """
        if self._ciphertext is None:
            if self.place is None:
                raise TypeError("A Secret is encrypted for one row: assign it to the row first.")
            self._ciphertext = encrypt(self._plain or "", self.place)
        return self._ciphertext

    def is_stored_as(self, other: "Secret | None") -> bool:
        """Return whether this secret and ``other`` come from the same ciphertext in the database.

        Return ``True`` also if :meth:`at` has made one of them from the other, for another column
        or row. Return ``False`` for two secrets that were encrypted separately, even if their plain
        texts are equal.
        """
        if self is other:
            return True
        if other is None:
            return False
        mine, theirs = ({each._ciphertext, each._origin} for each in (self, other))
        return bool((mine & theirs) - {None})

    def at(self, place: Place) -> "Secret":
        """Return a secret that has the same plain text and belongs to ``place``.

        If the plain text is needed for this but cannot be decrypted, return this object unchanged.
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
        # A pickle could contain the plain text, and could be stored in a cache or a queue.
        raise TypeError("A Secret cannot be pickled.")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: Any) -> "Secret":
        return self


@sensitive_variables()
def encrypt(plain: str, place: Place) -> str:
    """Encrypt ``plain`` with the first key, and return the ciphertext.

    :param place: the column and the row to which the ciphertext will belong.
    """
    return PREFIX + _fernet().encrypt(_digest_of(place) + plain.encode()).decode("ascii")


@sensitive_variables()
def decrypt(ciphertext: str, place: Place | None) -> str:
    """Decrypt ``ciphertext`` with the configured key that fits, and return the plain text.

    :param place: the column and the row in which the ciphertext is stored.
    :raises DecryptionError: ``ciphertext`` has an unknown format, no key decrypts it, or it belongs
        to another column or row than ``place``.
    """
    if not ciphertext.startswith((PREFIX, UNBOUND_PREFIX)):
        raise DecryptionError("A stored secret is not in encrypted form.")
    try:
        return _read(_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError):
        # "from None", because the original error helps nobody and may show the ciphertext.
        raise DecryptionError(
            "A stored secret cannot be decrypted: no key in RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] "
            "(or derived from SECRET_KEY and SECRET_KEY_FALLBACKS) decrypts it. Put the key that "
            "encrypted it back at the end of the list."
        ) from None


@sensitive_variables()
def is_current(ciphertext: str, place: Place) -> bool:
    """Return whether ``ciphertext`` has the current format, belongs to the column and row in
    ``place``, and is encrypted with the first key. If not, it should be encrypted again
    (:func:`reencrypted`)."""
    if not ciphertext.startswith(PREFIX):
        return False
    try:
        _read(_first_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError, DecryptionError):
        return False
    return True


@sensitive_variables()
def reencrypted(ciphertext: str, place: Place) -> str:
    """Decrypt ``ciphertext``, and return its plain text encrypted again for ``place``, with the
    first key and in the current format.

    :param place: the column and the row in which the ciphertext is stored.
    :raises DecryptionError: ``ciphertext`` cannot be decrypted (see :func:`decrypt`).
    """
    return encrypt(decrypt(ciphertext, place), place)


@sensitive_variables()
def derived_key(secret_key: str | bytes) -> str:
    """Return the Fernet key that this app derives from ``secret_key``, Django's ``SECRET_KEY``. The
    app uses this key while the setting ``ENCRYPTION_KEYS`` is empty.

    When a site begins to use ``ENCRYPTION_KEYS``, it puts this key at the end of the list, so that
    values stored earlier can be decrypted. The function reads no settings, so it can be called in
    the settings module.
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
    # The digest is encrypted together with the secret, because Fernet has no other way to protect
    # additional data from changes.
    # NUL separates the values, because IDs, hashes, short names and origins contain no NUL.
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
