"""What the peer's ID token says about the account there.

The token comes straight from the token endpoint over TLS, so the server's certificate stands in
for the signature (OpenID Connect Core 1.0, section 3.1.3.7, item 6). Everything else is checked.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..exceptions import BadAnswer
from ..models import Peer

#: Seconds by which the clocks of the two sites may differ.
CLOCK_SKEW_SECONDS = 120


@dataclass(frozen=True)
class Account:
    """The account at the peer: its ``sub``, and a name for people if the peer told one."""

    subject: str
    name: str = ""


def read(peer: Peer, id_token: str, *, nonce: str, now: datetime) -> Account:
    """The account that ``id_token`` is about.

    :param nonce: the one in our authorization request; must come back.
    :raises BadAnswer: not an ID token for us, from this peer, for this request, at this time.
    """
    claims = _claims(id_token)
    if peer.issuer and claims.get("iss") != peer.issuer:
        raise BadAnswer("The ID token names another issuer.")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if peer.client_id not in audiences:
        raise BadAnswer("The ID token is for another client.")
    if len(audiences) > 1 and claims.get("azp") != peer.client_id:
        raise BadAnswer("The ID token was issued to another party.")
    if nonce and claims.get("nonce") != nonce:
        raise BadAnswer("The ID token belongs to another request.")
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise BadAnswer("The ID token does not say when it expires.")
    # Put this way round because every comparison with NaN, which JSON can carry, is false.
    if not now.timestamp() <= expires + CLOCK_SKEW_SECONDS:
        raise BadAnswer("The ID token has expired.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise BadAnswer("The ID token names no account.")
    return Account(subject, _name(claims))


def _claims(id_token: str) -> dict[str, Any]:
    parts = id_token.split(".")
    if len(parts) != 3:
        raise BadAnswer("The ID token is not a signed JWT.")
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(payload)
    except (ValueError, binascii.Error, RecursionError):
        raise BadAnswer("The ID token cannot be decoded.") from None
    if not isinstance(claims, dict):
        raise BadAnswer("The ID token has no claims.")
    return claims


def _name(claims: dict[str, Any]) -> str:
    for claim in ("preferred_username", "email", "name", "nickname"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 255:
            return value
    return ""
