"""All models of this app: the peers, the links between accounts, the two delivery queues (outbox
and inbox), the reciprocal codes that this site issued, the history of each link, the pairings with
other sites, the keys of this site, the signs of life of the workers, and the mails to people."""

from .events import LinkEvent, Party, Step
from .heartbeats import Heartbeat
from .inbox import InboxItem
from .ledger import ReciprocalCode
from .links import AuthorizationRequest, Link
from .notices import Notice
from .outbox import OutboxItem
from .pairings import Pairing
from .peer_display import PeerLogo
from .peer_keys import PeerAuthentication, SigningAlgorithm
from .peers import Peer
from .queue import ClaimGate, QueueItem
from .reasons import Reason
from .site_keys import PeerKeySet, SiteKey, UsedAssertion

__all__ = [
    "AuthorizationRequest",
    "ClaimGate",
    "Heartbeat",
    "InboxItem",
    "LinkEvent",
    "Link",
    "Notice",
    "OutboxItem",
    "Pairing",
    "Party",
    "Peer",
    "PeerAuthentication",
    "PeerKeySet",
    "PeerLogo",
    "QueueItem",
    "Reason",
    "ReciprocalCode",
    "SigningAlgorithm",
    "SiteKey",
    "Step",
    "UsedAssertion",
]
