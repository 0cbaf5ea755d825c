"""Reads a hand-over, a request in which a peer sends a reciprocal code as form fields.

This module follows draft-ietf-oauth-reciprocal-04, section 2.2.2, and RFC 6749, section 3.2. It
checks that the request is well-formed before this site computes a hash or makes a database query.
DOT does not make these checks: if a parameter is repeated, DOT uses the last value. DOT also reads
parameters from the query string, and passes control characters to the database.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from urllib.parse import unquote_plus, unquote_to_bytes

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.http.multipartparser import MultiPartParserError

from ..core import protocol
from ..exceptions import HandoverRefused
from ..secret import Secret
from .base import Handover

_LIMITS = {
    "grant_type": len(protocol.GRANT_TYPE),
    "code": protocol.MAX_CODE_LENGTH,
    "client_id": protocol.MAX_CLIENT_ID_LENGTH,
    "access_token": protocol.MAX_TOKEN_LENGTH,
}
#: The parameters with which a client sends an assertion (RFC 7521, section 4.2).
_ASSERTION = (protocol.CLIENT_ASSERTION, protocol.CLIENT_ASSERTION_TYPE)
FORM_TYPE = "application/x-www-form-urlencoded"

#: The exceptions that reading a request can raise if its body is too long, malformed or in an
#: unknown encoding.
UNREADABLE = (
    BadRequest,
    LookupError,  # The charset is unknown.
    MultiPartParserError,
    OSError,
    RawPostDataException,
    SuspiciousOperation,
    ValueError,
)


def names_grant(request: HttpRequest, grant_type: str) -> bool:
    """Return whether the request is meant for the grant ``grant_type``. The body stays readable.
    Raise no exception.

    At least one of these must be true:

    - The body or the query string has a parameter ``grant_type`` with this value.
    - The parameter ``grant_type`` is missing or empty, and the body has both parameters ``code``
      and ``access_token``. No other grant uses both.
    - The body has no form fields (because it is JSON, for example), and this value occurs anywhere
      in the body.
    """
    try:
        # Read the body before the form fields. In the other order, a view of the site could not
        # read the body of a multipart request any more.
        body = request.body
        named = request.POST.getlist("grant_type") + request.GET.getlist("grant_type")
        if grant_type in named:
            return True
        if not "".join(named).strip() and {"code", "access_token"} <= request.POST.keys():
            return True
        return not request.POST and grant_type.encode() in unquote_to_bytes(body)
    except UNREADABLE:
        return False


def check_form(request: HttpRequest) -> None:
    """Check that the request has a form-encoded body in UTF-8, without repeated parameters (RFC
    6749, section 3.2; RFC 6749, appendix B), and no query string.

    :raises HandoverRefused: ``invalid_request`` (RFC 6749, section 5.2).
    """
    if request.content_type != FORM_TYPE:
        raise _malformed("the body is not form-encoded")
    if (request.content_params or {}).get("charset", "utf-8").lower() != "utf-8":
        raise _malformed("the body is not UTF-8")
    if request.META.get("QUERY_STRING"):
        # Refuse a query string: access logs would contain its secrets, and oauthlib would read
        # parameters from it.
        raise _malformed("there are parameters in the query string")
    _check_body(request)


def parse_form(request: HttpRequest) -> Handover:
    """Check the form of a hand-over and return its values. Each REQUIRED parameter must occur
    exactly once (draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 3.2).

    :raises HandoverRefused: the error is ``invalid_client`` if the request contains no usable
        client credentials; otherwise ``invalid_request`` (RFC 6749, section 5.2).
    """
    check_form(request)
    authenticated = basic_client_id(request)
    values = {name: single(request, name) for name in protocol.PARAMETERS}
    if values["grant_type"] != protocol.GRANT_TYPE:
        raise _malformed("grant_type is not the reciprocal grant")
    if any(name in request.POST for name in _ASSERTION):
        _check_assertion(request, authenticated)
    elif authenticated is not None:
        if request.POST.getlist("client_secret"):
            raise _malformed("two ways of authenticating (RFC 6749, section 2.3)")
        if authenticated != values["client_id"]:
            raise _malformed("client_id is not the authenticating client")
    else:
        # An empty client secret counts as missing (RFC 6749, section 3.2). DOT would accept an
        # empty secret for a client whose stored secret is the hash of an empty text.
        if not request.POST.get("client_secret"):
            raise _unauthenticated("the client does not authenticate")
        single(request, "client_secret", protocol.MAX_CLIENT_SECRET_LENGTH)
    return Handover(
        client_id=values["client_id"],
        code=Secret(values["code"]),
        access_token=Secret(values["access_token"]),
    )


def _check_assertion(request: HttpRequest, authenticated: str | None) -> None:
    """Check that the request has both parameters of an assertion (RFC 7521, section 4.2), and no
    other credentials (RFC 6749, section 2.3).

    :raises HandoverRefused: ``invalid_client`` with status 401.
    """
    if authenticated is not None or "client_secret" in request.POST:
        raise _unauthenticated("two ways of authenticating (RFC 6749, section 2.3)")
    if request.POST.get(protocol.CLIENT_ASSERTION_TYPE) != protocol.JWT_BEARER:
        raise _unauthenticated("the type of the assertion is missing or unknown")
    assertion = request.POST.get(protocol.CLIENT_ASSERTION, "")
    if not 0 < len(assertion) <= protocol.MAX_ASSERTION_LENGTH:
        raise _unauthenticated("the assertion is missing or too long")


def refusal_response(refused: HandoverRefused, headers: Mapping[str, str]) -> HttpResponse:
    """Return the error response to a refused hand-over (RFC 6749, section 5.2). Its body contains
    only the error code, because a description could reveal the reason. If the peer has to wait, the
    header ``Retry-After`` says how long (RFC 9110, section 10.2.3)."""
    body = json.dumps({"error": refused.error})
    response = HttpResponse(body, status=refused.status, headers=dict(headers))
    if refused.status == 401:
        # The scheme is Basic, because this endpoint accepts no other scheme in the Authorization
        # header (RFC 6749, section 5.2; RFC 9110, section 15.5.2). DOT would write Bearer.
        response["WWW-Authenticate"] = 'Basic realm="token"'
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    return response


def basic_client_id(request: HttpRequest) -> str | None:
    """Return the client ID from the Basic credentials in the ``Authorization`` header (RFC 6749,
    section 2.3.1); ``None`` if the request does not have this header.

    :raises HandoverRefused: ``invalid_client``, if the header is not Basic or is malformed.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise _unauthenticated("the Authorization header is not Basic")
    try:
        decoded = base64.b64decode(value, validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        raise _unauthenticated("the Basic credentials cannot be decoded") from None
    client_id, colon, secret = (unquote_plus(part) for part in decoded.partition(":"))
    if not colon or not client_id or not secret:
        raise _unauthenticated("the Basic credentials are incomplete")
    too_long = (
        len(client_id) > protocol.MAX_CLIENT_ID_LENGTH
        or len(secret) > protocol.MAX_CLIENT_SECRET_LENGTH
    )
    if too_long or _is_odd(client_id) or _is_odd(secret):
        raise _unauthenticated("the Basic credentials have a wrong length or character")
    return client_id


def has_odd_credentials(request: HttpRequest) -> bool:
    """Return whether the ``Authorization`` header must be refused before any database query.

    At least one of these must be true: the header contains characters that are not ASCII, or the
    Basic credentials contain a NUL character (also as ``%00``). PostgreSQL raises an error for text
    that contains NUL.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, value = header.partition(" ")
    try:
        return not header.isascii() or (
            scheme.lower() == "basic" and b"\x00" in unquote_to_bytes(base64.b64decode(value))
        )
    except (ValueError, binascii.Error):
        return False  # DOT itself refuses credentials that cannot be decoded.


def _check_body(request: HttpRequest) -> None:
    try:
        if len(request.body) > protocol.MAX_BODY_LENGTH:
            raise _malformed("the body is too long")
        request.body.decode("utf-8")
        fields = request.POST
    except UNREADABLE:
        raise _malformed("the body is too long or cannot be read") from None
    if any(len(values) > 1 for _name, values in fields.lists()):
        raise _malformed("a parameter is repeated (RFC 6749, section 3.2)")


def single(request: HttpRequest, name: str, limit: int | None = None) -> str:
    """Return the value of the parameter ``name`` in the body.

    :param limit: the largest number of characters; by default, the one for this parameter.
    :raises HandoverRefused: ``invalid_request``, if the parameter is missing, empty, repeated or
        too long, or contains a character that is not printable ASCII.
    """
    values = request.POST.getlist(name)
    value = values[0] if len(values) == 1 else ""
    if not value.strip():
        raise _malformed(f"{name} is missing or empty")
    if len(value) > (limit or _LIMITS[name]):
        raise _malformed(f"{name} is too long")
    if _is_odd(value):
        raise _malformed(f"{name} contains a character that it cannot have")
    return value


def _is_odd(value: str) -> bool:
    """Return whether ``value`` contains a character other than VSCHAR, which means printable ASCII
    (RFC 6749, appendix A)."""
    return not all(0x20 <= ord(character) <= 0x7E for character in value)


def _malformed(why: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_REQUEST, why)


def _unauthenticated(why: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_CLIENT, why, status=401)
