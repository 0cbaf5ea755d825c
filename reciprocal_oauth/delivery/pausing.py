"""Pauses a peer that refuses our credentials or whose endpoint no longer exists, until an
administrator resumes it. Every further request would be refused, and the rows can wait."""

import logging
from typing import Any

from django.utils import timezone

from .. import signals
from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, PeerRefused
from ..links import outgoing_access
from ..models import Peer, Reason

logger = logging.getLogger("reciprocal_oauth.delivery")

#: The reasons for which a peer is paused.
REASONS = (Reason.CREDENTIALS_REFUSED, Reason.GONE)
#: Fields of a peer that can be the cause of a refusal. A change of one of them may have fixed it.
RELEVANT_FIELDS = frozenset(
    {
        "client_id",
        "client_secret",
        "token_endpoint_auth_method",
        "token_endpoint",
        "revocation_endpoint",
        "reciprocal_endpoint",
    }
)


def pause_reason(error: PeerRefused) -> Reason | None:
    """Return why the token endpoint would refuse all other rows too; ``None``: it would not."""
    if error.refuses_credentials:  # invalid_client: RFC 6749, section 5.2.
        return Reason.CREDENTIALS_REFUSED
    return Reason.GONE if error.status == 410 else None


@tried_again
def pause(peer: Peer, reason: str) -> bool:
    """Pause the delivery to a peer, in both queues. The signal ``peer_paused`` is sent once, after
    commit.

    :param peer: with the field values that the refused request was sent with.
    :param reason: a :class:`~reciprocal_oauth.models.Reason`.
    :returns: whether the peer is paused now. ``False``: one of :data:`RELEVANT_FIELDS` was changed
        after the request was sent, so the refusal says nothing about the stored values.
    """
    stored = Peer.objects.filter(pk=peer.pk).first()
    if stored is None or not _has_same_values(stored, peer):
        return False
    unchanged = Peer.objects.filter(pk=peer.pk, **_relevant_values(stored))
    values = {"paused_at": timezone.now(), "paused_reason": reason}
    with atomic():
        if not unchanged.filter(paused_at__isnull=True).update(**values):
            return unchanged.exists()
        paused = unchanged.get()
        signals.send_after_commit(signals.peer_paused, Peer, peer=paused, reason=reason)
    logger.error(
        "Nothing is delivered to peer %s any more: %s. Correct the cause, then resume the peer.",
        paused.slug,
        Reason(reason).label,
        extra={"action": "peer_paused"},
    )
    return True


def _relevant_values(peer: Peer) -> dict[str, Any]:
    return {name: getattr(peer, name) for name in RELEVANT_FIELDS}


def _has_same_values(stored: Peer, called: Peer) -> bool:
    try:
        return _relevant_values(stored) == _relevant_values(called)
    except DecryptionError:
        # The secret was stored after the request, with a key that this process does not have.
        return False


@tried_again
def resume(peer: Peer) -> bool:
    """Resume the delivery to ``peer``.

    :returns: whether the peer was paused.
    """
    outgoing_access.allow_refresh(peer)
    values = {"paused_at": None, "paused_reason": ""}
    resumed = Peer.objects.filter(pk=peer.pk, paused_at__isnull=False).update(**values)
    peer.paused_at, peer.paused_reason = None, ""
    return bool(resumed)
