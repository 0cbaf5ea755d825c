"""The models: peers, links, the two delivery queues, the ledger of codes and the history."""

from .events import LinkEvent, Party, Step
from .inbox import InboxItem
from .ledger import ReciprocalCode
from .links import AuthorizationRequest, Link
from .outbox import OutboxItem
from .peers import Peer
from .queue import ClaimGate, QueueItem
from .reasons import Reason

__all__ = [
    "AuthorizationRequest",
    "ClaimGate",
    "InboxItem",
    "LinkEvent",
    "Link",
    "OutboxItem",
    "Party",
    "Peer",
    "QueueItem",
    "Reason",
    "ReciprocalCode",
    "Step",
]
