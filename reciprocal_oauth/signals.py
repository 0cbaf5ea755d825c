"""Public signals. All are sent after commit, with ``send_robust``: a receiver that fails is
logged and changes nothing. ``sender`` is the model class of the first argument.
"""

import logging
from typing import Any

from django.dispatch import Signal

from .core.database import on_commit

logger = logging.getLogger("reciprocal_oauth")

#: As party A, there is a code to hand over: a user allowed a peer a scope here, or changed what it
#: may do, or a code that was redeemed twice is replaced. Arguments: ``link``.
access_granted = Signal()

#: A peer handed a code over to us, and we keep it. Arguments: ``link``.
handover_received = Signal()

#: Both directions of a link work. Arguments: ``link``.
linked_both_ways = Signal()

#: A direction stopped working. Arguments: ``link``, ``direction`` ("outgoing" or "incoming"),
#: ``reason`` (a value of ``Link.Reason``).
direction_broken = Signal()

#: A link was ended. Arguments: ``link``, ``reason``.
link_ended = Signal()

#: Nothing is delivered to a peer any more until an administrator resumes it. Arguments: ``peer``,
#: ``reason`` (a value of ``Link.Reason``).
peer_paused = Signal()

#: A delivery was given up. Arguments: ``item`` (an ``OutboxItem`` or ``InboxItem``).
delivery_failed = Signal()


def send_after_commit(signal: Signal, sender: type, **arguments: Any) -> None:
    """Send ``signal`` once the running transaction is committed; never if it rolls back."""

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
