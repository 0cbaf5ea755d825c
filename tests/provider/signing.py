"""A peer that signs: its keys, its key set, and assertions as it sends them."""

import json
import time
import uuid
from typing import Any

from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from reciprocal_oauth.core.protocol import JWT_BEARER

from ..fakes import FakePeer, Reply

JWKS_PATH = "/o/reciprocal/jwks.json"
#: The issuer of this site in these tests.
ISSUER = "https://site.example/o"


def make_key(algorithm: str = "ES256", **members: Any) -> JWK:
    """A new private key, whose key ID is its thumbprint."""
    kinds: dict[str, dict[str, Any]] = {
        "ES256": {"kty": "EC", "crv": "P-256"},
        "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
        "RS256": {"kty": "RSA", "size": 2048},
        "PS256": {"kty": "RSA", "size": 2048},
    }
    kind = kinds[algorithm]
    key = JWK.generate(**{**kind, **members})
    return JWK(**{"kid": key.thumbprint(), **json.loads(key.export())})


def public(key: JWK, **changes: Any) -> dict[str, Any]:
    """The public key as a member of a key set; ``None`` leaves a member out."""
    members = {**json.loads(key.export_public()), **changes}
    return {name: value for name, value in members.items() if value is not None}


def publish(fake_peer: FakePeer, *keys: JWK) -> None:
    fake_peer.answers[JWKS_PATH] = Reply.json(keys=[public(key) for key in keys])


def claims_of(client_id: str, **changes: Any) -> dict[str, Any]:
    """The claims of an assertion for this site; ``None`` leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": uuid.uuid4().hex,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def sign(key: JWK, claims: dict[str, Any] | str, algorithm: str = "ES256", **header: Any) -> str:
    """The signed claims in the compact form; ``None`` leaves a member of the header out."""
    members = {"alg": algorithm, "kid": key.get("kid"), **header}
    protected = {name: value for name, value in members.items() if value is not None}
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    signed = JWS(payload)
    signed.allowed_algs = [algorithm]
    signed.add_signature(key, None, json.dumps(protected))
    return str(signed.serialize(compact=True))


def parameters(assertion: str) -> dict[str, str]:
    return {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}


class Signer:
    """Sends requests to this site as a peer that authenticates with a key."""

    def __init__(self, client_id: str, key: JWK, algorithm: str = "ES256") -> None:
        self.client_id, self.key, self.algorithm = client_id, key, algorithm

    def assertion(self, **changes: Any) -> str:
        return sign(self.key, claims_of(self.client_id, **changes), self.algorithm)

    def authentication(self, **changes: Any) -> dict[str, str]:
        return parameters(self.assertion(**changes))
