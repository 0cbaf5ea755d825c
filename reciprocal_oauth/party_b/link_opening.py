"""Opens links for people who started at the peer, when the peer gets tokens here (step D).

draft-ietf-oauth-reciprocal-04, section 2. Such a link is one-way until the peer hands over a code:
the person still has to consent to the reverse direction at the peer.
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
    """Find or open the link of a DOT access token of ``peer``, and lock the link.

    It "identif[ies] which user authorization is being requested" (draft-ietf-oauth-reciprocal-04,
    section 2.2.2). In this order:

    1. the link that names the token's family;
    2. the newest link that waits for a hand-over, unless it names another family with valid tokens:
       those belong to another account at the peer;
    3. for a token without a family (implicit grant: RFC 6749, section 4.2): the newest link that
       waits for a hand-over, or has no family either;
    4. a new link.
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
    """Open a link for new tokens of ``family`` with ``scope``, or widen a link that waits.

    A link whose hand-over is complete stays as it is: the new tokens may be of another account at
    the peer. Call it in the transaction that saves the tokens.
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
    # If the peer had only lost its incoming access, the link is two-way again.
    lifecycle.announce_two_way(link)
    return link


def _set_family(link: Link, family: UUID | None) -> None:
    """Set the family, and the account key made from it, which identifies the link of a person."""
    link.incoming_family = family
    link.account_key = key_of_family(family)


def _find_reusable(peer: Peer, user_id: Any, family: UUID | None) -> Link | None:
    """Find a link of the person with the peer that can take over new tokens.

    The link waits for a hand-over, or the peer has no valid tokens for it, or neither the link nor
    the tokens have a family (implicit grant: RFC 6749, section 4.2).
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
    """The links that this module has opened, the newest first."""
    return links.filter(account_key__startswith=FAMILY_PREFIX).order_by("-created_at")
