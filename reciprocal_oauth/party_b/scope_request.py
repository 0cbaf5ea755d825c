"""Adds the parameter ``reciprocal`` to responses. With this parameter, this site asks the peer for
access to the person's account at the peer.

The responses are the steps (B) and (D) in the figure of draft-ietf-oauth-reciprocal-04, section 2.
The parameter is defined in section 2.1 of the draft. It is OPTIONAL in access token responses (RFC
6749, sections 4.1.4, 4.2.2, 4.3.3 and 4.4.3) and in authorization responses (RFC 6749, section
4.1.2). This site sends it only to clients that belong to peers.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..core.protocol import RECIPROCAL
from ..links import incoming_access


def parameters(application: Any) -> dict[str, str]:
    """Return the parameters to add to a token response for ``application``.

    This is the parameter ``reciprocal``, whose value is the scope that this site requests from the
    peer (draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 3.3). The result is empty
    if ``application`` belongs to no peer, the peer is disabled, or this site requests no scope.
    """
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled or not peer.reciprocal_scope:
        return {}
    return {RECIPROCAL: peer.reciprocal_scope}


def add_to_redirect(uri: str, application: Any) -> str:
    """Return ``uri``, the URI of an authorization response, with the parameter ``reciprocal`` in
    its query (draft-ietf-oauth-reciprocal-04, section 2.1; RFC 6749, section 4.1.2).

    Return ``uri`` unchanged if its query contains no authorization code. Such a ``uri`` is an error
    response, or the response of the implicit grant. The response of the implicit grant is a token
    response (RFC 6749, section 4.2.2), so it already contains the :func:`parameters`.
    """
    parts = urlsplit(uri)
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "code" not in names or RECIPROCAL in names:
        return uri
    added = parameters(application)
    if not added:
        return uri
    # The registered redirect URI of the client can have a query of its own. Append the parameter as
    # text, so that this query stays exactly the same (RFC 6749, section 3.1.2).
    return urlunsplit(parts._replace(query=f"{parts.query}&{urlencode(added)}"))
