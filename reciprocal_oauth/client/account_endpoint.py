"""Reads the name of a user's account from an endpoint of the peer's own API.

No specification describes this endpoint. An administrator names its address
(``Peer.account_endpoint``) and the member of its JSON object that contains the name
(``Peer.account_member``). It is for peers without OpenID Connect. This is a request:

::

    GET /api/me/ HTTP/1.1
    Authorization: Bearer SlAV32hkKG
"""

import math
from collections.abc import Mapping
from typing import Any

from django.views.decorators.debug import sensitive_variables

from ..core.plain_text import plain
from ..exceptions import BadResponse
from ..models import Peer
from ..secret import Secret
from . import account_resource

#: The longest name that is kept, in characters.
MAX_NAME_LENGTH = 100


@sensitive_variables()
def name_of(peer: Peer, access_token: Secret) -> str:
    """Return the name of the account whose access token this is. Characters that are not visible
    are removed, and a long name is cut.

    :raises PeerRefused: the peer responded with another status than 200.
    :raises BadResponse: the response has no text and no number where ``Peer.account_member`` says.
    :raises AddressRefused: this site must not call the endpoint, or must not send secrets to it.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    members = account_resource.read(peer, peer.account_endpoint, access_token)
    name = _text_of(_value_at(members, peer.account_member))
    if not name:
        # The value itself is not part of the error: it can be anything that the peer has sent.
        raise BadResponse(
            f"The response of the account endpoint has no text and no number in the member "
            f"“{peer.account_member}”."
        )
    return name


def _value_at(members: Mapping[str, Any], path: str) -> object:
    """Return the value at ``path``, the names of members with dots between them; ``None`` if there
    is none. A member whose own name contains the dots comes first."""
    if path in members:
        return members[path]
    value: object = members
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text_of(value: object) -> str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    # isfinite() raises an error for a whole number that is too large for a float.
    if is_whole or (isinstance(value, float) and math.isfinite(value)):
        value = str(value)
    return plain(value, MAX_NAME_LENGTH)
