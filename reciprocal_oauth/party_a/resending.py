"""An administrator or the user of the link sends a failed delivery again. An administrator can also
cancel a delivery."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..core import scopes
from ..core.database import atomic, on_commit, tried_again
from ..delivery import dispatchers, pausing
from ..links import lifecycle
from ..models import Link, OutboxItem, Peer, QueueItem, Reason
from ..secret import Secret
from .consent import queue_handover
from .scope_changes import delay_after_last_code

State = QueueItem.State
#: States in which a row can be sent again.
RESENDABLE_STATES = (State.FAILED, State.CANCELLED)
#: Reasons after which a user can send a failed hand-over again. Not included: hand-overs that an
#: administrator has cancelled, and reasons that would make it fail again.
_RETRYABLE_REASONS = (
    Reason.UNREACHABLE,
    Reason.UNCONFIRMED,
    Reason.BAD_RESPONSE,
    Reason.HANDOVER_REFUSED,
    Reason.CREDENTIALS_REFUSED,
    Reason.GONE,
    Reason.PEER_DISABLED,
    Reason.USER_INACTIVE,
    Reason.NO_REVERSE,  # can_try_again() also checks supports_reverse.
)


class NotPossible(Exception):
    """The row cannot be sent again or cancelled. ``str()`` is the reason, for the administrator."""


def can_try_again(link: Link) -> bool:
    """Whether the user can send a failed hand-over again: it may succeed now, and the link and the
    peer are in a state to send."""
    return (
        link.is_active
        and link.peer.enabled
        and link.peer.supports_reverse
        and link.peer.paused_at is None
        and link.outgoing_state == Link.Outgoing.ACTIVE
        and link.incoming_state == Link.Incoming.BROKEN
        and link.incoming_reason in _RETRYABLE_REASONS
        and link.confirmed_generation < link.generation
        and bool(scopes.without_openid(link.incoming_limit))
    )


@tried_again
def try_again(link: Link) -> None:
    """Send a failed hand-over of ``link`` again. The decision of the user stays the same.

    Does nothing if the hand-over is already pending, so that a double click sends one code. Two
    codes are at least ``scope_changes.PAUSE_SECONDS`` apart, so that nobody can make this site call
    a peer in a loop.

    :raises NotPossible: :func:`can_try_again` is false, or the user is not active.
    """
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if locked.is_active and locked.incoming_state == Link.Incoming.GRANTED:
            return
        if not can_try_again(locked) or not locked.user.is_active:
            raise NotPossible(_("There is nothing to try again."))
        failed = locked.outbox.filter(
            kind=OutboxItem.Kind.HANDOVER,
            generation=locked.generation,
            state=State.FAILED,
            reason=locked.incoming_reason,
        )
        row = failed.order_by("-pk").first()
        if row is not None:
            resend(row)
        else:  # The row was cancelled while the peer was disabled, or was pruned.
            _set_granted(locked)
            row = queue_handover(locked)
        delay_after_last_code(locked, row)
        on_commit(lambda: dispatchers.wake(locked))
    link.refresh_from_db()


@tried_again
def resend(item: OutboxItem) -> None:
    """Make a failed or cancelled row pending again, with all its attempts, and set the state of its
    link accordingly. Call :func:`wake_workers` afterwards.

    :raises NotPossible: the row is in another state, or the link has changed.
    """
    with atomic():
        link, row = _lock_with_link(item)
        if row.state not in RESENDABLE_STATES:
            raise NotPossible(_("It has not failed."))
        if row.kind == OutboxItem.Kind.REVOCATION and not row.token:
            raise NotPossible(_("The token to revoke is no longer kept."))
        if row.kind == OutboxItem.Kind.HANDOVER:
            _prepare_handover(link, row)
        row.state, row.finished_at, row.next_attempt_at = State.PENDING, None, timezone.now()
        row.attempts = row.resends = 0
        row.accepted_at, row.last_error, row.reason = None, "", ""
        row.save()
    item.refresh_from_db()


def wake_workers() -> None:
    """Wake the dispatcher after the transaction is committed."""
    on_commit(dispatchers.wake)


def _lock_with_link(item: OutboxItem) -> tuple[Link | None, OutboxItem]:
    """Lock the link before the row (the lock order everywhere), and return both.

    :raises NotPossible: the row was deleted.
    """
    links = Link.objects.select_for_update()
    link = links.filter(pk=item.link_id).first() if item.link_id else None
    row = OutboxItem.objects.select_for_update().filter(pk=item.pk).first()
    if row is None:
        raise NotPossible(_("It no longer exists."))
    return link, row


def _prepare_handover(link: Link | None, row: OutboxItem) -> None:
    """Set the state of the link and the row for a hand-over that is sent again.

    :raises NotPossible: the link has ended or changed, or its outgoing access does not work.
    """
    if link is None or not link.is_active:
        raise NotPossible(_("The link has ended."))
    # If the reason differs, something else has broken the direction since, such as a revocation.
    is_why = link.incoming_state == Link.Incoming.BROKEN and link.incoming_reason == row.reason
    if row.generation != link.generation or not is_why:
        raise NotPossible(_("The person has made a newer decision, or the code has been redeemed."))
    if link.outgoing_state != Link.Outgoing.ACTIVE:
        raise NotPossible(
            _(
                "Our access at the peer no longer works, so no code can be sent: the person has to "
                "connect again."
            )
        )
    if not link.peer.enabled or not link.user.is_active:
        raise NotPossible(_("The peer or the user is disabled."))
    row.live_key = OutboxItem.live_key_of(link.pk)
    _set_granted(link)


def _set_granted(link: Link) -> None:
    link.incoming_state, link.incoming_reason = Link.Incoming.GRANTED, ""
    link.save(update_fields=["incoming_state", "incoming_reason", "updated_at"])


@tried_again
def cancel(item: OutboxItem) -> None:
    """Cancel a row that is pending, claimed or accepted. A code that was already sent is revoked.

    :raises NotPossible: the row has ended.
    """
    with atomic():
        link, row = _lock_with_link(item)
        if row.state not in QueueItem.LIVE_STATES:
            raise NotPossible(_("It has ended already."))
        ended = OutboxItem.final_values(State.CANCELLED, timezone.now(), reason=Reason.STOPPED)
        # Keep the token of a revocation, so that it can be sent again, but only while the link
        # exists.
        if link is None:
            ended["token"] = Secret("")
        OutboxItem.objects.filter(pk=row.pk).update(**ended, live_key=None)
        if row.kind == OutboxItem.Kind.HANDOVER and link is not None:
            lifecycle.fail_handover(link, Reason.STOPPED)
    item.refresh_from_db()


def resume(peer: Peer) -> Counter[str]:
    """Resume the delivery to a peer, and send the rows again that failed for reasons of a pause.

    :returns: the number of rows that are sent again, by kind.
    """
    pausing.resume(peer)
    count: Counter[str] = Counter()
    for item in peer.outbox.filter(state=State.FAILED, reason__in=pausing.REASONS):
        try:
            resend(item)
        except NotPossible:
            continue  # The row is no longer needed.
        count[item.kind] += 1
    wake_workers()
    return count


def paused_peers_of(items: Iterable[OutboxItem]) -> dict[Any, Peer]:
    """Return the paused peers of ``items`` by their key."""
    of_items = Peer.objects.filter(pk__in={item.peer_id for item in items})
    return of_items.filter(paused_at__isnull=False).in_bulk()
