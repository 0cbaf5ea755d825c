"""Links of people who started at the peer: opened when it gets their tokens here (step D).

Consent on DOT's own authorization page is a grant like any other. Until the peer hands its code
over, such a link is one-way: the person still has to approve the reverse there.
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
    """The active link that a DOT access token of ``peer`` belongs to, locked.

    The one that names the token's family. Else the one that waits for a hand-over, unless it names
    another family with live tokens: then another account at the peer was connected since. Else a
    new one. Tokens of the implicit grant have no family: they share a link.
    """
    families = incoming_access.token_families(access_token)
    active = _active(peer, access_token.user_id)
    link = active.filter(incoming_family__in=families).first()
    if link is not None:
        return link
    family = families.first()
    for link in _opened_here(active):
        waits = link.outgoing_state == Link.Outgoing.WAITING
        if family is None and (waits or link.incoming_family is None):
            return link
        if waits and (link.incoming_family is None or not incoming_access.has_live_tokens(link)):
            _name(link, family)
            link.save(update_fields=["account_key", "incoming_family", "updated_at"])
            return link
    return _open(peer, access_token.user_id, access_token.scope, family)


def open_link(peer: Peer, user_id: Any, scope: str, family: UUID | None) -> Link:
    """Open a link for new tokens of ``family`` with ``scope``, or widen the one that waits.

    A link that has been handed over stays as it is: another account at the peer may be asking.
    Call it in the transaction that saves the tokens.
    """
    link = _reusable(peer, user_id, family)
    if link is None:
        return _open(peer, user_id, scope, family)
    widened = scopes.join([*scopes.split(link.incoming_scope), *scopes.split(scope)])
    return _grant(link, widened, scope, family or link.incoming_family)


def _open(peer: Peer, user_id: Any, scope: str, family: UUID | None) -> Link:
    return _grant(Link(user_id=user_id, peer=peer), scope, scope, family)


def _grant(link: Link, limit: str, scope: str, family: UUID | None) -> Link:
    link.incoming_scope = scopes.cut(limit, link.peer.allowed_scope)
    link.incoming_state = Link.Incoming.ACTIVE
    link.incoming_reason = ""
    _name(link, family)
    link.save()
    record_event(link, Step.D, party=Party.B, detail=f"scope: {scope}")
    # The peer may have lost the access that it had here; ours there went on.
    lifecycle.announce_two_way(link)
    return link


def _name(link: Link, family: UUID | None) -> None:
    """The family is what tells the links of one person with one peer apart."""
    link.incoming_family = family
    link.account_key = key_of_family(family)


def _reusable(peer: Peer, user_id: Any, family: UUID | None) -> Link | None:
    """The person's link with the peer that new tokens may be put on: it still waits for a
    hand-over, the peer has lost what it held for it, or neither has a family that tells them apart
    (implicit grant)."""
    for link in _opened_here(_active(peer, user_id)):
        if (
            link.outgoing_state == Link.Outgoing.WAITING
            or link.incoming_family == family
            or not incoming_access.has_live_tokens(link)
        ):
            return link
    return None


def _active(peer: Peer, user_id: Any) -> QuerySet[Link]:
    return Link.objects.select_for_update().filter(
        peer=peer, user_id=user_id, status=Link.Status.ACTIVE
    )


def _opened_here(links: QuerySet[Link]) -> QuerySet[Link]:
    """Those that tokens issued here opened, the newest first."""
    return links.filter(account_key__startswith=FAMILY_PREFIX).order_by("-created_at")
