"""What the peer's ID token says about the account there.

The token comes straight from the token endpoint over TLS, so the server's certificate stands in
for the signature (OpenID Connect Core 1.0, section 3.1.3.7, item 6). Plain http is only called on
this machine. Everything else is checked, and that there is a signature at all.
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
#: Longest life that is believed, in seconds (ten years).
MAX_LIFE_SECONDS = 10 * 365 * 24 * 3600
#: Two parts of a JWS that are needed, and the signature, which is not checked.
_PARTS = 3


@dataclass(frozen=True)
class Account:
    """The account at the peer: its ``sub``, and a name for people if the peer told one."""

    subject: str
    name: str = ""


def read(peer: Peer, id_token: str, *, nonce: str, now: datetime) -> Account:
    """The account that ``id_token`` is about.

    OpenID Connect Core 1.0, section 3.1.3.7, by its items; 1, 6 to 8 and 13 have no part here: the
    token is not encrypted, its signature is not needed, and no authentication time is asked for.

    :param nonce: the one in our authorization request; must come back.
    :raises BadResponse: not an ID token for us, from this peer, for this request, at this time.
    """
    claims = _claims(id_token)
    _check_parties(claims, peer)
    if nonce and claims.get("nonce") != nonce:  # Item 11.
        raise BadResponse("The ID token belongs to another request.")
    _check_times(claims, now.timestamp())
    # Section 2: at most 255 ASCII characters. Others are kept where they can be shown.
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise BadResponse("The ID token names no account.")
    return Account(subject, name_in(claims))


def _check_parties(claims: Mapping[str, Any], peer: Peer) -> None:
    """Items 2 to 5: who issued the token, and to whom."""
    if not peer.issuer or claims.get("iss") != peer.issuer:
        raise BadResponse("The ID token names another issuer.")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if peer.client_id not in audiences:
        raise BadResponse("The ID token is for another client.")
    must_say = len(audiences) > 1 or "azp" in claims
    if must_say and claims.get("azp") != peer.client_id:
        raise BadResponse("The ID token was issued to another party.")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Items 9 and 10. How old a token may be is not limited: the nonce says that it is ours."""
    expires = _time(claims, "exp")
    if expires < now - CLOCK_SKEW_SECONDS:
        raise BadResponse("The ID token has expired.")
    if expires > now + MAX_LIFE_SECONDS:
        raise BadResponse("The ID token never expires.")
    latest = now + CLOCK_SKEW_SECONDS
    if _time(claims, "iat") > latest or ("nbf" in claims and _time(claims, "nbf") > latest):
        raise BadResponse("The ID token is of a time that has not come yet.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, section 2), in seconds. JSON can carry NaN and infinity as well.

    :raises BadResponse: it is missing, or is no point in time.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResponse(f"The ID token does not say its {name}.")
    # Put this way round because every comparison with NaN is false.
    if not 0 <= value < math.inf:
        raise BadResponse(f"The ID token does not say its {name}.")
    return value


def _claims(id_token: str) -> dict[str, Any]:
    parts = id_token.split(".")
    if len(parts) != _PARTS:
        raise BadResponse("The ID token is not a signed JWT.")
    algorithm = _decoded(parts[0]).get("alg")
    # Section 2: "none" only for clients that have registered for it, which we never do.
    if not isinstance(algorithm, str) or algorithm.lower() in ("", "none") or not parts[2]:
        raise BadResponse("The ID token is not signed.")
    return _decoded(parts[1])


def _decoded(part: str) -> dict[str, Any]:
    """:raises BadResponse: it is no JSON object in base64url."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise BadResponse("The ID token cannot be decoded.") from None
    if not isinstance(value, dict):
        raise BadResponse("The ID token has no claims.")
    return value


def name_in(claims: Mapping[str, Any]) -> str:
    """What people call the account, as far as the peer tells (section 5.1)."""
    for claim in ("preferred_username", "email", "name", "nickname"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 255:
            return value
    return ""
