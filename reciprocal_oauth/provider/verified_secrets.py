"""Remembers client secrets that were right, so that the slow hash runs only once for each secret.

Password hashers are slow on purpose: with Django's default, six wrong secrets per second keep four
processor cores busy. So :mod:`.failure_limit` limits wrong secrets before they are hashed, and this
module remembers right secrets.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from ..conf import settings
from .failure_limit import count_failure

#: The number of locks. It is large enough that two different secrets rarely have the same lock.
_LOCKS = 64


def matches(provided: str, stored: str, hash_and_compare: Callable[[str, str], bool]) -> bool:
    """Return whether ``provided`` is the right client secret (RFC 6749, section 2.3.1). ``stored``
    is the right secret as the database contains it: as a hash or as plain text.

    :param hash_and_compare: the slow comparison, which is called at most once.
    :raises TooManyFailures: there were too many wrong secrets (see :mod:`.failure_limit`).
    """
    if _verified.has(provided, stored):
        return True
    # Let only one thread at a time verify the same secret. If many requests with this secret arrive
    # after a restart, the first thread hashes the secret, and the other threads use the result.
    with _verified.lock_of(provided, stored):
        if _verified.has(provided, stored):
            return True
        # Count this secret as wrong before it is hashed, and undo the count if the secret is right.
        # Otherwise many requests could start the slow hash before the first wrong one is counted.
        uncount = count_failure(stored)
        if not hash_and_compare(provided, stored):
            return False
        uncount()
        _verified.add(provided, stored)
        return True


class _VerifiedSecrets:
    """The right secrets that were used most recently, at most ``VERIFIED_SECRETS_KEPT``.

    The secrets themselves are not kept. For each secret, the object keeps an HMAC of the secret and
    of its stored form in the database. The key of the HMAC never leaves this process. If the stored
    form changes, the secret has to be verified again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def lock_of(self, provided: str, stored: str) -> threading.Lock:
        """Return the lock to hold while ``provided`` is compared with ``stored``."""
        return self._locks[self._digest(provided, stored)[0] % _LOCKS]

    def has(self, provided: str, stored: str) -> bool:
        """Return whether :meth:`add` has remembered ``provided`` as right for ``stored``."""
        digest = self._digest(provided, stored)
        with self._lock:
            if digest not in self._known or not settings.VERIFIED_SECRETS_KEPT:
                return False
            self._known.move_to_end(digest)
            return True

    def add(self, provided: str, stored: str) -> None:
        """Remember that ``provided`` is right for ``stored``. If there are too many remembered
        secrets, forget those that were not used for the longest time."""
        digest = self._digest(provided, stored)
        with self._lock:
            self._known[digest] = None
            while len(self._known) > settings.VERIFIED_SECRETS_KEPT:
                self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget all remembered secrets."""
        with self._lock:
            self._known.clear()

    def _digest(self, provided: str, stored: str) -> bytes:
        # The character NUL separates the two parts. No stored hash contains NUL, so two different
        # pairs always give different messages.
        message = f"{stored}\0{provided}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")


_verified = _VerifiedSecrets()
#: This function forgets all verified secrets, as a restart of the process does. Only tests and
#: benchmarks call it.
forget = _verified.forget
