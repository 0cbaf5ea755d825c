"""Revokes tokens and breaks links when a peer gets another address, client ID or application.

The user of a broken link must connect the accounts again. ``Peer.save`` checks a change before this
module is called. It refuses a new origin or a new client ID if a client secret is stored and nobody
has entered it again.
"""

import logging
from typing import Any

from django.db.models import Count
from oauth2_provider.models import get_application_model

from ..core.database import on_commit
from ..keys import site_keys
from ..links import incoming_access, lifecycle
from ..models import Link, Peer
from ..models.binding import describe_changes, is_bound_for_tokens

logger = logging.getLogger("reciprocal_oauth.peers")


def count_links_to_reconnect(peer: Peer) -> int:
    """Count the links that will break when ``peer`` is saved with its current values.

    The stored tokens of these links belong to another address or another client ID. So the users of
    these links must connect again.
    """
    counts = _active_links(peer).values_list("bound_to").annotate(count=Count("pk")).order_by()
    return sum(count for bound_to, count in counts if not is_bound_for_tokens(bound_to, peer))


def peer_saved(sender: type, instance: Peer, raw: bool, **arguments: Any) -> None:
    """Log each change of the peer's address, client ID or application. Revoke the tokens and break
    the links that the change makes invalid. Django calls this function after a peer was saved (it
    is a receiver of ``post_save``).

    If this site signs for the peer, make the key now, so that the administrators of both sites can
    compare its thumbprint before the first request.
    """
    if not raw and instance.signs_assertions:
        on_commit(lambda: site_keys.signing_key((instance.assertion_algorithm,)))
    changes = instance.changes_being_saved
    if raw or not changes:
        return
    logger.warning(
        "Peer %s was reconfigured: %s",
        instance.slug,
        describe_changes(changes),
        extra={"action": "peer_reconfigured"},
    )
    for change in changes:
        if change.field == "application":
            _revoke_tokens_of(change.before)
    # Break the links after the commit, each link in its own transaction. If the process stops
    # early, each remaining link breaks when it is used the next time.
    on_commit(lambda: _break_links(instance))


def _break_links(peer: Peer) -> None:
    for pk, bound_to in list(_active_links(peer).values_list("pk", "bound_to")):
        if is_bound_for_tokens(bound_to, peer):
            continue
        link = Link.objects.select_related("peer").filter(pk=pk).first()
        if link is not None and not is_bound_for_tokens(link.bound_to, link.peer):
            lifecycle.break_reconfigured(link)


def _active_links(peer: Peer) -> Any:
    return Link.objects.filter(
        peer=peer, status=Link.Status.ACTIVE, outgoing_state=Link.Outgoing.ACTIVE
    )


def _revoke_tokens_of(client_id: str) -> None:
    """Revoke all tokens of the peer's former application. This package limits the scope of a token
    only while its application belongs to a peer. So these tokens would otherwise keep all scopes.

    :param client_id: the client ID of the former application.
    """
    application = get_application_model()._default_manager.filter(client_id=client_id).first()
    if application is not None:
        incoming_access.revoke_all_of_client(application)
