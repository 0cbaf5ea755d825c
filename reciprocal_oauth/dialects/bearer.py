"""Reads the access token of this site from the ``Authorization`` header of a request of a vendor
(RFC 6750, sections 2.1 and 3)."""

from django.http import HttpRequest

from ..core import protocol
from ..exceptions import Cause, HandoverRefused
from ..secret import Secret

#: The header ``WWW-Authenticate`` of a response that refuses an access token (RFC 6750, section 3).
CHALLENGE = 'Bearer error="invalid_token"'


def bearer_token(request: HttpRequest) -> Secret:
    """Return the access token in the ``Authorization`` header. The name of the scheme can have
    small or capital letters (RFC 9110, section 11.1).

    :raises HandoverRefused: ``invalid_token`` with status 401 if there is no such header, or if its
        value cannot be a token (RFC 6750, section 3.1).
    """
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= protocol.MAX_TOKEN_LENGTH:
        raise _refused("there is no Bearer token of a usable length")
    if not all(0x21 <= ord(character) <= 0x7E for character in token):
        raise _refused("the Bearer token has a character that it cannot have")
    return Secret(token)


def _refused(why: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_TOKEN, why, status=401, cause=Cause.TOKEN_UNKNOWN)
