"""Creates a link when a peer gets tokens for a person who started at the peer.

This is step (D) in the figure of draft-ietf-oauth-reciprocal-04, section 2. The new link works in
one direction only: the peer can use the account at this site. For the reverse direction, the person
must also consent at the peer. After that, the peer sends a reciprocal code.
"""

import logging
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from ..core import scopes
from ..links import incoming_access, lifecycle
from ..models import Link, Party, Peer, Step
from ..models.events import record_event
from ..models.links import FAMILY_PREFIX, key_of_family

logger = logging.getLogger("reciprocal_oauth.party_b")


def link_of_token(peer: Peer, access_token: Any) -> Link:
    """Return the link that a DOT access token of ``peer`` belongs to, and lock the row of the link.

    The token "identif[ies] which user authorization is being requested"
    (draft-ietf-oauth-reciprocal-04, section 2.2.2). All tokens that come from one grant have the
    same token family (DOT's ``token_family``). The search has three steps:

    1. Search the active links of the user with the peer for the link that stores the token family
       of ``access_token``.
    2. Search those links that this module has created for the newest suitable link. If the token
       has a family, the link must wait for a reciprocal code, and the peer must have no valid
       tokens of another family for the link, because such tokens belong to another account at the
       peer. If the token has no family (implicit grant: RFC 6749, section 4.2), the link must wait
       for a reciprocal code or have no family either.
    3. If no link was found, create one.
    """
    families = incoming_access.token_families(access_token)
    active = _lock_active_links(peer, access_token.user_id)
    link = active.filter(incoming_family__in=families).first()
    if link is not None:
        return link
    family = families.first()
    for link in _opened_by_tokens(active):
        waits = link.outgoing_state == Link.Outgoing.WAITING
        if family is None and (waits or link.incoming_family is None):
            return link
        if waits and (link.incoming_family is None or not incoming_access.has_live_tokens(link)):
            _set_family(link, family)
            link.save(update_fields=["account_key", "incoming_family", "updated_at"])
            return link
    return _create_link(peer, access_token.user_id, access_token.scope, family)


def open_link(peer: Peer, user_id: Any, scope: str, family: UUID | None) -> Link:
    """Create a link for new tokens of the peer, or add their scope to an existing link of the user.

    An existing link is not used if it no longer waits for a reciprocal code and the peer has valid
    tokens of another family for it, because the new tokens could belong to another account at the
    peer. Call this function in the transaction that saves the tokens.

    :param family: DOT's ``token_family`` of the new tokens; ``None`` if they have none.
    """
    link = _find_reusable(peer, user_id, family)
    if link is None:
        return _create_link(peer, user_id, scope, family)
    widened = scopes.join([*scopes.split(link.incoming_scope), *scopes.split(scope)])
    return _grant_incoming(link, widened, scope, family or link.incoming_family)


def _create_link(peer: Peer, user_id: Any, scope: str, family: UUID | None) -> Link:
    return _grant_incoming(Link(user_id=user_id, peer=peer), scope, scope, family)


def _grant_incoming(link: Link, limit: str, scope: str, family: UUID | None) -> Link:
    link.incoming_scope = scopes.cut(limit, link.peer.allowed_scope)
    link.incoming_state = Link.Incoming.ACTIVE
    link.incoming_reason = ""
    _set_family(link, family)
    link.save()
    record_event(link, Step.D, party=Party.B, detail=f"scope: {scope}")
    # If this site already has tokens at the peer for an existing link, both directions of the link
    # work now. In this case, this call sends the signal ``linked_both_ways``.
    lifecycle.announce_two_way(link)
    return link


def _set_family(link: Link, family: UUID | None) -> None:
    """Set the token family of ``link``, and the account key that is made from it. Links of the same
    user with the same peer have different account keys."""
    link.incoming_family = family
    link.account_key = key_of_family(family)


def _find_reusable(peer: Peer, user_id: Any, family: UUID | None) -> Link | None:
    """Return the newest link of the user with the peer to which new tokens can be added; ``None``
    if there is no such link.

    One of these must be true:

    - The link waits for a reciprocal code.
    - The peer has no valid tokens for the link.
    - The link has the same token family as the new tokens. This is also true if the link and the
      new tokens have no family (implicit grant: RFC 6749, section 4.2).
    """
    for link in _opened_by_tokens(_lock_active_links(peer, user_id)):
        if (
            link.outgoing_state == Link.Outgoing.WAITING
            or link.incoming_family == family
            or not incoming_access.has_live_tokens(link)
        ):
            return link
    return None


def _lock_active_links(peer: Peer, user_id: Any) -> QuerySet[Link]:
    return Link.objects.select_for_update().filter(
        peer=peer, user_id=user_id, status=Link.Status.ACTIVE
    )


def _opened_by_tokens(links: QuerySet[Link]) -> QuerySet[Link]:
    """Return the links in ``links`` that this module has created, the newest first. Their account
    keys begin with ``FAMILY_PREFIX``."""
    return links.filter(account_key__startswith=FAMILY_PREFIX).order_by("-created_at")
