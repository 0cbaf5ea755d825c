"""Steps (B) and (D): asks a peer for the reverse direction, with the parameter ``reciprocal``.

draft-ietf-oauth-reciprocal-04, section 2.1. The parameter is OPTIONAL in access token responses
(RFC 6749, sections 4.1.4, 4.2.2, 4.3.3 and 4.4.3) and in authorization responses (RFC 6749, section
4.1.2). Only the application of a peer gets the parameter.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..core.protocol import RECIPROCAL
from ..links import incoming_access


def parameters(application: Any) -> dict[str, str]:
    """Parameters to add to a token response of ``application``: the scope to ask the peer for.

    draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 3.3. Empty for other clients, and
    for a peer that is disabled or is asked for nothing.
    """
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled or not peer.reciprocal_scope:
        return {}
    return {RECIPROCAL: peer.reciprocal_scope}


def add_to_redirect(uri: str, application: Any) -> str:
    """Add ``reciprocal`` to ``uri``, an authorization response with a code in its query.

    draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 4.1.2. Errors and responses
    without a code are returned unchanged. A response of the implicit grant is a token response
    (RFC 6749, section 4.2.2), which already has the :func:`parameters`.
    """
    parts = urlsplit(uri)
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "code" not in names or RECIPROCAL in names:
        return uri
    added = parameters(application)
    if not added:
        return uri
    # Append, so that the redirect URI's own query stays exactly the same (RFC 6749, section 3.1.2).
    return urlunsplit(parts._replace(query=f"{parts.query}&{urlencode(added)}"))
