"""Checks that the validator makes, in addition to DOT's own checks, when a client redeems a
reciprocal code.

draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.1.3.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.http import HttpRequest
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..core import protocol, telemetry
from ..links import incoming_access
from ..party_a import redemption
from ..party_a.redemption import Redemption
from . import client_keys

_REPEATED = "reciprocal_oauth.repeated"


def redemption_of(request: Request) -> Redemption | None:
    """Return the :class:`Redemption` that ``validate_code`` has stored on ``request``, or ``None``
    if the request does not redeem a reciprocal code."""
    redeeming = request.__dict__.get("_reciprocal_redemption")
    return redeeming if isinstance(redeeming, Redemption) else None


def span_of(request: Request) -> AbstractContextManager[object]:
    """Return a context manager for the saving of the tokens of ``request``. If the request redeems
    a reciprocal code, it tells the listeners of :mod:`..core.telemetry` about this step."""
    if redemption_of(request) is None or not telemetry.is_on():
        return nullcontext()
    peer = incoming_access.peer_of(request.client)
    parent = telemetry.trace_of_peer(request.headers.get("HTTP_TRACEPARENT", ""))
    slug = telemetry.UNKNOWN if peer is None else peer.slug
    return telemetry.span(telemetry.Step.REDEMPTION_RECEIVED, slug, parent=parent)


def mark_repeated(request: HttpRequest) -> None:
    """Keep for :func:`require_single_parameters` that a parameter of the body comes twice. DOT
    gives oauthlib the last value only. Only ``resource`` may be repeated (RFC 8707, section 2)."""
    lists = request.POST.lists()
    if any(len(values) > 1 for name, values in lists if name != "resource"):
        # A client cannot set this key, because the keys of headers begin with "HTTP_".
        request.META[_REPEATED] = "1"


def require_single_parameters(request: Request) -> None:
    """Check that no parameter comes twice (RFC 6749, section 3.2).

    :raises Refused: one does; the error is ``invalid_request``.
    """
    if request.headers.get(_REPEATED):
        raise redemption.Refused("a parameter is repeated", protocol.INVALID_REQUEST)


def require_proof(client: Any, request: Request) -> None:
    """Check that the client has proved who it is: it has signed an assertion, or it is confidential
    and has sent a secret (RFC 6749, section 3.2.1).

    A reciprocal code is redeemed without PKCE, so only this proof protects the code. DOT accepts a
    public client without a secret, and a confidential client whose stored secret is the hash of an
    empty text. This function refuses both.

    :raises Refused: the client is public, or has proved nothing.
    """
    if client_keys.is_proved(request):
        return
    if client.client_type != client.CLIENT_CONFIDENTIAL:
        raise redemption.Refused("the client is not confidential")
    if not request.headers.get("Authorization") and not request.client_secret:
        raise redemption.Refused("no secret was sent")


def require_registered_redirect_uri(validator: Any, client_id: str, request: Request) -> None:
    """Check that the ``redirect_uri`` in the request, if there is one, is registered for the client
    (RFC 6749, section 3.1.2.2).

    Some client libraries send a ``redirect_uri`` with every code. For an authorization code, the
    value must be equal to the one in the authorization request (RFC 6749, section 4.1.3). There is
    no authorization request for a reciprocal code, so this function checks only the registration.

    :raises Refused: the redirect URI is not registered for the client.
    """
    uri = request.redirect_uri
    try:
        if uri is None or validator.validate_redirect_uri(client_id, uri, request):
            return
    except ValueError:
        pass  # The value is not a URL.
    raise redemption.Refused("redirect_uri is not one of the client's")


def deleted_code_error(request: Request) -> errors.InvalidGrantError:
    """Record that the redemption failed because another request has already redeemed the code.
    Return the error for the caller to raise (RFC 6749, section 5.2)."""
    record_failure(redemption_of(request), "the code was deleted meanwhile")
    return errors.InvalidGrantError(request=request)


def record_failure(redeeming: Redemption | None, cause: str) -> None:
    """Record in the history of the link why a redemption failed. Call it after the failed
    transaction has ended."""
    if redeeming is not None:
        redemption.record_failure(redeeming, cause)
