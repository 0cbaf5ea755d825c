"""Checks the peer's ID token and reads the account from it (OpenID Connect Core 1.0).

The token comes directly from the token endpoint, over TLS. So the server's certificate may replace
the check of the signature (OpenID Connect Core 1.0, section 3.1.3.7, item 6). Without TLS, this
site calls only servers on the same machine. All other items are checked, and that there is a
signature.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..exceptions import BadResponse
from ..models import Peer

#: Seconds by which the clocks of the two sites may differ.
CLOCK_SKEW_SECONDS = 120
#: An ID token that expires later than this many seconds from now is refused (ten years).
MAX_LIFE_SECONDS = 10 * 365 * 24 * 3600
#: The parts of a JWS: header, claims, and the signature (RFC 7515, section 7.1).
_PARTS = 3


@dataclass(frozen=True)
class Account:
    """An account at the peer: its ``sub``, and its name, if the peer tells one."""

    subject: str
    name: str = ""


def read(peer: Peer, id_token: str, *, nonce: str, now: datetime) -> Account:
    """Check ``id_token`` and return the account that it is about.

    It follows the items of OpenID Connect Core 1.0, section 3.1.3.7. Items 1, 6 to 8, 12 and 13 do
    not apply: the token is not encrypted, TLS replaces the check of its signature, and we request
    neither ``acr`` nor ``auth_time``.

    :param nonce: the nonce of our authorization request; the token must have the same.
    :raises BadResponse: the token is not from this peer, not for us, not for this request, or not
        valid now.
    """
    claims = _claims(id_token)
    _check_parties(claims, peer)
    if nonce and claims.get("nonce") != nonce:  # Item 11.
        raise BadResponse("The ID token belongs to another request.")
    _check_times(claims, now.timestamp())
    # OpenID Connect Core 1.0, section 2: at most 255 ASCII characters. Other printable characters
    # are accepted as well.
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise BadResponse("The ID token names no account.")
    return Account(subject, name_in(claims))


def _check_parties(claims: Mapping[str, Any], peer: Peer) -> None:
    """Check who issued the token, and for whom (items 2 to 5).

    :raises BadResponse: another issuer, audience or authorized party.
    """
    if not peer.issuer or claims.get("iss") != peer.issuer:
        raise BadResponse("The ID token names another issuer.")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if peer.client_id not in audiences:
        raise BadResponse("The ID token is for another client.")
    needs_azp = len(audiences) > 1 or "azp" in claims
    if needs_azp and claims.get("azp") != peer.client_id:
        raise BadResponse("The ID token was issued to another party.")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check when the token is valid (items 9 and 10; RFC 7519, sections 4.1.4 to 4.1.6).

    A token may be old, because the nonce shows that it is for this request.

    :raises BadResponse: the token is not valid now.
    """
    expires = _time(claims, "exp")
    if expires < now - CLOCK_SKEW_SECONDS:
        raise BadResponse("The ID token has expired.")
    if expires > now + MAX_LIFE_SECONDS:
        raise BadResponse("The ID token expires too far in the future.")
    latest = now + CLOCK_SKEW_SECONDS
    if _time(claims, "iat") > latest or ("nbf" in claims and _time(claims, "nbf") > latest):
        raise BadResponse("The ID token is dated in the future.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519, section 2), in seconds.

    :raises BadResponse: the claim is missing, or is not a point in time.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResponse(f"The ID token does not say its {name}.")
    # Python's JSON parser reads NaN and infinity. "not" is needed: comparisons with NaN are false.
    if not 0 <= value < math.inf:
        raise BadResponse(f"The ID token does not say its {name}.")
    return value


def _claims(id_token: str) -> dict[str, Any]:
    """Return the claims of a signed JWT (RFC 7519, section 7.2).

    :raises BadResponse: it is not a JWT, or has no signature.
    """
    parts = id_token.split(".")
    if len(parts) != _PARTS:
        raise BadResponse("The ID token is not a signed JWT.")
    algorithm = _decoded(parts[0]).get("alg")
    # OpenID Connect Core 1.0, section 2: "none" is for clients that registered it; we never do.
    if not isinstance(algorithm, str) or algorithm.lower() in ("", "none") or not parts[2]:
        raise BadResponse("The ID token is not signed.")
    return _decoded(parts[1])


def _decoded(part: str) -> dict[str, Any]:
    """Decode a part of a JWT: a JSON object in base64url (RFC 7515, section 2).

    :raises BadResponse: it is something else.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise BadResponse("The ID token cannot be decoded.") from None
    if not isinstance(value, dict):
        raise BadResponse("The ID token has no claims.")
    return value


def name_in(claims: Mapping[str, Any]) -> str:
    """Return a name for the account, or ``""`` (OpenID Connect Core 1.0, section 5.1)."""
    for claim in ("preferred_username", "email", "name", "nickname"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 255:
            return value
    return ""
