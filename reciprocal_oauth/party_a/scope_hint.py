"""What party B asks for in return (draft, "Reciprocal Scope Request")."""

import logging

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import scopes
from ..core.protocol import RECIPROCAL
from ..models import Peer

logger = logging.getLogger("reciprocal_oauth.party_a")


def offered_scope(peer: Peer, answer: TokenResponse, redirect_value: str | None) -> str:
    """The scope that the person will be asked to give to ``peer``; ``""``: nothing to ask for.

    The token response wins over the redirect; if neither carries a ``reciprocal`` that is a scope,
    it is the one agreed beforehand. Always cut to what the peer may hold here.
    """
    wanted = _wanted(peer, answer, redirect_value)
    offered = scopes.cut(wanted, peer.reciprocal_limit)
    if offered != wanted:
        logger.info("Peer %s asked for more than it may hold; cut to %r", peer.slug, offered)
    return offered


def _wanted(peer: Peer, answer: TokenResponse, redirect_value: str | None) -> str:
    candidates: list[object] = []
    if answer.has_reciprocal:
        candidates.append(answer.reciprocal)
    if redirect_value is not None and settings.READ_RECIPROCAL_FROM_REDIRECT:
        candidates.append(redirect_value)
    for candidate in candidates:
        # An empty value is a parameter that was omitted (RFC 6749, section 3.1).
        if parsed := scopes.parse(candidate):
            return scopes.join(parsed)
        logger.info("Peer %s sent a %s that is no scope; ignored", peer.slug, RECIPROCAL)
    return peer.preconfigured_scope
