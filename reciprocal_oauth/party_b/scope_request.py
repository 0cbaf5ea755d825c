"""Asking for the reverse: the ``reciprocal`` parameter (draft, "Reciprocal Scope Request").

OPTIONAL in access token responses (RFC 6749, sections 4.1.4, 4.2.2, 4.3.3, 4.4.3) and in
authorization responses (section 4.1.2), and only in those of the peer's own application.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..core.protocol import RECIPROCAL
from ..links import incoming_access


def parameters(application: Any) -> dict[str, str]:
    """What to add to a token response of ``application``: nothing, unless a peer is asked."""
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled or not peer.reciprocal_scope:
        return {}
    return {RECIPROCAL: peer.reciprocal_scope}


def add_to_redirect(uri: str, application: Any) -> str:
    """``uri``, an authorization response with a code in its query, with the parameter added.

    Errors and responses without such a code come back as they are: those of the implicit grant
    carry a token response, to which :func:`parameters` has been added already.
    """
    parts = urlsplit(uri)
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "code" not in names or RECIPROCAL in names:
        return uri
    added = parameters(application)
    if not added:
        return uri
    # Appended, so that a query of the redirect URI's own stays byte for byte what it was.
    return urlunsplit(parts._replace(query=f"{parts.query}&{urlencode(added)}"))
