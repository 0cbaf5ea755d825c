"""The scope that party B asks for (draft-ietf-oauth-reciprocal-04, section 2.1)."""

import logging

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import scopes
from ..core.protocol import RECIPROCAL
from ..models import Peer

logger = logging.getLogger("reciprocal_oauth.party_a")


def offered_scope(peer: Peer, answer: TokenResponse, redirect_value: str | None) -> str:
    """Return the scope that the user is asked to grant to ``peer``; empty: do not ask.

    ``reciprocal`` in the token response comes first, then the one in the authorization response. If
    neither is a valid scope, it is the scope that was preconfigured for the peer
    (draft-ietf-oauth-reciprocal-04, section 2.1). The result is cut to the limit of the peer.

    :param redirect_value: ``reciprocal`` of the authorization response.
    """
    requested = _requested(peer, answer, redirect_value)
    offered = scopes.cut(requested, peer.reciprocal_limit)
    if offered != requested:
        logger.info(
            "Peer %s asked for more than its limit; the scope is cut to %r", peer.slug, offered
        )
    return offered


def _requested(peer: Peer, answer: TokenResponse, redirect_value: str | None) -> str:
    candidates: list[object] = []
    if answer.has_reciprocal:
        candidates.append(answer.reciprocal)
    if redirect_value is not None and settings.READ_RECIPROCAL_FROM_REDIRECT:
        candidates.append(redirect_value)
    for candidate in candidates:
        # RFC 6749, sections 3.1 and 3.2: an empty parameter is treated as omitted.
        if parsed := scopes.parse(candidate):
            return scopes.join(parsed)
        logger.info(
            "Peer %s sent a %s that is no valid scope; it is ignored", peer.slug, RECIPROCAL
        )
    return peer.preconfigured_scope
