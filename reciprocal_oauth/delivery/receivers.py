"""Receivers of signals: a row was added, a request starts or ends, a link is deleted."""

from typing import Any

from ..core.database import on_commit, request_begins, request_ends
from ..links import lifecycle
from ..models import Link, Peer
from . import dispatchers


def start_delivery(sender: type, **arguments: Any) -> None:
    """Wake the dispatcher for the rows of a link. The signals are sent after commit."""
    dispatchers.wake(arguments["link"])


def request_starts(sender: type, **arguments: Any) -> None:
    """Note that this thread serves a request, and tell the dispatcher."""
    request_begins()
    dispatchers.request_started()


def request_is_over(sender: type, **arguments: Any) -> None:
    """Note that this thread no longer serves a request."""
    request_ends()


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """Revoke all tokens of a link before its row is deleted. Our tokens at the peer are not revoked
    if the peer is deleted too: its endpoint is then no longer known."""
    peer_is_deleted = getattr(origin, "model", type(origin)) is Peer
    # An error here stops the deletion: otherwise the peer would keep tokens without a limit.
    if lifecycle.revoke_before_deletion(instance, revoke_outgoing=not peer_is_deleted):
        on_commit(dispatchers.wake)
