"""The signals that a site can connect receivers to.

Each signal is sent after the database transaction commits. If a receiver raises an exception, the
exception is logged and has no other effect. ``sender`` is the class of the model object that is the
first argument of the signal.
"""

import logging
from typing import Any

from django.dispatch import Signal

from .core.database import on_commit

logger = logging.getLogger("reciprocal_oauth")

#: This site, as party A, will hand over a new reciprocal code to the peer of a link. There are
#: three possible causes: the user gave the peer access, the user changed the scope of this access,
#: or the peer redeemed a code twice and needs a new code. Arguments: ``link``.
access_granted = Signal()

#: This site, as party B, accepted and stored a reciprocal code from a peer
#: (draft-ietf-oauth-reciprocal-04, section 2.2.2). Arguments: ``link``.
handover_received = Signal()

#: A user started at this site to connect with a peer, and the attempt ended without a link.
#: Arguments: ``visit`` (the ``AuthorizationRequest``), ``peer``, ``problem`` (a value of
#: ``AuthorizationRequest.Problem``), ``error`` (the error code of the peer, or an empty text).
connection_failed = Signal()

#: A link now works in both directions. Arguments: ``link``.
linked_both_ways = Signal()

#: A link is complete in one direction: this site can call the peer, and the peer gets no access
#: here, because the user or a site does not want it or does not support it. Arguments: ``link``.
linked_one_way = Signal()

#: One direction of a link stopped working: this site can no longer call the peer (``outgoing``), or
#: the peer can no longer call this site (``incoming``). Arguments: ``link``, ``direction``
#: ("outgoing" or "incoming"), ``reason`` (a value of ``Link.Reason``).
direction_broken = Signal()

#: A link ended. Arguments: ``link``, ``reason`` (a value of ``Link.Reason``).
link_ended = Signal()

#: This site paused all deliveries to a peer. They wait until an administrator ends the pause.
#: Arguments: ``peer``, ``reason`` (a value of ``Link.Reason``).
peer_paused = Signal()

#: A delivery failed and is not tried again automatically. A delivery is the processing of a queue
#: row. Arguments: ``item`` (the row, an ``OutboxItem`` or ``InboxItem``).
delivery_failed = Signal()


def send_after_commit(signal: Signal, sender: type, **arguments: Any) -> None:
    """Send ``signal`` after the current transaction commits. If the transaction is rolled back, the
    signal is not sent. Without a transaction, the signal is sent immediately."""

    def send() -> None:
        for receiver, outcome in signal.send_robust(sender, **arguments):
            if isinstance(outcome, Exception):
                logger.error(
                    "Receiver %s of a signal failed: %s",
                    getattr(receiver, "__qualname__", receiver),
                    type(outcome).__name__,
                    exc_info=outcome,
                )

    on_commit(send)
