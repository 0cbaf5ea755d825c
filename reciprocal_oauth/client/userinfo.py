"""What the peer's UserInfo endpoint calls the account (OpenID Connect Core 1.0, section 5.3).

::

    GET /userinfo HTTP/1.1
    Authorization: Bearer SlAV32hkKG

Not implemented here: answers that are signed or encrypted (``application/jwt``).
"""

from dataclasses import dataclass

import requests
from requests.auth import AuthBase

from ..exceptions import BadResponse
from ..models import Peer
from ..secret import Secret
from . import http
from .id_token import name_in
from .token_endpoint import members_of, refusal, require_bound


@dataclass(frozen=True)
class _Bearer(AuthBase):
    """The token as a header (RFC 6750, section 2.1), in clear only in the request that is sent."""

    token: Secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return request


def name_of(peer: Peer, subject: str, access_token: Secret) -> str:
    """What people call the account ``subject``; ``""``: the peer does not tell.

    :param access_token: one that stands for the account.
    :raises PeerRefused: the peer answered with an error.
    :raises BadResponse: the answer is no JSON object, or is about another account (section 5.3.2).
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    require_bound(peer, peer.userinfo_endpoint)
    answer = http.call(
        "GET",
        peer.userinfo_endpoint,
        headers={"Accept": "application/json"},
        auth=_Bearer(access_token),
    )
    if answer.status != requests.codes.ok:
        raise refusal(answer)
    claims = members_of(answer.body)
    if claims.get("sub") != subject:
        raise BadResponse("The UserInfo answer names no account, or another one.")
    return name_in(claims)
