"""A peer that refuses our credentials, or is gone, is left alone until an administrator has seen to
it: every further call would only be refused, and the rows lose nothing by waiting."""

import logging
from typing import Any

from django.utils import timezone

from .. import signals
from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, PeerRefused
from ..links import outgoing_access
from ..models import Peer, Reason

logger = logging.getLogger("reciprocal_oauth.delivery")

#: Why a peer may be paused.
REASONS = (Reason.CREDENTIALS_REFUSED, Reason.GONE)
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


def reason_in(refused: PeerRefused) -> Reason | None:
    """Why the token endpoint would refuse every other row as well; ``None``: it would not."""
    if refused.refuses_credentials:
        return Reason.CREDENTIALS_REFUSED
    return Reason.GONE if refused.status == 410 else None


@tried_again
def pause(peer: Peer, reason: str) -> bool:
    """Let the rows of a peer wait, in both queues. Announced once, after commit.

    :param peer: as it was called when it refused.
    :param reason: a :class:`~reciprocal_oauth.models.Reason`.
    :returns: whether it is paused now. Else one of :data:`CAUSES` has been changed while the
        refusal was in the air, which says nothing about what is stored now.
    """
    stored = Peer.objects.filter(pk=peer.pk).first()
    if stored is None or not _would_be_called_alike(stored, peer):
        return False
    alike = Peer.objects.filter(pk=peer.pk, **_causes(stored))
    values = {"paused_at": timezone.now(), "paused_reason": reason}
    with atomic():
        if not alike.filter(paused_at__isnull=True).update(**values):
            return alike.exists()
        paused = alike.get()
        signals.send_after_commit(signals.peer_paused, Peer, peer=paused, reason=reason)
    logger.error(
        "Nothing is delivered to peer %s any more: %s. Correct what is wrong, then resume it.",
        paused.slug,
        Reason(reason).label,
        extra={"action": "peer_paused"},
    )
    return True


def _causes(peer: Peer) -> dict[str, Any]:
    return {name: getattr(peer, name) for name in CAUSES}


def _would_be_called_alike(stored: Peer, called: Peer) -> bool:
    try:
        return _causes(stored) == _causes(called)
    except DecryptionError:
        return False  # It was written with a key that came later than what was sent.


@tried_again
def resume(peer: Peer) -> bool:
    """Work on the rows of ``peer`` again.

    :returns: whether it was paused.
    """
    outgoing_access.allow_refresh(peer)
    values = {"paused_at": None, "paused_reason": ""}
    resumed = Peer.objects.filter(pk=peer.pk, paused_at__isnull=False).update(**values)
    peer.paused_at, peer.paused_reason = None, ""
    return bool(resumed)
