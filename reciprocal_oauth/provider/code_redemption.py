"""What the validator requires of a request that redeems a reciprocal code.

draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.1.3.
"""

from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..party_a import redemption
from ..party_a.redemption import Redemption


def redemption_of(request: Request) -> Redemption | None:
    """The redemption that ``validate_code`` has set on ``request``; ``None`` for other requests."""
    redeeming = request.__dict__.get("_reciprocal_redemption")
    return redeeming if isinstance(redeeming, Redemption) else None


def require_secret(client: Any, request: Request) -> None:
    """Require a confidential client that sent a secret (RFC 6749, section 3.2.1).

    Without PKCE, only the client's secret protects the code. DOT accepts public clients without a
    secret, and confidential clients whose stored secret is the hash of an empty text.

    :raises Refused: the client is public, or sent no secret.
    """
    if client.client_type != client.CLIENT_CONFIDENTIAL:
        raise redemption.Refused("the client is not confidential")
    if not request.headers.get("Authorization") and not request.client_secret:
        raise redemption.Refused("no secret was sent")


def require_registered_redirect_uri(validator: Any, client_id: str, request: Request) -> None:
    """Require that a ``redirect_uri``, if sent, is one of the client's (RFC 6749, section 3.1.2.2).

    Client libraries send one with every code. A reciprocal code has no authorization request whose
    redirect URI it could be compared with (RFC 6749, section 4.1.3).

    :raises Refused: the client has no such redirect URI.
    """
    uri = request.redirect_uri
    try:
        if uri is None or validator.validate_redirect_uri(client_id, uri, request):
            return
    except ValueError:
        pass  # Not a URL.
    raise redemption.Refused("redirect_uri is not one of the client's")


def deleted_code_error(request: Request) -> errors.InvalidGrantError:
    """The error to raise when another request has redeemed the code (RFC 6749, section 5.2)."""
    record_failure(redemption_of(request), "the code was deleted meanwhile")
    return errors.InvalidGrantError(request=request)


def record_failure(redeeming: Redemption | None, cause: str) -> None:
    """Record on the link why a redemption failed. Call it after the failed transaction."""
    if redeeming is not None:
        redemption.record_failure(redeeming, cause)
