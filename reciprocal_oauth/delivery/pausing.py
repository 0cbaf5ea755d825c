"""A peer that refuses our credentials, or is gone, is left alone until an administrator has seen to
it: every further call would only be refused, and the rows lose nothing by waiting."""

import logging
from typing import Any

from django.utils import timezone

from .. import signals
from ..exceptions import PeerRefused
from ..models import Peer, Reason
from ..transactions import atomic
from .outcomes import Dead

logger = logging.getLogger("reciprocal_oauth.delivery")

#: Why, by the status that the peer answers with.
REASONS = {401: Reason.CREDENTIALS_REFUSED, 410: Reason.GONE}
#: What may be the cause of a pause: whoever changes one of these may have mended it.
CAUSES = frozenset(
    {
        "client_id",
        "client_secret",
        "token_endpoint_auth_method",
        "token_endpoint",
        "revocation_endpoint",
        "reciprocal_endpoint",
    }
)


def refuses_everything(error: PeerRefused) -> Dead | None:
    """What a refusal comes to that every other row would meet as well; ``None``: it is no such."""
    reason = REASONS.get(error.status)
    return Dead(str(error), reason, pauses_peer=True) if reason else None


def pause(peer_id: Any, reason: str) -> None:
    """Let the rows of a peer wait, in both queues. Announced once, after commit.

    :param reason: a :class:`~reciprocal_oauth.models.Reason`.
    """
    with atomic():
        paused = Peer.objects.filter(pk=peer_id, paused_at__isnull=True).update(
            paused_at=timezone.now(), paused_reason=reason
        )
        if not paused:
            return
        peer = Peer.objects.get(pk=peer_id)
        signals.send_after_commit(signals.peer_paused, Peer, peer=peer, reason=reason)
    logger.error(
        "Nothing is delivered to peer %s any more: %s. Correct what is wrong, then resume it.",
        peer.slug,
        Reason(reason).label,
        extra={"action": "peer_paused"},
    )


def resume(peer: Peer) -> bool:
    """Work on the rows of ``peer`` again.

    :returns: whether it was paused.
    """
    values = {"paused_at": None, "paused_reason": ""}
    resumed = Peer.objects.filter(pk=peer.pk, paused_at__isnull=False).update(**values)
    peer.paused_at, peer.paused_reason = None, ""
    return bool(resumed)
