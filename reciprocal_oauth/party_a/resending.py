"""Sends a failed delivery (a row of the outbox) to the peer again, because an administrator or the
user of the link has asked for it. An administrator can also cancel a delivery."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..core import scopes
from ..core.database import atomic, on_commit, tried_again
from ..delivery import dispatchers, pausing
from ..links import lifecycle, outgoing_access
from ..models import Link, OutboxItem, Peer, QueueItem, Reason
from ..secret import Secret
from .consent import queue_handover
from .scope_changes import delay_after_last_code

State = QueueItem.State
#: The states in which a row of the outbox can be sent again.
RESENDABLE_STATES = (State.FAILED, State.CANCELLED)
#: A user can send a hand-over again if it failed for one of these reasons. Two kinds of reasons are
#: not in this list: an administrator has cancelled the hand-over, or the hand-over would fail again
#: for the same reason.
_RETRYABLE_REASONS = (
    Reason.UNREACHABLE,
    Reason.PROXY_FAILED,
    Reason.UNCONFIRMED,
    Reason.BAD_RESPONSE,
    Reason.HANDOVER_REFUSED,
    Reason.CREDENTIALS_REFUSED,
    Reason.GONE,
    Reason.PEER_DISABLED,
    Reason.USER_INACTIVE,
    Reason.NO_REVERSE,  # can_try_again() also checks that the peer accepts codes now.
)


class NotPossible(Exception):
    """The row of the outbox cannot be sent again, or cannot be cancelled. ``str()`` returns the
    reason, for people."""


def can_try_again(link: Link) -> bool:
    """Return whether the user can send the failed hand-over of ``link`` again. All must be true:

    - The link is active, and its outgoing access works.
    - The hand-over failed for one of :data:`_RETRYABLE_REASONS`, and the peer has not redeemed a
      code for the newest decision of the user.
    - The scope that the peer can get contains more than ``openid``.
    - The peer is enabled, accepts hand-overs, and is not paused.
    """
    return (
        link.is_active
        and link.peer.enabled
        and link.peer.paused_at is None
        and outgoing_access.can_hand_over(link)
        and link.incoming_state == Link.Incoming.BROKEN
        and link.incoming_reason in _RETRYABLE_REASONS
        and link.confirmed_generation < link.generation
        and bool(scopes.without_openid(link.incoming_limit))
    )


@tried_again
def try_again(link: Link) -> None:
    """Send the failed hand-over of ``link`` again, because the user has asked for it. The scope
    that the user has granted does not change.

    Do nothing if the hand-over is already in the outbox, so that a double click sends only one
    code. The next code is sent at least ``scope_changes.PAUSE_SECONDS`` after the last code, so
    that a user cannot make this site send requests to the peer without a pause.

    :raises NotPossible: :func:`can_try_again` is false, or the user is not active.
    """
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if locked.is_active and locked.incoming_state == Link.Incoming.GRANTED:
            return
        if not can_try_again(locked) or not locked.user.is_active:
            raise NotPossible(_("There is no failed delivery that can be sent again now."))
        failed = locked.outbox.filter(
            kind=OutboxItem.Kind.HANDOVER,
            generation=locked.generation,
            state=State.FAILED,
            reason=locked.incoming_reason,
        )
        row = failed.order_by("-pk").first()
        if row is not None:
            resend(row)
        else:  # There is no failed row: it was cancelled, or ``reciprocal_prune`` has deleted it.
            _set_granted(locked)
            row = queue_handover(locked)
        delay_after_last_code(locked, row)
        on_commit(lambda: dispatchers.wake(locked))
    link.refresh_from_db()


@tried_again
def resend(item: OutboxItem) -> None:
    """Set a failed or cancelled row of the outbox to "pending", so that a worker sends it again.
    The row gets the full number of attempts again. If the row is a hand-over, the incoming state of
    its link becomes "granted". This function wakes no worker: the caller must do this afterwards,
    for example with :func:`wake_workers`.

    :raises NotPossible: the row is not failed or cancelled, its token is deleted, or the state of
        the link does not allow the hand-over.
    """
    with atomic():
        link, row = _lock_with_link(item)
        if row.state not in RESENDABLE_STATES:
            raise NotPossible(_("The delivery has not failed."))
        if row.kind == OutboxItem.Kind.REVOCATION and not row.token:
            raise NotPossible(_("The token to revoke was deleted."))
        if row.kind == OutboxItem.Kind.HANDOVER:
            _prepare_handover(link, row)
        row.state, row.finished_at, row.next_attempt_at = State.PENDING, None, timezone.now()
        row.attempts = row.resends = 0
        row.accepted_at, row.last_error, row.reason = None, "", ""
        row.save()
    item.refresh_from_db()


def wake_workers() -> None:
    """Make a worker look for due rows of the outbox when the current transaction is committed."""
    on_commit(dispatchers.wake)


def _lock_with_link(item: OutboxItem) -> tuple[Link | None, OutboxItem]:
    """Lock first the link of the outbox row ``item``, and then the row. All code of this app locks
    in this order, so that there is no deadlock.

    :returns: the link (``None`` if it was deleted) and the row, both read from the database again.
    :raises NotPossible: the row was deleted.
    """
    links = Link.objects.select_for_update()
    link = links.filter(pk=item.link_id).first() if item.link_id else None
    row = OutboxItem.objects.select_for_update().filter(pk=item.pk).first()
    if row is None:
        raise NotPossible(_("It no longer exists."))
    return link, row


def _prepare_handover(link: Link | None, row: OutboxItem) -> None:
    """Prepare a hand-over that is to be sent again:

    - Set the incoming state of the link to "granted".
    - Set ``live_key`` of the row. This column is unique, so the database ensures that a link has at
      most one unfinished hand-over. The caller saves the row.

    :raises NotPossible: the link has ended or changed, its outgoing access does not work, or the
        peer or the user is disabled.
    """
    if link is None or not link.is_active:
        raise NotPossible(_("The link has ended."))
    # Check that the incoming access is broken because this hand-over failed. If the link and the
    # row have different reasons, the peer lost its access later for another cause, for example
    # because somebody revoked its tokens.
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
    """Cancel a row of the outbox that is pending, claimed or accepted. If the row is a hand-over,
    revoke the code that was created for it, and mark the incoming access of the link as broken.

    :raises NotPossible: the row is already done, failed or cancelled, or it was deleted.
    """
    with atomic():
        link, row = _lock_with_link(item)
        if row.state not in QueueItem.LIVE_STATES:
            raise NotPossible(_("The delivery has ended already."))
        ended = OutboxItem.final_values(State.CANCELLED, timezone.now(), reason=Reason.STOPPED)
        # If the row is the revocation of a token, keep the token while the link exists, so that an
        # administrator can send the revocation again. Without a link, delete the token.
        if link is None:
            ended["token"] = Secret("")
        OutboxItem.objects.filter(pk=row.pk).update(**ended, live_key=None)
        if row.kind == OutboxItem.Kind.HANDOVER and link is not None:
            lifecycle.fail_handover(link, Reason.STOPPED)
    item.refresh_from_db()


def resume(peer: Peer) -> Counter[str]:
    """Resume the delivery to a paused peer. Send those of its outbox rows again that failed for one
    of the reasons in :data:`.pausing.REASONS`.

    :returns: the number of rows that are sent again, for each kind (hand-over or revocation).
    """
    pausing.resume(peer)
    count: Counter[str] = Counter()
    for item in peer.outbox.filter(state=State.FAILED, reason__in=pausing.REASONS):
        try:
            resend(item)
        except NotPossible:
            continue  # The delivery is no longer needed, for example because the link has ended.
        count[item.kind] += 1
    wake_workers()
    return count


def paused_peers_of(items: Iterable[OutboxItem]) -> dict[Any, Peer]:
    """Return the paused peers of the outbox rows ``items``, as a dictionary from the primary key to
    the peer."""
    of_items = Peer.objects.filter(pk__in={item.peer_id for item in items})
    return of_items.filter(paused_at__isnull=False).in_bulk()
