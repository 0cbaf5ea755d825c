"""Changes the state of a link: a direction breaks, both directions work, the link ends.

Each change is one conditional UPDATE, so that two workers that find the same problem announce it
once. Callers need no lock. The object that they pass is updated from the database.
"""

from typing import Any

from django.db.models import Q
from django.utils import timezone

from .. import signals
from ..core.database import atomic, tried_again
from ..models import InboxItem, Link, LinkEvent, OutboxItem, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..secret import Secret
from . import incoming_access

Reason = Link.Reason

#: The direction in which this site calls the peer, and the one in which the peer calls this site.
OUTGOING, INCOMING = "outgoing", "incoming"


def lock_link(pk: Any) -> Link:
    """Read the link and lock its row until the transaction ends.

    There is no join, because it would lock the row of the peer too: MariaDB has no
    ``FOR UPDATE OF``.

    :raises Link.DoesNotExist: the link was deleted.
    """
    return Link.objects.select_for_update().get(pk=pk)


def break_outgoing(link: Link, reason: str, detail: str = "", *, still: Q) -> bool:
    """Break the outgoing direction, and delete the stored tokens.

    :param still: a condition on the stored row, such as the tokens that do not work. The person
        may have connected again meanwhile, and newer tokens must stay.
    :returns: whether the direction was active, and the condition was true.
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
    """Break the outgoing direction because the addresses of the peer, or the client ID of this
    site, have changed: the stored tokens belong to the former ones. The token is revoked if the
    revocation endpoint still has a former address. The person has to connect again.

    :param link: a link that was just read from the database, with its peer.
    :returns: whether the direction was active.
    """
    token, bound_to = link.refresh_token or link.access_token, link.bound_to
    with atomic():
        unchanged = Q(bound_to=bound_to)
        if not break_outgoing(link, Reason.RECONFIGURED, still=unchanged):
            return False
        queue_revocation(link, token, bound_to=bound_to)
    return True


def break_incoming(link: Link, reason: str, detail: str = "") -> None:
    """Break the incoming direction: the code for the decision of the user was not redeemed."""
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
    """Revoke the codes of ``link``, and break the incoming direction. ``link`` is locked."""
    incoming_access.revoke_codes(link)
    break_incoming(link, reason)


def break_lost_incoming(link: Link, reason: str) -> None:
    """Break the incoming direction because the peer has lost its tokens at this site. The codes
    are revoked as well: they would give the peer new tokens. ``link`` is locked."""
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
    """Send the signal ``linked_both_ways`` if both directions work and it was not sent since one of
    them was broken. Call it in the transaction that completes the second direction, with ``link``
    up to date."""
    if not link.is_two_way:
        return
    changed = Link.objects.filter(pk=link.pk, linked_at__isnull=True).update(
        linked_at=timezone.now()
    )
    if changed:
        link.refresh_from_db(fields=["linked_at"])
        signals.send_after_commit(signals.linked_both_ways, Link, link=link)


@tried_again
def end_link(link: Link, reason: str, *, revoke_outgoing: bool) -> bool:
    """End ``link``: revoke the tokens of the peer, delete the tokens of this site, cancel all
    deliveries.

    :param revoke_outgoing: also revoke the token of this site at the peer, through the outbox
        (RFC 7009, section 2).
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
        locked.access_token = locked.refresh_token = Secret("")
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
    """Revoke all access of a link whose row is about to be deleted. The tokens of the peer are
    revoked, because nothing would limit them without the link; those of this site are revoked at
    the peer.

    :returns: whether a revocation was added to the outbox.
    """
    # Delete tokens whose revocation has failed: nobody will try again.
    link.outbox.exclude(state__in=OutboxItem.LIVE_STATES).update(token=Secret(""))
    # Lock the link before its tokens, as everywhere.
    if not Link.objects.select_for_update().filter(pk=link.pk, status=Link.Status.ACTIVE).exists():
        return False
    incoming_access.revoke_incoming(link)
    # The row must not refer to the link: Django has already collected the rows that it deletes.
    return revoke_outgoing and queue_revocation(link, keep_link=False)


def cancel_deliveries(link: Link) -> None:
    """Cancel the unfinished hand-overs of ``link``, in both queues."""
    cancel_handover(link)
    now = timezone.now()
    link.inbox.filter(state__in=InboxItem.LIVE_STATES).update(
        **InboxItem.final_values(InboxItem.State.CANCELLED, now), code=Secret("")
    )


def cancel_handover(link: Link) -> None:
    """Cancel the unfinished hand-over to the peer of ``link``."""
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
    """Add the revocation of an outgoing token to the outbox (RFC 7009, section 2.1).

    :param token: default: the refresh token of ``link``, or else its access token. When the
        refresh token is revoked, the peer also revokes the access tokens of the grant.
    :param bound_to: the binding of ``token``; default: that of the tokens of ``link``.
    :param keep_link: whether the row refers to ``link``.
    :returns: whether there is a token, and a revocation endpoint that it may be sent to.
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
