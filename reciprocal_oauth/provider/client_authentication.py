"""What it may cost to check a client's secret.

Hashers of secrets are slow on purpose: with Django's default, six wrong secrets a second would
fill four cores. So wrong ones are limited before they are hashed, and a right one is remembered. A
secret that is stored as it is costs nothing to compare, and is guessed at the same slow pace.
"""

import hmac
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from rest_framework.settings import api_settings

from ..conf import settings
from ..core import protocol
from ..core.throttle import Throttle
from ..dialects.form import refusal_response
from ..dialects.ietf import HEADERS
from ..exceptions import HandoverRefused

logger = logging.getLogger("reciprocal_oauth.provider")

_MINUTE = 60
#: Locks for pairs of secrets, of which two rarely share one.
_TURNS = 64

View = Callable[..., HttpResponseBase]

#: Where the request comes from that is being answered by an endpoint with the limit.
_address: ContextVar[str | None] = ContextVar("reciprocal_oauth_address", default=None)


class TooManyFailures(HandoverRefused):
    """Too many wrong secrets for a client from one address: 429, nothing was hashed."""

    def __init__(self, address: str) -> None:
        super().__init__(
            protocol.TEMPORARILY_UNAVAILABLE,
            f"too many wrong secrets for one client from {address}",
            status=429,
            retry_after=_MINUTE,
        )


@contextmanager
def limited(request: HttpRequest) -> Iterator[None]:
    """Within this, wrong secrets are counted against the address of ``request``."""
    reset = _address.set(_address_of(request))
    try:
        yield
    finally:
        _address.reset(reset)


def guarded(view: View) -> View:
    """Decorate a view that authenticates clients: it is :func:`limited`, and answers 429."""

    @wraps(view)
    def limiting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            with limited(request):
                return view(request, *args, **kwargs)
        except TooManyFailures as refused:
            logger.warning("A request was refused: %s", refused)
            return refusal_response(refused, HEADERS)

    return limiting


def check(provided: str, stored: str, hash_and_compare: Callable[[str, str], bool]) -> bool:
    """Whether ``provided`` is the secret that ``stored`` was made from.

    :param hash_and_compare: the slow way, called at most once.
    :raises TooManyFailures: within :func:`limited` only.
    """
    if _verified.has(provided, stored):
        return True
    # One after the other: a client that sends many requests after a restart is checked once.
    with _verified.turn(provided, stored):
        if _verified.has(provided, stored):
            return True
        # Counted beforehand: of many processes, each would find the count still low.
        give_back = _count_failure(stored)
        if not hash_and_compare(provided, stored):
            return False
        give_back()
        _verified.add(provided, stored)
        return True


def _count_failure(stored: str) -> Callable[[], None]:
    """Count a wrong secret, and give a function that takes it back.

    :raises TooManyFailures: there were too many.
    """
    address = _address.get()
    limit = settings.CLIENT_AUTH_FAILURES_PER_MINUTE
    if address is None or not limit:
        return lambda: None
    throttle = Throttle("client-auth", limit, _MINUTE)
    # What is stored stands for the client; nobody can tell it from the key, not even a secret that
    # is stored as it is, as HS256 needs it.
    key = salted_hmac(__name__, f"{address}\0{stored}", algorithm="sha256").hexdigest()
    if not throttle.take(key):
        raise TooManyFailures(address)
    return lambda: throttle.give_back(key)


class _VerifiedSecrets:
    """Which secrets were found right, the most recently used ones.

    Not the secrets themselves: an HMAC with a key that never leaves this process, over the secret
    and the stored hash. A changed secret makes another pair, and is checked anew.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def turn(self, provided: str, stored: str) -> threading.Lock:
        """Held by whoever checks this pair."""
        return self._turns[self._digest(provided, stored)[0] % _TURNS]

    def has(self, provided: str, stored: str) -> bool:
        digest = self._digest(provided, stored)
        with self._lock:
            if digest not in self._known or not settings.VERIFIED_SECRETS_KEPT:
                return False
            self._known.move_to_end(digest)
            return True

    def add(self, provided: str, stored: str) -> None:
        digest = self._digest(provided, stored)
        with self._lock:
            self._known[digest] = None
            while len(self._known) > settings.VERIFIED_SECRETS_KEPT:
                self._known.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._known.clear()

    def __len__(self) -> int:
        return len(self._known)

    def _digest(self, provided: str, stored: str) -> bytes:
        # No stored hash contains NUL, so the parts cannot be shifted against each other.
        message = f"{stored}\0{provided}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")


_verified = _VerifiedSecrets()
#: Forget which secrets were right, as after a restart. For tests and benchmarks.
forget_verified = _verified.forget


def _address_of(request: HttpRequest) -> str:
    """The client's address. Behind proxies, as many of them as the setting ``NUM_PROXIES`` of
    Django REST framework says are believed; with none set, nothing a client can write counts."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    proxies = api_settings.NUM_PROXIES
    if proxies and forwarded:
        addresses = forwarded.split(",")
        return str(addresses[-min(proxies, len(addresses))]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))
