"""Limits how many wrong client secrets one network address can send for one client.

Where clients authenticate with a password, "the authorization server MUST protect any endpoint
utilizing it against brute force attacks" (RFC 6749, section 2.3.1).
"""

import logging
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
from ..core import protocol, telemetry
from ..core.throttle import Throttle
from ..dialects.form import refusal_response
from ..dialects.ietf import HEADERS
from ..exceptions import HandoverRefused
from ..models import Peer

logger = logging.getLogger("reciprocal_oauth.provider")

_MINUTE = 60

View = Callable[..., HttpResponseBase]

#: The network address that the current request comes from. It is set only inside
#: :func:`counting_failures`.
_address: ContextVar[str | None] = ContextVar("reciprocal_oauth_address", default=None)


class TooManyFailures(HandoverRefused):
    """One address has sent too many wrong secrets, assertions or tokens for one client. The
    response has status 429 (RFC 6585, section 4), and what this request contains is not checked."""

    def __init__(self, address: str) -> None:
        super().__init__(
            protocol.TEMPORARILY_UNAVAILABLE,
            f"too many wrong secrets, assertions or tokens for one client from {address}",
            status=429,
            retry_after=_MINUTE,
        )


@contextmanager
def counting_failures(request: HttpRequest) -> Iterator[None]:
    """While the ``with`` block runs, count wrong client secrets for the network address that
    ``request`` comes from."""
    reset = _address.set(_address_of(request))
    try:
        yield
    finally:
        _address.reset(reset)


def limits_failures(view: View) -> View:
    """Decorate a view that authenticates clients: count wrong client secrets, and respond with
    status 429 if there are too many (RFC 6585, section 4)."""

    @wraps(view)
    def limiting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            with counting_failures(request):
                return view(request, *args, **kwargs)
        except HandoverRefused as refused:
            logger.warning("A request was refused: %s", refused)
            return refusal_response(refused, HEADERS)

    return limiting


def count_failure(stored: str) -> Callable[[], None]:
    """Count one wrong secret for the client whose stored secret is ``stored``.

    :returns: a function that undoes this count. Call it if the secret turns out to be right.
    :raises TooManyFailures: the limit is reached. This happens only inside
        :func:`counting_failures`.
    """
    address = _address.get()
    limit = settings.CLIENT_AUTH_FAILURES_PER_MINUTE
    if address is None or not limit:
        return lambda: None
    throttle = Throttle("client-auth", limit, _MINUTE)
    # The stored secret identifies the client in the cache key. Some sites store it as plain text,
    # because DOT needs the plain text to sign ID tokens with HS256. So put only a keyed hash of the
    # secret into the cache.
    key = salted_hmac(__name__, f"{address}\0{stored}", algorithm="sha256").hexdigest()
    if not throttle.count(key):
        raise _too_many(address)
    return lambda: throttle.uncount(key)


def require_few_failures(peer: Peer, kind: str = "handover") -> None:
    """Check that the address of the current request has not sent too much in the name of ``peer``
    that was refused. What was accepted is not counted, so a burst of it is no problem.

    :param kind: ``handover`` or ``notice`` for unknown access tokens, ``assertion`` for assertions
        that prove nothing. Each kind has a limit of its own; the one for notices is ten times as
        high.
    :raises TooManyFailures: the limit is reached.
    """
    address = _address.get()
    throttle = _failures(kind)
    if address is not None and throttle.limit and throttle.is_reached(_key(address, peer)):
        raise _too_many(address)


def count_failure_of(peer: Peer, kind: str = "handover") -> None:
    """Count one message that came in the name of ``peer`` and was refused: see
    :func:`require_few_failures`."""
    address = _address.get()
    throttle = _failures(kind)
    if address is not None and throttle.limit:
        throttle.count(_key(address, peer))


def require_few_unknown_codes() -> None:
    """Check that the address of the current request has not sent too many unknown codes of
    invitations, or unknown registration access tokens.

    :raises TooManyFailures: the limit is reached.
    """
    address, throttle = _address.get(), _failures("code")
    if address is not None and throttle.limit and throttle.is_reached(_address_key(address)):
        raise _too_many(address)


def count_unknown_code() -> None:
    """Count one unknown code: see :func:`require_few_unknown_codes`."""
    address, throttle = _address.get(), _failures("code")
    if address is not None and throttle.limit:
        throttle.count(_address_key(address))


def _too_many(address: str) -> TooManyFailures:
    telemetry.count(telemetry.Count.CLIENT_AUTHENTICATION_FAILURES, reason="limited")
    return TooManyFailures(address)


def _address_key(address: str) -> str:
    return salted_hmac(__name__, address, algorithm="sha256").hexdigest()


def _failures(kind: str) -> Throttle:
    limit = settings.CLIENT_AUTH_FAILURES_PER_MINUTE * (10 if kind == "notice" else 1)
    return Throttle(f"peer-failures-{kind}", limit, _MINUTE)


def _key(address: str, peer: Peer) -> str:
    return salted_hmac(__name__, f"{address}\0{peer.pk}", algorithm="sha256").hexdigest()


def _address_of(request: HttpRequest) -> str:
    """Return the network address of the client.

    Django REST framework's setting ``NUM_PROXIES`` is the number of trusted proxies between the
    clients and this site. If it is not set, ignore the header ``X-Forwarded-For``, because every
    client can send this header with a false address.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    proxies = api_settings.NUM_PROXIES
    if proxies and forwarded:
        addresses = forwarded.split(",")
        return str(addresses[-min(proxies, len(addresses))]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))
