"""Receivers of signals for the delivery: a row was added to a queue, a web request starts or ends,
or a link is deleted."""

from typing import Any

from ..core.database import on_commit, request_begins, request_ends
from ..links import lifecycle
from ..models import Link, Peer
from . import dispatchers


def start_delivery(sender: type, **arguments: Any) -> None:
    """Tell the dispatcher that rows of a link are due. The signals that call this are sent after
    the commit, so a worker can already see the rows."""
    dispatchers.wake(arguments["link"])


def request_starts(sender: type, **arguments: Any) -> None:
    """Note that this thread serves a web request, and tell the dispatcher that this process serves
    web requests."""
    request_begins()
    dispatchers.request_started()


def request_is_over(sender: type, **arguments: Any) -> None:
    """Note that this thread no longer serves a web request."""
    request_ends()


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """Revoke the tokens of a link before the link is deleted from the database.

    If the peer is deleted at the same time, revoke only the tokens of the peer at this site. The
    tokens of this site at the peer cannot be revoked, because the address for it is deleted too.
    """
    peer_is_deleted = getattr(origin, "model", type(origin)) is Peer
    # Do not catch errors: an error stops the deletion. If the link were deleted without revoking
    # the tokens, the peer could go on using them, and no link would limit their scope.
    if lifecycle.revoke_before_deletion(instance, revoke_outgoing=not peer_is_deleted):
        on_commit(dispatchers.wake)
