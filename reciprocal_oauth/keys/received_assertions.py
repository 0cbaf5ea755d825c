"""Reads and checks an assertion with which a peer authenticates at this site.

It is a signed JWT (RFC 7523, sections 2.2 and 3; OpenID Connect Core 1.0, section 9). This is one
before it is signed::

    {"alg": "ES256", "kid": "…", "typ": "client-authentication+jwt"}
    {"iss": "music-here", "sub": "music-here", "aud": "https://site.example/o",
     "iat": 1893499200, "exp": 1893499260, "jti": "…"}

Not checked here: whether the assertion was used before, because this needs the database.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jws import JWS

from ..core.protocol import MAX_ASSERTION_LENGTH, MAX_CLIENT_ID_LENGTH
from ..exceptions import ReciprocalError
from .public_keys import ALGORITHMS, PublicKey

#: How far in the future an assertion may end, in seconds. RFC 7523, section 3, allows a server to
#: refuse an unreasonably long life.
MAX_LIFETIME_SECONDS = 300
#: How far the clocks of the two sites may differ, in seconds.
LEEWAY_SECONDS = 30
_MAX_JTI_LENGTH = 256

#: The types that the header can have (RFC 7519, section 5.1). An assertion need not have one. A
#: token of another kind, such as ``at+jwt``, is refused, although the same key can have signed it.
_TYPES = frozenset({"jwt", "client-authentication+jwt"})
#: A JWT in the compact form: three parts in base64url (RFC 7515, section 7.1).
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_CLIENT_ID = re.compile(r"[\x20-\x7e]+")


class AssertionRefused(ReciprocalError):
    """An assertion of a peer does not prove that the peer sent it. The text is for the log of this
    site only: the response is the same for every reason."""


@dataclass(frozen=True)
class Assertion:
    """An assertion whose signature is not checked yet.

    :ivar text: the assertion as it was received.
    :ivar header: the members of the header (RFC 7515, section 4).
    :ivar claims: the claims (RFC 7519, section 4).
    """

    text: str = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def client_id(self) -> str:
        """Return the client ID in ``sub``; ``""`` if it cannot be a client ID (RFC 6749, appendix
        A.1)."""
        name = self.claims.get("sub")
        is_usable = (
            isinstance(name, str)
            and len(name) <= MAX_CLIENT_ID_LENGTH
            and _CLIENT_ID.fullmatch(name)
        )
        return str(name) if is_usable else ""

    @property
    def jti(self) -> str:
        """Return the ID of the assertion, which :func:`require_claims` has checked."""
        return str(self.claims["jti"])

    @property
    def useful_until(self) -> float:
        """Return the time after which this site refuses the assertion, as a timestamp."""
        return float(self.claims["exp"]) + LEEWAY_SECONDS


@sensitive_variables()
def read(text: str) -> Assertion:
    """Return the assertion in ``text``. Check only its form.

    :raises AssertionRefused: it is not a JWT in the compact form, or is too long.
    """
    if len(text) > MAX_ASSERTION_LENGTH:
        raise AssertionRefused("it is too long")
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise AssertionRefused("it is not a signed JWT")
    return Assertion(text, _object(parts[1]), _object(parts[2]))


def fitting_keys(assertion: Assertion, keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys that can have signed ``assertion``. It may lack a key ID only if the set has
    one key for its algorithm (OpenID Connect Core 1.0, section 10.1).

    :raises AssertionRefused: the algorithm or another member of the header is not accepted.
    """
    header = assertion.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise AssertionRefused("its algorithm is not accepted")
    if "crit" in header:
        raise AssertionRefused("it needs an extension that is not supported")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise AssertionRefused("it is a token of another kind")
    usable = [key for key in keys if algorithm in key.algorithms]
    if kid is None:
        if len(usable) > 1:
            raise AssertionRefused("it does not say which of several keys has signed it")
        return usable
    return [key for key in usable if key.kid == kid]


@sensitive_variables()
def require_signature(assertion: Assertion, keys: Sequence[PublicKey]) -> None:
    """Check that one of ``keys`` has signed ``assertion`` (RFC 7515, section 5.2).

    :raises AssertionRefused: none of the keys has signed it.
    """
    algorithm = assertion.header["alg"]
    for key in keys:
        signed = JWS()
        signed.allowed_algs = [algorithm]
        try:
            signed.deserialize(assertion.text, key.jwk, algorithm)
            claims = _parsed(signed.payload)
        except (JWException, ValueError, TypeError):
            continue
        if claims == assertion.claims:
            return
    raise AssertionRefused("the signature is wrong")


def require_claims(assertion: Assertion, client_id: str, audience: str) -> None:
    """Check the claims (RFC 7523, section 3).

    ``aud`` must be ``audience`` alone, as a text or as a list with this one text. RFC 7523 would
    accept more than one audience. But an assertion that is also meant for another server can be
    used at this site by that server.

    :param client_id: the client ID of the peer at this site.
    :param audience: the issuer identifier of this site.
    :raises AssertionRefused: a claim is missing or wrong.
    """
    claims, now = assertion.claims, timezone.now().timestamp()
    if not claims.get("iss") == claims.get("sub") == client_id:
        raise AssertionRefused("iss or sub is not the client ID of the peer")
    if not audience or claims.get("aud") not in (audience, [audience]):
        raise AssertionRefused("it is for another audience than the issuer of this site")
    ends_at = _time(claims, "exp")
    if ends_at is None or ends_at <= now - LEEWAY_SECONDS:
        raise AssertionRefused("it has expired, or never expires")
    if ends_at > now + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise AssertionRefused("it is valid for too long")
    for name in ("nbf", "iat"):
        begins_at = _time(claims, name)
        if begins_at is not None and begins_at > now + LEEWAY_SECONDS:
            raise AssertionRefused(f"{name} is in the future")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_LENGTH:
        raise AssertionRefused("jti is missing, or has no usable length")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a claim that is a time (RFC 7519, section 2); ``None`` if it is missing.

    :raises AssertionRefused: it is not a number.
    """
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 10**12:
        raise AssertionRefused(f"{name} is not a time")
    return float(value)


def _object(part: str) -> dict[str, Any]:
    """Return the JSON object in a part of a JWT.

    :raises AssertionRefused: the part is not a JSON object in base64url.
    """
    try:
        found = _parsed(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        raise AssertionRefused("a part of it is not JSON in base64url") from None
    if not isinstance(found, dict):
        raise AssertionRefused("a part of it is not a JSON object")
    return found


def _parsed(document: bytes) -> Any:
    """Return the JSON value in ``document``. A member must not occur twice (RFC 7519, section 4).

    :raises ValueError: it is not JSON in UTF-8, a member occurs twice, or a number is infinite.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a member occurs twice")
        return found

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(document.decode("utf-8"), object_pairs_hook=members, parse_constant=refuse)
