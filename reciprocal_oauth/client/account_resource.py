"""Reads a JSON object about the account to which an access token belongs (RFC 6750, section
2.1)."""

from collections.abc import Mapping
from typing import Any

import requests
from django.views.decorators.debug import sensitive_variables

from ..models import Peer
from ..secret import Secret
from . import http
from .token_endpoint import members_of, refusal, require_bound


@sensitive_variables()
def read(peer: Peer, url: str, access_token: Secret) -> Mapping[str, Any]:
    """Return the members of the JSON object at ``url``.

    :raises PeerRefused: the peer responded with another status than 200.
    :raises BadResponse: the response is not a JSON object.
    :raises AddressRefused: this site must not call ``url``, or must not send secrets to it.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    require_bound(peer, url)
    headers = {"Accept": "application/json"}
    response = http.call("GET", url, headers=headers, bearer=access_token)
    if response.status != requests.codes.ok:
        raise refusal(response)
    return members_of(response.body)
