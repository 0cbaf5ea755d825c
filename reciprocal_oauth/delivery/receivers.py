"""Receivers of signals that concern the delivery. The signals say that a row was added to a queue,
that a web request starts or ends, or that a link is about to be deleted."""

from typing import Any

from ..core.database import on_commit, request_begins, request_ends
from ..links import lifecycle
from ..models import Link, Peer, QueueItem
from . import dispatchers, measuring


def start_delivery(sender: type, **arguments: Any) -> None:
    """Tell the dispatcher that rows of a link are due. The signals that call this are sent after
    the commit, so a worker can already see the rows."""
    dispatchers.wake(arguments["link"])


def request_starts(sender: type, **arguments: Any) -> None:
    """Record that the current thread is handling a web request. Also tell the dispatcher that a web
    request has started in this process, so that it can start its worker threads."""
    request_begins()
    dispatchers.request_started()


def request_is_over(sender: type, **arguments: Any) -> None:
    """Record that the current thread has finished handling a web request."""
    request_ends()


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """Revoke the tokens of a link before the link is deleted from the database.

    If the peer is deleted at the same time, revoke only the tokens of the peer at this site. The
    tokens of this site at the peer cannot be revoked, because the URL of the revocation endpoint is
    deleted together with the peer.
    """
    peer_is_deleted = getattr(origin, "model", type(origin)) is Peer
    # Do not catch errors, so that an error stops the deletion. If the link were deleted although
    # its tokens were not revoked, the peer could still use the tokens, and no link would limit the
    # scope of the tokens.
    if lifecycle.revoke_before_deletion(instance, revoke_outgoing=not peer_is_deleted):
        on_commit(dispatchers.wake)


def count_failure(sender: type, item: QueueItem, **arguments: Any) -> None:
    """Count that a delivery has failed and is not tried again."""
    measuring.count_failure(item)
