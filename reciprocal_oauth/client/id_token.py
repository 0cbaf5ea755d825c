"""Checks an ID token from the peer and reads which account at the peer the token names.

The signature of the token is not checked. The token comes directly from the token endpoint over
TLS, so the check of the server's certificate is enough (OpenID Connect Core 1.0, section 3.1.3.7,
item 6). Without TLS, this site calls only servers on the same machine. A token that has no
signature is refused. :func:`read` makes the other checks of section 3.1.3.7.
"""

import base64
import binascii
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..exceptions import BadResponse
from ..models import Peer

#: How many seconds the clocks of this site and of the peer may differ.
CLOCK_SKEW_SECONDS = 120
#: An ID token is refused if it expires more than this many seconds (ten years) from now.
MAX_LIFE_SECONDS = 10 * 365 * 24 * 3600
#: The number of parts of a signed JWT: header, claims and signature (RFC 7515, section 7.1).
_PARTS = 3


@dataclass(frozen=True)
class Account:
    """An account at the peer.

    :ivar subject: the identifier of the account, from the claim ``sub``.
    :ivar name: the name of the account; ``""`` if the peer does not tell a name.
    """

    subject: str
    name: str = ""


def read(
    peer: Peer,
    id_token: str,
    *,
    nonce: str,
    now: datetime,
    other_issuers: Collection[str] = (),
    accepts_other_azp: bool = False,
) -> Account:
    """Check ``id_token`` and return the account that it names.

    The checks are the numbered items of OpenID Connect Core 1.0, section 3.1.3.7. Some items do not
    apply: item 1, because the token is not encrypted; items 6 to 8, because TLS replaces the check
    of the signature; items 12 and 13, because this site does not request ``acr`` or ``auth_time``.

    :param nonce: the nonce of this site's authorization request, which the token must contain. If
        it is empty, the nonce of the token is not checked.
    :param other_issuers: other values of the claim ``iss`` that mean the issuer of the peer.
    :param accepts_other_azp: whether the claim ``azp`` may name another client than this site.
    :raises BadResponse: the token comes from another issuer, is for another client, belongs to
        another request, or is not valid now.
    """
    claims = _claims(id_token)
    _check_parties(claims, peer, other_issuers, accepts_other_azp)
    if nonce and claims.get("nonce") != nonce:  # Item 11 of section 3.1.3.7.
        raise BadResponse("The ID token belongs to another request.")
    _check_times(claims, now.timestamp())
    # OpenID Connect Core 1.0, section 2, allows at most 255 ASCII characters in "sub". This site
    # also accepts printable characters that are not ASCII.
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise BadResponse("The ID token names no account.")
    return Account(subject, name_in(claims))


def _check_parties(
    claims: Mapping[str, Any], peer: Peer, other_issuers: Collection[str], accepts_other_azp: bool
) -> None:
    """Check who issued the token and for which client (OpenID Connect Core 1.0, section 3.1.3.7,
    items 2 to 5).

    :raises BadResponse: the token names another issuer, audience or authorized party.
    """
    if not peer.issuer or claims.get("iss") not in (peer.issuer, *other_issuers):
        raise BadResponse("The ID token names another issuer.")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if peer.client_id not in audiences:
        raise BadResponse("The ID token is for another client.")
    needs_azp = len(audiences) > 1 or "azp" in claims
    if needs_azp and not accepts_other_azp and claims.get("azp") != peer.client_id:
        raise BadResponse("The ID token was issued to another party.")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check that the token is valid now (OpenID Connect Core 1.0, section 3.1.3.7, items 9 and 10;
    RFC 7519, sections 4.1.4 to 4.1.6).

    The age of the token has no limit, because the nonce shows that the token is for this request.

    :raises BadResponse: the token is not valid now.
    """
    expires = _time(claims, "exp")
    if expires < now - CLOCK_SKEW_SECONDS:
        raise BadResponse("The ID token has expired.")
    if expires > now + MAX_LIFE_SECONDS:
        raise BadResponse("The ID token expires too far in the future.")
    latest = now + CLOCK_SKEW_SECONDS
    if _time(claims, "iat") > latest or ("nbf" in claims and _time(claims, "nbf") > latest):
        raise BadResponse("The ID token was issued in the future or is not valid yet.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    """Return the claim ``name``, which is a NumericDate in seconds (RFC 7519, section 2).

    :raises BadResponse: the claim is missing or is not a point in time.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResponse(f"The claim {name} of the ID token is missing or is not a valid time.")
    # Refuse NaN and infinity, which Python's JSON parser accepts. Every comparison with NaN is
    # false, so "not" before the comparison refuses NaN too.
    if not 0 <= value < math.inf:
        raise BadResponse(f"The claim {name} of the ID token is missing or is not a valid time.")
    return value


def _claims(id_token: str) -> dict[str, Any]:
    """Return the claims of a signed JWT (RFC 7519, section 7.2). The signature is not checked.

    :raises BadResponse: the token is not a JWT or has no signature.
    """
    parts = id_token.split(".")
    if len(parts) != _PARTS:
        raise BadResponse("The ID token is not a signed JWT.")
    algorithm = _decoded(parts[0]).get("alg")
    # The algorithm "none" means that the token is not signed. A peer may send such tokens only to a
    # client that registered this algorithm (OpenID Connect Core 1.0, section 2). This site never
    # registers it.
    if not isinstance(algorithm, str) or algorithm.lower() in ("", "none") or not parts[2]:
        raise BadResponse("The ID token is not signed.")
    return _decoded(parts[1])


def _decoded(part: str) -> dict[str, Any]:
    """Decode one part of a JWT, which is a JSON object in base64url (RFC 7515, section 2).

    :raises BadResponse: the part cannot be decoded or is not a JSON object.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise BadResponse("The ID token cannot be decoded.") from None
    if not isinstance(value, dict):
        raise BadResponse("The ID token has no claims.")
    return value


def name_in(claims: Mapping[str, Any]) -> str:
    """Return the account's name from ``claims``; ``""`` if they contain no usable name (OpenID
    Connect Core 1.0, section 5.1)."""
    for claim in ("preferred_username", "email", "name", "nickname"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 255:
            return value
    return ""
