"""Changes the state of a link when a direction stops working, when both directions work, and when
the link ends.

A function changes the link in the database only if the link is still in the expected state. So if
two workers find the same problem, only one of them changes the link and sends the signal. The
caller needs no lock, except if the docstring of the function requires one. The function also
updates the ``link`` object that the caller passes.
"""

from typing import Any

from django.db.models import Q
from django.utils import timezone

from .. import signals
from ..core import telemetry
from ..core.database import atomic, tried_again
from ..models import InboxItem, Link, LinkEvent, OutboxItem, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..secret import Secret
from . import incoming_access

Reason = Link.Reason

#: The two directions of a link. Outgoing: this site calls the peer. Incoming: the peer calls this
#: site.
OUTGOING, INCOMING = "outgoing", "incoming"


def lock_link(pk: Any) -> Link:
    """Read the link, and lock it in the database until the transaction ends.

    The query has no join with the peer. A join would also lock the row of the peer, because MariaDB
    has no ``FOR UPDATE OF``.

    :raises Link.DoesNotExist: the link was deleted.
    """
    return Link.objects.select_for_update().get(pk=pk)


def break_outgoing(link: Link, reason: str, detail: str = "", *, still: Q) -> bool:
    """Mark the outgoing direction of ``link`` as broken, and delete the stored tokens.

    :param still: a condition that the stored row must meet, for example that it contains the tokens
        that the peer has refused. If the user has just connected again, the row contains newer
        tokens, which must not be deleted.
    :returns: ``True`` if the row was changed; ``False`` if the direction was not active, or if the
        row does not meet ``still``.
    """
    return _break_direction(
        link,
        OUTGOING,
        reason,
        detail,
        still,
        from_state=Link.Outgoing.ACTIVE,
        to_state=Link.Outgoing.BROKEN,
        access_token=Secret(""),
        refresh_token=Secret(""),
        access_token_expires_at=None,
    )


def break_reconfigured(link: Link) -> bool:
    """Mark the outgoing direction of ``link`` as broken, because the addresses of the peer or the
    client ID of this site have changed. The stored tokens were issued before this change, so the
    user has to connect again. Also revoke the tokens at the peer, if the client ID has not changed
    and the revocation endpoint is at an origin that the tokens belong to.

    :param link: a link that was just read from the database, together with its peer.
    :returns: whether the outgoing direction was active.
    """
    token, bound_to = link.refresh_token or link.access_token, link.bound_to
    with atomic():
        unchanged = Q(bound_to=bound_to)
        if not break_outgoing(link, Reason.RECONFIGURED, still=unchanged):
            return False
        queue_revocation(link, token, bound_to=bound_to)
    return True


def break_incoming(link: Link, reason: str, detail: str = "") -> None:
    """Mark the incoming direction of ``link`` as broken, because the hand-over for the newest
    decision of the user has failed or was cancelled."""
    _break_direction(
        link,
        INCOMING,
        reason,
        detail,
        Q(),
        from_state=Link.Incoming.GRANTED,
        to_state=Link.Incoming.BROKEN,
    )


def fail_handover(link: Link, reason: str) -> None:
    """Mark the incoming direction of ``link`` as broken, because this site could not deliver a
    reciprocal code. Also revoke the codes that the peer has not redeemed. The caller has locked
    ``link``."""
    incoming_access.revoke_codes(link)
    break_incoming(link, reason)


def break_lost_incoming(link: Link, reason: str) -> None:
    """Mark the incoming direction of ``link`` as broken, because the peer has lost its tokens at
    this site. Also revoke the reciprocal codes of ``link``, because the peer could get new tokens
    with them. The caller has locked the row of ``link``."""
    incoming_access.revoke_codes(link)
    cancel_handover(link)
    _break_direction(
        link,
        INCOMING,
        reason,
        "",
        Q(),
        from_state=link.incoming_state,
        to_state=Link.Incoming.BROKEN,
        linked_at=None,
    )


@tried_again
def _break_direction(
    link: Link,
    direction: str,
    reason: str,
    detail: str,
    still: Q,
    *,
    from_state: str,
    to_state: str,
    **values: Any,
) -> bool:
    state, why = f"{direction}_state", f"{direction}_reason"
    with atomic():
        changed = Link.objects.filter(
            still, pk=link.pk, status=Link.Status.ACTIVE, **{state: from_state}
        ).update(**{state: to_state, why: reason}, updated_at=timezone.now(), **values)
        if not changed:
            return False
        link.refresh_from_db()
        record_event(
            link, Step.NONE, outcome=LinkEvent.Outcome.FAILED, detail=detail or str(reason)
        )
        signals.send_after_commit(
            signals.direction_broken, Link, link=link, direction=direction, reason=reason
        )
    return True


def announce_two_way(link: Link) -> None:
    """Send the signal ``linked_both_ways`` if both directions of ``link`` work and ``linked_at`` is
    empty. Then set ``linked_at``, so that the signal is sent only once. (``linked_at`` is emptied
    when, for example, the peer loses its access, so that the signal can be sent again.)

    Call this function in the transaction in which the second direction begins to work. ``link``
    must have the values of the stored row.
    """
    if not link.is_two_way:
        return
    changed = Link.objects.filter(pk=link.pk, linked_at__isnull=True).update(
        linked_at=timezone.now()
    )
    if changed:
        link.refresh_from_db(fields=["linked_at"])
        signals.send_after_commit(signals.linked_both_ways, Link, link=link)


def announce_one_way(link: Link) -> None:
    """Send the signal ``linked_one_way`` if this site can call the peer. Call this function in the
    transaction that decides that the peer gets no access at this site."""
    if link.outgoing_state == Link.Outgoing.ACTIVE:
        signals.send_after_commit(signals.linked_one_way, Link, link=link)


@tried_again
def end_link(link: Link, reason: str, *, revoke_outgoing: bool) -> bool:
    """End ``link``. Revoke the tokens of the peer at this site, delete the stored tokens of this
    site, and cancel the hand-overs of reciprocal codes in both directions.

    :param revoke_outgoing: whether to also revoke the token of this site at the peer. The outbox
        delivers this revocation (RFC 7009, section 2).
    :returns: whether the link was active.
    :raises Link.DoesNotExist: the link was deleted.
    """
    with atomic():
        locked = lock_link(link.pk)
        if not locked.is_active:
            return False
        if revoke_outgoing:
            queue_revocation(locked)
        locked.status = Link.Status.ENDED
        locked.ended_at = timezone.now()
        locked.outgoing_state = Link.Outgoing.ENDED
        locked.incoming_state = Link.Incoming.ENDED
        locked.outgoing_reason = locked.incoming_reason = reason
        locked.access_token = locked.refresh_token = locked.peer_data = Secret("")
        locked.access_token_expires_at = None
        locked.incoming_scope = locked.offered_scope = ""
        incoming_access.revoke_incoming(locked)
        locked.incoming_family = None
        locked.linked_at = None
        locked.save()
        cancel_deliveries(locked)
        record_event(locked, Step.NONE, detail=str(reason))
        signals.send_after_commit(signals.link_ended, Link, link=locked, reason=reason)
    link.refresh_from_db()
    return True


def revoke_before_deletion(link: Link, *, revoke_outgoing: bool) -> bool:
    """Revoke all access of a link whose row is about to be deleted. The tokens of the peer at this
    site must be revoked now. Without the link, this app would not limit the scope of these tokens,
    and would not revoke them later.

    :param revoke_outgoing: whether to also revoke the token of this site at the peer.
    :returns: whether a revocation at the peer was added to the outbox.
    """
    # Delete the tokens whose revocation has failed, because nobody will try to revoke them again.
    link.outbox.exclude(state__in=OutboxItem.LIVE_STATES).update(token=Secret(""))
    # Lock the row of the link first, and change the rows of its tokens after that. All code of this
    # app uses this order, to avoid deadlocks.
    if not Link.objects.select_for_update().filter(pk=link.pk, status=Link.Status.ACTIVE).exists():
        return False
    incoming_access.revoke_incoming(link)
    # The new revocation must not refer to the link (``keep_link=False``). Django has already made
    # its list of the rows whose reference to the link it sets to null. The new row is not in this
    # list, so its reference would point to a deleted link.
    return revoke_outgoing and queue_revocation(link, keep_link=False)


def cancel_deliveries(link: Link) -> None:
    """Cancel the unfinished hand-overs of ``link``: the reciprocal code that this site sends to the
    peer (in the outbox), and the reciprocal codes that the peer sent to this site (in the
    inbox)."""
    cancel_handover(link)
    now = timezone.now()
    link.inbox.filter(state__in=InboxItem.LIVE_STATES).update(
        **InboxItem.final_values(InboxItem.State.CANCELLED, now), **InboxItem.without_secrets()
    )


def cancel_handover(link: Link) -> None:
    """Cancel the unfinished hand-over of ``link`` in the outbox (the delivery of a reciprocal code
    to the peer)."""
    cancelled = OutboxItem.final_values(OutboxItem.State.CANCELLED, timezone.now())
    link.outbox.filter(kind=OutboxItem.Kind.HANDOVER, state__in=OutboxItem.LIVE_STATES).update(
        **cancelled, live_key=None
    )


def queue_revocation(
    link: Link,
    token: Secret | None = None,
    *,
    bound_to: str | None = None,
    keep_link: bool = True,
) -> bool:
    """Add a row to the outbox that revokes a token of this site at the peer (RFC 7009, section
    2.1). Do nothing if there is no token, if the peer has no revocation endpoint, or if the token
    belongs to another client ID or another address.

    :param token: the token to revoke; if ``None``, the refresh token of ``link`` or, if it has no
        refresh token, its access token. If a refresh token is revoked, the peer should also revoke
        the access tokens that come from the same grant.
    :param bound_to: the client ID and the addresses that ``token`` belongs to; if ``None``, the
        value that ``link`` stores for its tokens.
    :param keep_link: ``True``: the new row refers to ``link``. ``False``: it refers to no link,
        because ``link`` was deleted or is about to be.
    :returns: whether a row was added.
    """
    token = token or link.refresh_token or link.access_token
    bound_to = link.bound_to if bound_to is None else bound_to
    url = link.peer.revocation_endpoint
    if not token or not url or not is_bound(bound_to, link.peer, url):
        return False
    OutboxItem.objects.create(
        kind=OutboxItem.Kind.REVOCATION,
        peer=link.peer,
        link=link if keep_link else None,
        token=token,
        bound_to=bound_to,
        trace_parent=telemetry.trace_parent(),
    )
    return True


__all__ = [
    "INCOMING",
    "OUTGOING",
    "Reason",
    "revoke_before_deletion",
    "break_incoming",
    "break_outgoing",
    "cancel_deliveries",
    "cancel_handover",
    "end_link",
    "break_reconfigured",
    "lock_link",
    "break_lost_incoming",
    "announce_two_way",
    "queue_revocation",
    "fail_handover",
]
