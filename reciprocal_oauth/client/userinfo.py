"""Reads the name of a user's account from the UserInfo endpoint of the peer.

This module follows OpenID Connect Core 1.0, sections 5.3.1 (request), 5.3.2 (response) and 5.3.3
(error). This is a request:

::

    GET /userinfo HTTP/1.1
    Authorization: Bearer SlAV32hkKG

Not implemented here: responses that are signed or encrypted (``application/jwt``).
"""

from ..exceptions import BadResponse
from ..models import Peer
from ..secret import Secret
from . import account_resource
from .id_token import name_in


def name_of(peer: Peer, subject: str, access_token: Secret) -> str:
    """Return the name of an account at the peer; ``""`` if the response contains no usable name.

    :param subject: the identifier of the account, from the claim ``sub`` of the ID token; ``""`` if
        there was no ID token to compare the response with.
    :param access_token: an access token for this account.
    :raises PeerRefused: the peer responded with an error (OpenID Connect Core 1.0, section 5.3.3).
    :raises BadResponse: the response is not a JSON object, or its ``sub`` differs from ``subject``
        (OpenID Connect Core 1.0, section 5.3.2).
    :raises AddressRefused: this site must not call the endpoint, or must not send secrets to it.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    claims = account_resource.read(peer, peer.userinfo_endpoint, access_token)
    told = claims.get("sub")
    if not told or (subject and told != subject):
        raise BadResponse(
            "The UserInfo response contains no account, or not the account of the ID token."
        )
    return name_in(claims)
