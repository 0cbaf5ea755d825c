"""Signed assertions with which this site proves to a server that it is its client.

This module follows RFC 7521, section 4.2, and RFC 7523, sections 2.2 and 3. The content of an
assertion:

::

    {"alg": "ES256", "kid": "<thumbprint of the key>", "typ": "JWT"}
    {"iss": "<client ID>", "sub": "<client ID>", "aud": "https://peer.example/o",
     "iat": 1798000000, "exp": 1798000060, "jti": "<random>"}
"""

import secrets
import time
from collections.abc import Collection

from django.views.decorators.debug import sensitive_variables
from jwcrypto import jwk, jwt

from ..exceptions import DecryptionError
from ..models import SiteKey
from ..secret import Secret
from . import site_keys

#: How many seconds an assertion is valid. It is used at once.
LIFETIME_SECONDS = 60


@sensitive_variables()
def sign(client_id: str, audience: str, algorithms: Collection[str] = ()) -> Secret:
    """Return a new assertion. It may be sent only once, because a server accepts its ID (``jti``)
    only once (RFC 7523, section 3).

    :param client_id: the client ID of this site at the server.
    :param audience: the only value of ``aud``: the issuer of the server. If the audience were an
        address that the metadata of the server names, the server could name the address of another
        server and use the assertion there.
    :param algorithms: the algorithms that the server knows; see
        :func:`~reciprocal_oauth.keys.site_keys.algorithm_for`.
    :raises DecryptionError: the private key cannot be decrypted.
    """
    key = site_keys.signing_key(algorithms)
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    token = jwt.JWT(header={"alg": key.alg, "kid": key.kid, "typ": "JWT"}, claims=claims)
    token.make_signed_token(_private_key(key))
    return Secret(token.serialize())


@sensitive_variables()
def _private_key(key: SiteKey) -> jwk.JWK:
    try:
        return jwk.JWK.from_json(key.private_jwk.reveal())
    except DecryptionError:
        raise DecryptionError(
            f"The key {key.kid} of this site cannot be decrypted, so nothing can be signed. Put "
            "the encryption key back into the settings. If it is lost, make a new key with "
            "“reciprocal_keys rotate --now”."
        ) from None
