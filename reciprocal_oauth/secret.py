"""A value that must not be seen by accident, and the keys that protect it at rest.

A ciphertext is bound to its *place*: the column and the row that it was stored in. Whoever can
write to the database, but has no key, cannot have the token of one person or peer sent as that of
another.
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

#: What encrypted values begin with. The number tells the form.
PREFIX = "fernet2:"
#: What values of the first form begin with. They are bound to no place, and are still read.
UNBOUND_PREFIX = "fernet1:"

#: What a ciphertext is bound to: the label of its column, and the values that tell the owner.
Place = tuple[Any, ...]

#: Bytes of the digest of its place in front of an encrypted text.
_DIGEST_BYTES = 16


class Secret:
    """A code, token or client secret. Prints as ``***``; ``reveal()`` gives the text.

    Made from plain text, or from the stored ciphertext, which is decrypted only by ``reveal()``,
    so a list of rows can be shown without any key.

    :ivar place: the column and the row that the ciphertext belongs to. A model field sets it when
        the secret is assigned to a row; ``None`` until then.
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
        #: The ciphertext that it was moved here from.
        self._origin: str | None = None
        self.place = place

    def reveal(self) -> str:
        """The plain text.

        :raises DecryptionError: no configured key reads the ciphertext, or it was stored in another
            place.
        """
        if self._plain is None:
            self._plain = decrypt(self._ciphertext or "", self.place)
        return self._plain

    def encrypted(self) -> str:
        """The ciphertext; the stored one where the value came from the database.

        :raises TypeError: the secret was never assigned to a row. ``QuerySet.update()`` takes only
            secrets that were, since it does not know the row.
        """
        if self._ciphertext is None:
            if self.place is None:
                raise TypeError("A Secret is encrypted for one row: assign it to the row first.")
            self._ciphertext = encrypt(self._plain or "", self.place)
        return self._ciphertext

    def is_stored_as(self, other: "Secret | None") -> bool:
        """Whether this is what was read or stored as ``other``, perhaps moved to another place
        since, and not the same text once more."""
        if self is other:
            return True
        if other is None:
            return False
        mine, theirs = ({each._ciphertext, each._origin} for each in (self, other))
        return bool((mine & theirs) - {None})

    def at(self, place: Place) -> "Secret":
        """The same secret in ``place``.

        One that nobody can read keeps its ciphertext, and stays unreadable there.
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
        # A pickle travels to caches, queues and error reports.
        raise TypeError("A Secret cannot be pickled.")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: Any) -> "Secret":
        return self


@sensitive_variables()
def encrypt(plain: str, place: Place) -> str:
    """``plain`` under the first key, bound to ``place``, with the prefix of its form."""
    return PREFIX + _fernet().encrypt(_digest_of(place) + plain.encode()).decode("ascii")


@sensitive_variables()
def decrypt(ciphertext: str, place: Place | None) -> str:
    """The plain text of what :func:`encrypt` made for ``place``, under any configured key.

    :raises DecryptionError: it has another form, no key reads it, or it was made for another place.
        Never falls back to the text.
    """
    if not ciphertext.startswith((PREFIX, UNBOUND_PREFIX)):
        raise DecryptionError("A stored secret is not in encrypted form.")
    try:
        return _read(_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError):
        # The chained error would only repeat the ciphertext.
        raise DecryptionError(
            "A stored secret cannot be decrypted: no key in RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] "
            "(or derived from SECRET_KEY and SECRET_KEY_FALLBACKS) reads it. Put the key that "
            "wrote it back at the end of the list."
        ) from None


@sensitive_variables()
def is_current(ciphertext: str, place: Place) -> bool:
    """Whether ``ciphertext`` has the current form, and the first key alone reads it in ``place``:
    the other keys are not needed for it."""
    if not ciphertext.startswith(PREFIX):
        return False
    try:
        _read(_first_fernet(), ciphertext, place)
    except (InvalidToken, UnicodeError, DecryptionError):
        return False
    return True


@sensitive_variables()
def reencrypted(ciphertext: str, place: Place) -> str:
    """The same text under the first key, bound to ``place``.

    :raises DecryptionError: as :func:`decrypt`.
    """
    return encrypt(decrypt(ciphertext, place), place)


@sensitive_variables()
def derived_key(secret_key: str | bytes) -> str:
    """The Fernet key that is used while ``ENCRYPTION_KEYS`` is empty and ``SECRET_KEY`` is
    ``secret_key``. At the end of ``ENCRYPTION_KEYS`` it reads what was stored before there were
    any; the settings may call this, it reads none."""
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
            "A stored secret was stored for another row or column, and is not used in this one. "
            "Somebody has changed the database by other means than this app, or has restored a "
            "part of it. Enter the peer's client secret again, or let the person connect again."
        )
    return content[_DIGEST_BYTES:].decode()


def _digest_of(place: Place) -> bytes:
    # Inside of what Fernet authenticates, it binds as well as associated data would (Fernet takes
    # none), and any configured key still reads it.
    # No database stores NUL in a text, so the parts cannot be shifted against each other.
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
