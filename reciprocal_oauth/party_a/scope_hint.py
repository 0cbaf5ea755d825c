"""The scope that party B (the peer) asks for in the parameter ``reciprocal``
(draft-ietf-oauth-reciprocal-04, section 2.1)."""

import logging

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import scopes
from ..core.protocol import RECIPROCAL
from ..models import Peer

logger = logging.getLogger("reciprocal_oauth.party_a")


def offered_scope(peer: Peer, answer: TokenResponse, redirect_value: str | None) -> str:
    """Return the scope that the user is asked to grant to ``peer``. If it is empty, the user is not
    asked.

    Use the first of these values that is a valid scope (draft-ietf-oauth-reciprocal-04, section
    2.1): ``reciprocal`` in the token response, ``reciprocal`` in the authorization response (if the
    setting ``READ_RECIPROCAL_FROM_REDIRECT`` is true), or the scope that the administrator has
    configured for the peer. Remove the scopes that this site does not let the peer have.

    :param answer: the token response.
    :param redirect_value: the value of ``reciprocal`` in the authorization response.
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
        # Ignore an invalid scope. Also ignore an empty parameter, which counts as omitted (RFC
        # 6749, sections 3.1 and 3.2).
        if parsed := scopes.parse(candidate):
            return scopes.join(parsed)
        logger.info("Peer %s sent an invalid scope in %s; it is ignored", peer.slug, RECIPROCAL)
    return peer.preconfigured_scope
