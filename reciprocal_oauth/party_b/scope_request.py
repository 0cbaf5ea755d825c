"""Adds the parameter ``reciprocal`` to responses (steps B and D). With it, this site asks the peer
for access to the person's account at the peer.

draft-ietf-oauth-reciprocal-04, section 2.1. The parameter is OPTIONAL in access token responses
(RFC 6749, sections 4.1.4, 4.2.2, 4.3.3 and 4.4.3) and in authorization responses (RFC 6749, section
4.1.2). Only the client of a peer gets the parameter.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..core.protocol import RECIPROCAL
from ..links import incoming_access


def parameters(application: Any) -> dict[str, str]:
    """Return the parameters to add to a token response for ``application``: ``reciprocal``, with
    the scope that this site asks the peer for.

    draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 3.3. The result is empty if
    ``application`` belongs to no peer, if the peer is disabled, or if this site asks for no scope.
    """
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled or not peer.reciprocal_scope:
        return {}
    return {RECIPROCAL: peer.reciprocal_scope}


def add_to_redirect(uri: str, application: Any) -> str:
    """Return ``uri``, a redirect to a client, with the parameter ``reciprocal`` in its query.

    draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 4.1.2. A ``uri`` without a code,
    such as an error response, is returned unchanged. The response of the implicit grant is also
    returned unchanged, because it is a token response (RFC 6749, section 4.2.2), which already
    contains the :func:`parameters`.
    """
    parts = urlsplit(uri)
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "code" not in names or RECIPROCAL in names:
        return uri
    added = parameters(application)
    if not added:
        return uri
    # Append the parameter, so that the query that the client has registered in its redirect URI
    # stays exactly the same (RFC 6749, section 3.1.2).
    return urlunsplit(parts._replace(query=f"{parts.query}&{urlencode(added)}"))
