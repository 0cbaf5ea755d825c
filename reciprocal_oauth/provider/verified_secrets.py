"""Client secrets that were verified before, so that the slow hash runs once per secret.

Password hashers are slow on purpose: with Django's default, six wrong secrets per second keep four
cores busy. So wrong secrets are limited before they are hashed, and right ones are remembered.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from ..conf import settings
from .failure_limit import count_failure

#: Number of locks. Two different secrets rarely share one.
_LOCKS = 64


def matches(provided: str, stored: str, hash_and_compare: Callable[[str, str], bool]) -> bool:
    """Whether ``provided`` is the secret from which ``stored`` was made.

    :param hash_and_compare: the slow comparison, called at most once.
    :raises TooManyFailures: too many wrong secrets, see :mod:`.failure_limit`.
    """
    if _verified.has(provided, stored):
        return True
    # One at a time: after a restart, many requests with one secret are hashed once.
    with _verified.lock_of(provided, stored):
        if _verified.has(provided, stored):
            return True
        # Count before hashing: otherwise many processes would hash while the count is still low.
        uncount = count_failure(stored)
        if not hash_and_compare(provided, stored):
            return False
        uncount()
        _verified.add(provided, stored)
        return True


class _VerifiedSecrets:
    """The most recently used secrets that were right, at most ``VERIFIED_SECRETS_KEPT``.

    Stores no secret, but an HMAC of the secret and its stored form, with a key that never leaves
    this process. When the stored form changes, the secret has to be verified again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def lock_of(self, provided: str, stored: str) -> threading.Lock:
        """The lock to hold while this pair is verified."""
        return self._locks[self._digest(provided, stored)[0] % _LOCKS]

    def has(self, provided: str, stored: str) -> bool:
        """Whether this pair was verified before."""
        digest = self._digest(provided, stored)
        with self._lock:
            if digest not in self._known or not settings.VERIFIED_SECRETS_KEPT:
                return False
            self._known.move_to_end(digest)
            return True

    def add(self, provided: str, stored: str) -> None:
        """Remember this pair; forget those that were not used for the longest time."""
        digest = self._digest(provided, stored)
        with self._lock:
            self._known[digest] = None
            while len(self._known) > settings.VERIFIED_SECRETS_KEPT:
                self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget all pairs."""
        with self._lock:
            self._known.clear()

    def _digest(self, provided: str, stored: str) -> bytes:
        # NUL separates the parts, so two different pairs never give the same message: no stored
        # hash contains NUL.
        message = f"{stored}\0{provided}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")


_verified = _VerifiedSecrets()
#: Forgets all verified secrets, as a restart does. For tests and benchmarks.
forget = _verified.forget
