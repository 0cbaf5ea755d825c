"""All models of this app: the peers, the links between accounts, the two delivery queues (outbox
and inbox), the reciprocal codes that this site issued, and the history of each link."""

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
