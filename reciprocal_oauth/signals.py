"""Public signals. Each is sent after the transaction commits. An exception in a receiver is logged
and has no other effect. ``sender`` is the model class of the first argument.
"""

import logging
from typing import Any

from django.dispatch import Signal

from .core.database import on_commit

logger = logging.getLogger("reciprocal_oauth")

#: This site, as party A, has a code to hand over: the user gave a peer access or changed its scope,
#: or a code that was redeemed twice is replaced. Arguments: ``link``.
access_granted = Signal()

#: This site, as party B, accepted and stored a code from a peer. Arguments: ``link``.
handover_received = Signal()

#: A link now works in both directions. Arguments: ``link``.
linked_both_ways = Signal()

#: A direction stopped working. Arguments: ``link``, ``direction`` ("outgoing" or "incoming"),
#: ``reason`` (a value of ``Link.Reason``).
direction_broken = Signal()

#: A link ended. Arguments: ``link``, ``reason`` (a value of ``Link.Reason``).
link_ended = Signal()

#: Deliveries to a peer stop until an administrator resumes it. Arguments: ``peer``, ``reason`` (a
#: value of ``Link.Reason``).
peer_paused = Signal()

#: A delivery failed for good. Arguments: ``item`` (an ``OutboxItem`` or ``InboxItem``).
delivery_failed = Signal()


def send_after_commit(signal: Signal, sender: type, **arguments: Any) -> None:
    """Send ``signal`` when the current transaction commits; do not send it after a rollback."""

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
