"""The receiver of the signal that a peer is about to be deleted."""

from typing import Any

from ..core.database import on_commit
from ..delivery import dispatchers
from ..models import Pairing, Peer
from ..peers import application_secret
from . import renewing


def peer_deleted(sender: type, instance: Peer, **arguments: Any) -> None:
    """End the pairing of a peer before the peer is deleted. The other site is told soon after that
    (RFC 7592, section 2.3).

    The application of the peer stays, and without a peer it is an ordinary client, which may ask
    for every scope of this site. So take from the other site the credentials that it got here by
    the pairing.
    """
    rows = Pairing.objects.select_for_update().filter(peer=instance)
    for pairing in rows:
        if pairing.role != Pairing.Role.REGISTRANT:
            application_secret.lock_out(instance)
        if pairing.state == Pairing.State.COMPLETE:
            renewing.begin_end(pairing)
            on_commit(dispatchers.wake)
