"""Reads the public key set of a peer (RFC 7517, section 5), and keeps the keys that can check the
assertions of the peer.

The set is refused as a whole if it contains a private or a symmetric key: then the peer has
published a secret, and everybody can sign in its name. Not read here: certificates (``x5c``) and
addresses of other sets (``jku``, ``x5u``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from ..exceptions import BadResponse

#: The longest key set, in bytes, and the largest number of keys in it.
MAX_BYTES = 64 * 1024
MAX_KEYS = 20
#: The sizes of RSA keys that are accepted, in bits. Smaller keys are too weak (RFC 7518, section
#: 3.3). Larger keys need too much time.
_RSA_BITS = range(2048, 8192 + 1)
#: The members that only private and symmetric keys have (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
_NOT_PUBLIC = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
#: The members that are kept. All others are dropped.
_KEPT = frozenset({"kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e"})

#: The signature algorithms that this site accepts (RFC 7518, section 3.1; RFC 8037, section 3.1).
#: ``none`` and the symmetric ones are not among them.
ALGORITHMS = ("ES256", "PS256", "RS256", "EdDSA")


@dataclass(frozen=True)
class PublicKey:
    """A public key of a peer.

    :ivar kid: the key ID (RFC 7517, section 4.5); ``""`` if the key has none.
    :ivar algorithms: the algorithms that the key can be used with.
    :ivar members: the members of the key (RFC 7517, section 4).
    """

    kid: str
    algorithms: tuple[str, ...]
    members: Mapping[str, Any] = field(repr=False)
    jwk: JWK = field(repr=False)


def read(document: str | bytes) -> list[PublicKey]:
    """Return the keys in ``document`` that can check signatures. Keys of another kind or for
    another use are left out (RFC 7517, section 5).

    :raises BadResponse: the document is not a key set, is too long, contains a key that is not
        public, or contains no usable key.
    """
    if len(document) > MAX_BYTES:
        raise BadResponse(f"the key set has more than {MAX_BYTES} bytes")
    entries = _entries(document)
    if len(entries) > MAX_KEYS:
        raise BadResponse(f"the key set has more than {MAX_KEYS} keys")
    for entry in entries:
        if entry.get("kty") == "oct" or _NOT_PUBLIC & entry.keys():
            raise BadResponse("the key set contains a key that is not public")
    keys = [key for entry in entries if (key := _usable(entry)) is not None]
    if not keys:
        raise BadResponse("the key set contains no key that can check a signature")
    return keys


def as_json(keys: Sequence[PublicKey]) -> str:
    """Return a key set with ``keys`` and nothing else, which :func:`read` can read again."""
    return json.dumps({"keys": [dict(key.members) for key in keys]})


def _entries(document: str | bytes) -> list[dict[str, Any]]:
    try:
        content = json.loads(document)
    except (ValueError, RecursionError):
        raise BadResponse("the key set is not JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise BadResponse("the key set has no list of keys")
    return entries


def _usable(entry: Mapping[str, Any]) -> PublicKey | None:
    """Return the key in ``entry``; ``None`` if it cannot check a signature."""
    members = {name: value for name, value in entry.items() if name in _KEPT}
    kid, operations = members.get("kid", ""), members.get("key_ops", ["verify"])
    if not isinstance(kid, str) or members.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        jwk = JWK(**members)
        algorithms = _algorithms(members, jwk.get_op_key("verify"))
    except (JWException, ValueError, TypeError, AttributeError, KeyError):
        return None
    return PublicKey(kid, algorithms, members, jwk) if algorithms else None


def _algorithms(members: Mapping[str, Any], key: Any) -> tuple[str, ...]:
    """Return the algorithms that fit the type of the key. The member ``alg`` can allow only one of
    them (RFC 7517, section 4.4).

    :param key: the key as an object of the library ``cryptography``.
    """
    fitting: tuple[str, ...] = ()
    match members:
        case {"kty": "EC", "crv": "P-256"}:
            fitting = ("ES256",)
        case {"kty": "OKP", "crv": "Ed25519"}:
            fitting = ("EdDSA",)
        case {"kty": "RSA"} if key.key_size in _RSA_BITS:
            fitting = ("PS256", "RS256")
    only = members.get("alg")
    return fitting if only is None else tuple(each for each in fitting if each == only)
