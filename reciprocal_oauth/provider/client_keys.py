"""Client authentication of a peer by a key: the peer signs an assertion, and this site checks it
with the public keys that the peer publishes (RFC 7521, section 4.2; RFC 7523, section 2.2; OpenID
Connect Core 1.0, section 9, ``private_key_jwt``).

::

    POST /o/token/ HTTP/1.1
    Content-Type: application/x-www-form-urlencoded

    grant_type=refresh_token&refresh_token=…&client_id=music-here
      &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer
      &client_assertion=eyJhbGciOiJFUzI1NiJ9…

This module decides for every client that belongs to a peer. For other clients, django-oauth-toolkit
(DOT) decides. Each reason for a refusal is only logged: the response is the same for all of them.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import IntegrityError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from oauthlib.common import Request

from ..client import key_fetching
from ..core import protocol, site_address
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..dialects.form import UNREADABLE
from ..exceptions import HandoverRefused
from ..keys import received_assertions
from ..keys.public_keys import PublicKey
from ..keys.received_assertions import Assertion, AssertionRefused
from ..links import incoming_access
from ..models import Peer
from ..models.site_keys import UsedAssertion
from . import failure_limit

logger = logging.getLogger("reciprocal_oauth.provider")

_PARAMETERS = (protocol.CLIENT_ASSERTION, protocol.CLIENT_ASSERTION_TYPE)
#: What :func:`authenticate` stores on the request. It is an object that no parameter of a request
#: can be.
_PROOF = object()
#: When a peer should try again if its keys cannot be fetched now, in seconds.
RETRY_AFTER_SECONDS = int(key_fetching.PAUSE.total_seconds())

#: In one process, one signature of a peer is checked at a time. This takes less than a millisecond.
_locks = tuple(threading.Lock() for _ in range(64))


class KeysUnavailable(HandoverRefused):
    """This site cannot decide about an assertion, because it cannot fetch the keys of the peer now.
    With status 401, the peer would take its keys for refused, and stop."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(
            protocol.TEMPORARILY_UNAVAILABLE,
            f"the keys of peer {peer.slug} cannot be fetched now",
            status=503,
            retry_after=RETRY_AFTER_SECONDS,
        )


def refuse_repeated(request: HttpRequest) -> None:
    """Check that the parameters of an assertion are in the body, and not twice (RFC 6749, section
    3.2). DOT would use the last value, and those in the query string.

    :raises HandoverRefused: ``invalid_client`` with status 401.
    """
    try:
        found = [len(request.POST.getlist(name)) for name in _PARAMETERS]
        if max(found) > 1 or any(name in request.GET for name in _PARAMETERS):
            raise HandoverRefused(
                protocol.INVALID_CLIENT, "an assertion is repeated or in the query", status=401
            )
    except UNREADABLE:
        return  # The view refuses a body that cannot be read.


def refusing_repeated(view: failure_limit.View) -> failure_limit.View:
    """Decorate a view that authenticates clients: check each request with :func:`refuse_repeated`
    first. The caller responds to the exception."""

    @wraps(view)
    def checking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refuse_repeated(request)
        return view(request, *args, **kwargs)

    return checking


def signing_peer(request: Request) -> Peer | None:
    """Return the peer that the assertion in ``request`` or the parameter ``client_id`` names.
    Return ``None`` if there is no assertion, or if it names no peer."""
    if not any(_values(request, name) for name in _PARAMETERS):
        return None
    found = request.__dict__.get("_signing_peer")
    if found is None:
        found = request._signing_peer = (_named_peer(request),)
    peer: Peer | None = found[0]
    return peer


def must_sign(application: Any) -> bool:
    """Return whether a client must authenticate with a key, so that its secret is refused."""
    peer = incoming_access.peer_of(application)
    return peer is not None and peer.uses_key_here


def is_proved(request: Request) -> bool:
    """Return whether the client of ``request`` has proved with a key who it is."""
    return request.__dict__.get("_proved_by") is _PROOF


@sensitive_variables()
def authenticate(request: Request, peer: Peer) -> bool:
    """Return whether the assertion in ``request`` proves that ``peer`` has sent it. If so, set the
    client of the request.

    :raises TooManyFailures: too many assertions in the name of this peer were refused.
    :raises KeysUnavailable: the keys of the peer cannot be fetched now.
    """
    if is_proved(request):
        return True  # The same request is authenticated again. The assertion is used up.
    application = peer.application
    try:
        assertion = _assertion_in(request)
        _require_client(request, assertion, peer)
        _check(assertion, peer)
    except AssertionRefused as refused:
        logger.warning("An assertion of peer %s was refused: %s", peer.slug, refused)
        return False
    request.client, request.client_id = application, application.client_id
    request._proved_by = _PROOF
    return True


def _check(assertion: Assertion, peer: Peer) -> None:
    """Check the assertion, and use it up.

    :raises AssertionRefused: it proves nothing.
    :raises TooManyFailures, KeysUnavailable: see :func:`authenticate`.
    """
    failure_limit.require_few_failures(peer, "assertion")
    with _counting_refusals(peer):
        keys = _fitting_keys(assertion, peer)
    # The failure is counted before the next signature is checked, and what is accepted is never
    # counted. So of many forged assertions at once few are checked, and of many good ones all.
    with _locks[peer.pk % len(_locks)], _counting_refusals(peer):
        failure_limit.require_few_failures(peer, "assertion")
        received_assertions.require_signature(assertion, keys)
    with _counting_refusals(peer):
        issuer = site_address.configured_issuer()
        received_assertions.require_claims(assertion, peer.application.client_id, issuer)
        _use_up(assertion, peer)


@contextmanager
def _counting_refusals(peer: Peer) -> Iterator[None]:
    try:
        yield
    except (AssertionRefused, KeysUnavailable):
        failure_limit.count_failure_of(peer, "assertion")
        raise


def _fitting_keys(assertion: Assertion, peer: Peer) -> list[PublicKey]:
    """Return the keys of the peer that can have signed the assertion. Fetch them if they are not
    known, or too old, or if the assertion names another key.

    :raises AssertionRefused: the peer has no such key.
    :raises KeysUnavailable: the keys cannot be fetched now.
    """
    known = key_fetching.known_keys(peer)
    if not known.keys:
        raise KeysUnavailable(peer)
    fitting = received_assertions.fitting_keys(assertion, known.keys)
    if not fitting:
        newer = key_fetching.newer_keys(peer, known)
        if newer is None:
            raise KeysUnavailable(peer)
        fitting = received_assertions.fitting_keys(assertion, newer.keys)
    if not fitting:
        raise AssertionRefused("it names no key of the peer")
    return fitting


@tried_again
def _use_up(assertion: Assertion, peer: Peer) -> None:
    """Store that the assertion was used. The unique index decides which of two requests is the
    first, in whatever process they run (RFC 7523, section 3).

    :raises AssertionRefused: the assertion was used before.
    """
    now = timezone.now()
    used = UsedAssertion(
        hash=hash_of(f"{peer.application.client_id}\0{assertion.jti}"),
        expires_at=now + timedelta(seconds=assertion.useful_until - now.timestamp()),
    )
    try:
        with atomic():
            used.save(force_insert=True)
    except IntegrityError:
        raise AssertionRefused("it was used before") from None


def _assertion_in(request: Request) -> Assertion:
    """Return the assertion in ``request``.

    :raises AssertionRefused: it is incomplete, or the request has another authentication besides
        (RFC 6749, section 2.3; RFC 7521, section 4.2).
    """
    texts, kinds = (_values(request, name) for name in _PARAMETERS)
    if len(texts) != 1 or kinds != [protocol.JWT_BEARER]:
        raise AssertionRefused("a parameter is missing or repeated, or the type is unknown")
    if any(request.headers.get(name) for name in ("Authorization", "HTTP_AUTHORIZATION")):
        raise AssertionRefused("there is an Authorization header besides")
    if _values(request, "client_secret"):
        raise AssertionRefused("there is a secret besides")
    return received_assertions.read(str(texts[0]))


def _require_client(request: Request, assertion: Assertion, peer: Peer) -> None:
    """Check that ``iss``, ``sub`` and ``client_id`` name the client of ``peer``, and that the peer
    authenticates with a key (RFC 7521, section 4.2).

    :raises AssertionRefused: this is not so.
    """
    client_id = peer.application.client_id
    named = [assertion.claims.get("iss"), assertion.client_id, *_values(request, "client_id")]
    if any(name != client_id for name in named):
        raise AssertionRefused("iss, sub and client_id are not the client ID of the peer")
    if not peer.uses_key_here:
        raise AssertionRefused("this peer authenticates with a secret")
    if not peer.application.is_usable(request):
        raise AssertionRefused("the application of the peer is not usable")


@sensitive_variables()
def _named_peer(request: Request) -> Peer | None:
    names = {each for each in _values(request, "client_id") if isinstance(each, str)}
    for text in _values(request, protocol.CLIENT_ASSERTION):
        try:
            names.add(received_assertions.read(str(text)).client_id)
        except AssertionRefused:
            continue
    usable = [each for each in names if each and "\x00" not in each]
    peers = Peer.objects.select_related("application")
    return peers.filter(application__client_id__in=usable).first() if usable else None


def _values(request: Request, name: str) -> list[Any]:
    """Return the values of a parameter, wherever the request has it."""
    pairs = [*(request.decoded_body or ()), *request.uri_query_params]
    return [value for key, value in pairs if key == name]
