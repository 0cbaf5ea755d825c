"""Receivers of signals: something is due, a request begins or ends, a link is deleted."""

from typing import Any

from ..core.database import on_commit, request_begins, request_ends
from ..links import lifecycle
from ..models import Link, Peer
from . import dispatchers


def start_delivery(sender: type, **arguments: Any) -> None:
    """Our own receiver: a row is waiting, begin with it. The signals come after commit."""
    dispatchers.wake(arguments["link"])


def request_starts(sender: type, **arguments: Any) -> None:
    """A request is served in this process: rows left over from before can be worked on."""
    request_begins()
    dispatchers.request_started()


def request_is_over(sender: type, **arguments: Any) -> None:
    """What follows in this thread is no web request, unless another one begins."""
    request_ends()


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """A link goes: by hand, with its user, or with its peer, which then cannot be told."""
    with_its_peer = getattr(origin, "model", type(origin)) is Peer
    # This one may stop the deletion: the peer would keep tokens that nothing limits any more.
    if lifecycle.revoke_before_deletion(instance, revoke_outgoing=not with_its_peer):
        on_commit(dispatchers.wake)
