"""How a link changes: a direction breaks, both work, the link ends.

Each change is one conditional UPDATE, so that two workers which notice the same thing announce it
once. The callers hold no lock; where they do, the row they hold is brought up to date.
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

#: The direction in which we call the peer, and the one in which it calls us.
OUTGOING, INCOMING = "outgoing", "incoming"


def lock_link(pk: Any) -> Link:
    """The link's row, locked until the transaction ends.

    Without a join: the peer's row must stay free, and MariaDB knows no ``FOR UPDATE OF``.
    """
    return Link.objects.select_for_update().get(pk=pk)


def break_outgoing(link: Link, reason: str, detail: str = "", *, still: Q) -> bool:
    """Our access at the peer no longer works; its tokens are worthless and forgotten.

    :param still: what must still be stored: the tokens that do not work. The person may have
        connected anew while the peer was asked, and newer ones are not to blame.
    :returns: whether it was so, and the access had worked until now.
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
    """The peer is no longer where our access of ``link`` was given, or we are another client there:
    the tokens must not go there. They are revoked where they were given, if the peer still revokes
    there, and the person has to connect again.

    :param link: with its peer, both as they were just read.
    :returns: whether the access had worked until now.
    """
    token, bound_to = link.refresh_token or link.access_token, link.bound_to
    with atomic():
        unchanged = Q(bound_to=bound_to)
        if not break_outgoing(link, Reason.RECONFIGURED, still=unchanged):
            return False
        queue_revocation(link, token, bound_to=bound_to)
    return True


def break_incoming(link: Link, reason: str, detail: str = "") -> None:
    """What the user allowed could not be carried to the peer."""
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
    """The code on its way is no longer to be redeemed. ``link`` is locked."""
    incoming_access.revoke_codes(link)
    break_incoming(link, reason)


def break_lost_incoming(link: Link, reason: str) -> None:
    """The peer has lost the tokens that it held here. A code on its way would give it new ones, and
    is not to be redeemed any more. ``link`` is locked."""
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
    """Announce that both directions work, once per time that they begin to. Call it in the
    transaction that completed the second direction, with the link up to date."""
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
    """End ``link``: the peer's tokens here die at once, ours are forgotten, deliveries stop.

    :param revoke_outgoing: also revoke our token at the peer (RFC 7009), through the outbox.
    :returns: whether it was active before.
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
    """A link's row is about to go: the peer's tokens here die, since nothing would limit them any
    more, ours there are revoked, and none is kept for later.

    :returns: whether a revocation there now waits in the outbox.
    """
    # Those of earlier connections that could not be revoked: nobody has them revoked any more.
    link.outbox.exclude(state__in=OutboxItem.LIVE_STATES).update(token=Secret(""))
    # The link before its tokens, as everywhere.
    if not Link.objects.select_for_update().filter(pk=link.pk, status=Link.Status.ACTIVE).exists():
        return False
    incoming_access.revoke_incoming(link)
    # Without the link: Django has already collected what goes with it.
    return revoke_outgoing and queue_revocation(link, keep_link=False)


def cancel_deliveries(link: Link) -> None:
    """Stop every live hand-over of ``link``, in both queues."""
    cancel_handover(link)
    now = timezone.now()
    link.inbox.filter(state__in=InboxItem.LIVE_STATES).update(
        **InboxItem.final_values(InboxItem.State.CANCELLED, now), code=Secret("")
    )


def cancel_handover(link: Link) -> None:
    """Stop what is on its way to the peer of ``link``."""
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
    """Put the revocation of our token at the peer into the outbox, if it offers RFC 7009.

    :param token: default: the one of ``link``, the refresh token where there is one: with it the
        peer ends the whole grant (section 2.1).
    :param bound_to: for whom ``token`` is; default: as the tokens of ``link``.
    :returns: whether there is one to be revoked, where it may be sent.
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
