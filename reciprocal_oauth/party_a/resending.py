"""What was given up is tried again, by an administrator or by the person whose link it is; and an
administrator stops what is under way."""

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
from .scope_changes import keep_apart

State = QueueItem.State
#: What a row must have come to, to be sent anew.
RESENDABLE_STATES = (State.FAILED, State.CANCELLED)
#: Why a hand-over was given up that may go through another time. Not among them: what an
#: administrator has stopped, and what would meet the same again.
_MAY_PASS = (
    Reason.UNREACHABLE,
    Reason.UNCONFIRMED,
    Reason.BAD_RESPONSE,
    Reason.HANDOVER_REFUSED,
    Reason.CREDENTIALS_REFUSED,
    Reason.GONE,
    Reason.PEER_DISABLED,
    Reason.USER_INACTIVE,
    Reason.NO_REVERSE,  # Once it has shown that it does.
)


class NotPossible(Exception):
    """What was wanted makes no sense for this row; ``str()`` tells the administrator why."""


def can_try_again(link: Link) -> bool:
    """Whether the person may have what they allowed sent once more: it was given up for a reason
    that may have passed, and nothing else is in its way."""
    return (
        link.is_active
        and link.peer.enabled
        and link.peer.supports_reverse
        and link.peer.paused_at is None
        and link.outgoing_state == Link.Outgoing.ACTIVE
        and link.incoming_state == Link.Incoming.BROKEN
        and link.incoming_reason in _MAY_PASS
        and link.confirmed_generation < link.generation
        and bool(scopes.without_openid(link.incoming_limit))
    )


@tried_again
def try_again(link: Link) -> None:
    """Send what the person allowed once more, after it was given up; the decision stays the same.

    Where it is on its way already, nothing happens: who presses twice sends one code. Two codes
    are ``updates.PAUSE_SECONDS`` apart, so that nobody can have a peer called in a loop.

    :raises NotPossible: see :func:`can_try_again`.
    """
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if locked.is_active and locked.incoming_state == Link.Incoming.GRANTED:
            return
        if not can_try_again(locked) or not locked.user.is_active:
            raise NotPossible(_("There is nothing to try again."))
        given_up = locked.outbox.filter(
            kind=OutboxItem.Kind.HANDOVER,
            generation=locked.generation,
            state=State.FAILED,
            reason=locked.incoming_reason,
        )
        row = given_up.order_by("-pk").first()
        if row is not None:
            resend(row)
        else:  # Cancelled while the peer was switched off, or pruned since.
            _put_on_its_way(locked)
            row = queue_handover(locked)
        keep_apart(locked, row)
        on_commit(lambda: dispatchers.wake(locked))
    link.refresh_from_db()


@tried_again
def resend(item: OutboxItem) -> None:
    """Begin anew with a row that was given up or cancelled: it has all its attempts again, and its
    link says that the decision is on its way. :func:`start` begins with it.

    :raises NotPossible: the row is under way or done, or the link has moved on.
    """
    with atomic():
        link, row = _lock(item)
        if row.state not in RESENDABLE_STATES:
            raise NotPossible(_("It was not given up."))
        if row.kind == OutboxItem.Kind.REVOCATION and not row.token:
            raise NotPossible(_("The token to revoke is no longer kept."))
        if row.kind == OutboxItem.Kind.HANDOVER:
            _send_anew(link, row)
        row.state, row.finished_at, row.next_attempt_at = State.PENDING, None, timezone.now()
        row.attempts = row.resends = 0
        row.accepted_at, row.last_error, row.reason = None, "", ""
        row.save()
    item.refresh_from_db()


def start() -> None:
    """Have workers begin with what is sent again, once that is committed."""
    on_commit(dispatchers.wake)


def _lock(item: OutboxItem) -> tuple[Link | None, OutboxItem]:
    """The row and, before it as everywhere, its link."""
    links = Link.objects.select_for_update()
    link = links.filter(pk=item.link_id).first() if item.link_id else None
    row = OutboxItem.objects.select_for_update().filter(pk=item.pk).first()
    if row is None:
        raise NotPossible(_("It is no longer there."))
    return link, row


def _send_anew(link: Link | None, row: OutboxItem) -> None:
    if link is None or not link.is_active:
        raise NotPossible(_("The link has ended."))
    # With another reason, something else has broken it since: a revocation by the person, say.
    is_why = link.incoming_state == Link.Incoming.BROKEN and link.incoming_reason == row.reason
    if row.generation != link.generation or not is_why:
        raise NotPossible(_("The person has decided anew since, or it has arrived after all."))
    if link.outgoing_state != Link.Outgoing.ACTIVE:
        raise NotPossible(
            _(
                "The access there no longer works, so nothing can be sent: the person has to "
                "connect again."
            )
        )
    if not link.peer.enabled or not link.user.is_active:
        raise NotPossible(_("The peer or the user is switched off."))
    row.live_key = OutboxItem.live_key_of(link.pk)
    _put_on_its_way(link)


def _put_on_its_way(link: Link) -> None:
    link.incoming_state, link.incoming_reason = Link.Incoming.GRANTED, ""
    link.save(update_fields=["incoming_state", "incoming_reason", "updated_at"])


@tried_again
def cancel(item: OutboxItem) -> None:
    """Stop a row that is under way. What is in the air cannot be called back, but a code that
    arrives is refused here.

    :raises NotPossible: it has ended.
    """
    with atomic():
        link, row = _lock(item)
        if row.state not in QueueItem.LIVE_STATES:
            raise NotPossible(_("It has ended already."))
        ended = OutboxItem.final_values(State.CANCELLED, timezone.now(), reason=Reason.STOPPED)
        # The token of a revocation is kept, so that it can still be sent, but not for longer than
        # the person's link.
        if link is None:
            ended["token"] = Secret("")
        OutboxItem.objects.filter(pk=row.pk).update(**ended, live_key=None)
        if row.kind == OutboxItem.Kind.HANDOVER and link is not None:
            lifecycle.fail_handover(link, Reason.STOPPED)
    item.refresh_from_db()


def resume(peer: Peer) -> Counter[str]:
    """End the pause of a peer, and begin anew with the rows that it was paused for.

    :returns: how many rows of each kind were given up for the same reason and are sent anew.
    """
    pausing.resume(peer)
    count: Counter[str] = Counter()
    for item in peer.outbox.filter(state=State.FAILED, reason__in=pausing.REASONS):
        try:
            resend(item)
        except NotPossible:
            continue  # Nobody waits for it any more.
        count[item.kind] += 1
    start()
    return count


def paused_among(items: Iterable[OutboxItem]) -> dict[Any, Peer]:
    """The peers of ``items`` that nothing is delivered to until they are resumed, by their key."""
    of_items = Peer.objects.filter(pk__in={item.peer_id for item in items})
    return of_items.filter(paused_at__isnull=False).in_bulk()
