"""Pauses the delivery to a peer that refuses the credentials of this site, or whose endpoint no
longer exists. An administrator resumes the delivery. Until then, every other request would fail for
the same reason, so the rows wait in the queues."""

import logging
from typing import Any

from django.utils import timezone

from .. import signals
from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, PeerRefused
from ..links import outgoing_access
from ..models import Peer, Reason

logger = logging.getLogger("reciprocal_oauth.delivery")

#: The reasons for which the delivery to a peer is paused.
REASONS = (Reason.CREDENTIALS_REFUSED, Reason.GONE)
#: The fields of a peer whose wrong value can make the peer refuse all requests. After a change of
#: one of these fields, the peer may accept requests again.
RELEVANT_FIELDS = frozenset(
    {
        "client_id",
        "client_secret",
        "token_endpoint_auth_method",
        "issuer",
        "assertion_audience",
        "assertion_algorithm",
        "token_endpoint",
        "revocation_endpoint",
        "reciprocal_endpoint",
    }
)


def pause_reason(error: PeerRefused) -> Reason | None:
    """Return the reason to pause the peer if ``error`` means that the peer refuses every request of
    this site or that an endpoint is gone (RFC 9110, section 15.5.11); otherwise ``None``."""
    if error.refuses_credentials:  # The error code ``invalid_client`` (RFC 6749, section 5.2).
        return Reason.CREDENTIALS_REFUSED
    return Reason.GONE if error.status == 410 else None


@tried_again
def pause(peer: Peer, reason: str) -> bool:
    """Pause the delivery to a peer, in both queues (outbox and inbox). If the peer was not paused
    yet, send the signal ``peer_paused`` after the commit.

    :param peer: the peer with the field values that were used for the refused request.
    :param reason: a value of :class:`~reciprocal_oauth.models.Reason`.
    :returns: whether the peer is paused now. ``False`` if the peer was deleted, or if one of
        :data:`RELEVANT_FIELDS` was changed after the request was sent: with the new values, the
        peer may accept the request.
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
        # This process could decrypt the client secret for the request, but it cannot decrypt the
        # secret that is stored now. So the secret was changed after the request was sent.
        return False


@tried_again
def resume(peer: Peer) -> bool:
    """Resume the delivery to ``peer``. This site may then refresh its tokens at the peer again.

    :returns: whether the delivery was paused before.
    """
    outgoing_access.allow_refresh(peer)
    values = {"paused_at": None, "paused_reason": ""}
    resumed = Peer.objects.filter(pk=peer.pk, paused_at__isnull=False).update(**values)
    peer.paused_at, peer.paused_reason = None, ""
    return bool(resumed)
