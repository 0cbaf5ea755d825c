"""A peer moves: an administrator changes where it is, who we are there, or its application here.

``Peer.save`` has refused what must not be (a secret that would go to somebody for whom it was not
entered). This does what follows from the rest.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Count
from oauth2_provider.models import get_application_model

from ..core.database import on_commit
from ..links import incoming_access, lifecycle
from ..models import Link, Peer
from ..models.binding import PeerChange, describe_changes, is_bound_for_tokens

logger = logging.getLogger("reciprocal_oauth.peers")


def count_left_behind(peer: Peer) -> int:
    """How many links have to be connected again once ``peer`` is saved as it is: their tokens were
    given elsewhere, or to another client."""
    counts = _working(peer).values_list("bound_to").annotate(count=Count("pk")).order_by()
    return sum(count for bound_to, count in counts if not is_bound_for_tokens(bound_to, peer))


def moved(peer: Peer, moves: Sequence[PeerChange]) -> None:
    """``peer`` is being saved with these ``moves``."""
    logger.warning(
        "Peer %s was set up anew: %s",
        peer.slug,
        describe_changes(moves),
        extra={"action": "peer_moved"},
    )
    for move in moves:
        if move.field == "application":
            _end_tokens_of(move.before)
    # Each link in a transaction of its own, after the one that saves the peer. One that is not
    # reached is left behind when it is used next.
    on_commit(lambda: _leave_links_behind(peer))


def _leave_links_behind(peer: Peer) -> None:
    for pk, bound_to in list(_working(peer).values_list("pk", "bound_to")):
        if is_bound_for_tokens(bound_to, peer):
            continue
        link = Link.objects.select_related("peer").filter(pk=pk).first()
        if link is not None and not is_bound_for_tokens(link.bound_to, link.peer):
            lifecycle.break_reconfigured(link)


def _working(peer: Peer) -> Any:
    return Link.objects.filter(
        peer=peer, status=Link.Status.ACTIVE, outgoing_state=Link.Outgoing.ACTIVE
    )


def _end_tokens_of(client_id: str) -> None:
    """What was given to an application as a peer's ends when it is a peer's no more: nothing would
    limit it."""
    application = get_application_model()._default_manager.filter(client_id=client_id).first()
    if application is not None:
        incoming_access.revoke_all_of_client(application)


def peer_saved(sender: type, instance: Peer, raw: bool, **arguments: Any) -> None:
    """A peer was saved by an administrator or by code: it may have moved."""
    if instance.changes_being_saved and not raw:
        moved(instance, instance.changes_being_saved)
