"""The user changes the scope that the peer has at this site (draft-ietf-oauth-reciprocal-04,
section 3).

If the user removes a scope, this site removes it from the existing tokens of the peer immediately.
If the user adds a scope, the peer gets it when it redeems a new reciprocal code. In both cases,
this site sends the peer a new reciprocal code for the whole new scope, as after the first consent.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from .. import signals
from ..core import scopes, telemetry
from ..core.database import atomic, tried_again
from ..links import grant_policy, incoming_access, lifecycle, outgoing_access
from ..models import Link, OutboxItem, Party, Step
from ..models.events import record_event
from . import snapshot as snapshots
from .consent import queue_handover, save_decision

#: The shortest time, in seconds, between two codes for the same link. It is six seconds, because a
#: peer that uses this app accepts at most ten codes a minute for one user by default.
PAUSE_SECONDS = 6

_CHANGEABLE = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE, Link.Incoming.BROKEN)


class CannotChange(Exception):
    """The scope cannot be changed, for one of these reasons: the link has ended, the peer has no
    access, this site does not let the peer have a chosen scope, or the page that the user saw is
    outdated."""


class ChangeForbidden(CannotChange, grant_policy.ForbiddenBySite):
    """The rules of this site do not allow this user to give the peer more access."""


def choices(link: Link) -> list[tuple[str, str]]:
    """Return the scopes that the user can choose for the peer, as pairs of name and description.
    If this site can send the peer a reciprocal code, these are all scopes that it lets the peer
    have. Otherwise the user can only remove scopes: these are the scopes that the peer has now."""
    described = scopes.described()
    return [(token, scopes.in_words(token, described)) for token in scopes.split(_limit(link))]


def chosen_now(link: Link) -> set[str]:
    """Return those scopes from :func:`choices` that the peer has now. The peer can also have scopes
    that the user cannot choose, such as scopes that this site no longer offers."""
    return {token for token, _described in choices(link)} & set(scopes.split(link.incoming_scope))


def can_change(link: Link) -> bool:
    """Return whether the scope of ``link`` can be changed.

    It cannot be changed after the peer has lost its access. Each change sends the peer a new
    reciprocal code, so the peer would get access again even if the user only wanted to remove a
    scope. To give the peer access again, the user can use the consent page (:mod:`.consent`).
    """
    has_some = link.peer.supports_reverse or link.incoming_family is not None
    is_changeable = (
        link.incoming_state in _CHANGEABLE and has_some and not link.has_lost_incoming_access
    )
    return link.is_active and is_changeable


def is_changeable(link: Link) -> bool:
    """Return whether the scope of ``link`` can be changed and the user has scopes to choose
    from."""
    return can_change(link) and bool(choices(link))


def snapshot_of(link: Link) -> str:
    """Return a hash of what the page for changing the scope shows now. The form of the page
    contains the hash, and :func:`change` refuses the change if the hash has changed."""
    offered = [token for token, _words in choices(link)]
    return snapshots.make_snapshot(link, offered, sorted(scopes.split(link.incoming_scope)))


@tried_again
def change(
    link: Link,
    chosen: Sequence[str],
    *,
    snapshot: str | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Set the scope that the peer has at this site to ``chosen``, and send the peer a new
    reciprocal code if possible (draft-ietf-oauth-reciprocal-04, section 3). If ``chosen`` is empty,
    end the link.

    All changes in the database are made in one transaction.

    :param snapshot: the value of :func:`snapshot_of` for the page on which the user decided, or
        ``None`` to skip this comparison.
    :param request: the HTTP request of the user, which the rules of this site can use.
    :raises CannotChange: the scope cannot be changed, for a reason that the class lists. The
        database is not changed.
    :raises ChangeForbidden: ``chosen`` has a new scope, and the rules of this site do not allow it.
    """
    if not chosen:
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        return
    adds = not set(chosen) <= set(scopes.split(link.incoming_scope))
    if adds and not grant_policy.allows_link(link, chosen, request):
        raise ChangeForbidden(f"The site does not allow link {link.pk} to be given this scope.")
    with telemetry.span(telemetry.Step.CONSENT, link.peer.slug), atomic():
        locked = lifecycle.lock_link(link.pk)
        granted, deliverable = scopes.join(chosen), can_deliver(locked)
        if not can_change(locked) or scopes.cut(granted, _limit(locked)) != granted:
            raise CannotChange(f"Link {link.pk} cannot be given this scope.")
        # Refuse a change from an outdated page. Such a page could grant a scope again that the user
        # has removed in another window.
        if snapshot is not None and not snapshots.is_same(snapshot, snapshot_of(locked)):
            raise CannotChange(f"Link {link.pk} has changed since the page was shown.")
        current = set(scopes.split(locked.incoming_scope))
        if current == set(chosen):
            return
        if deliverable:
            save_decision(locked, granted)
        else:
            locked.incoming_scope = granted
            locked.save(update_fields=["incoming_scope", "updated_at"])
        incoming_access.revoke_codes(locked)
        incoming_access.narrow_tokens(locked)
        if current - set(chosen):
            incoming_access.delete_unredeemed_logins(locked)
        record_event(locked, Step.CONSENT, party=Party.A, detail=f"changed to scope: {granted}")
        if deliverable:
            delay_after_last_code(locked, queue_handover(locked))
            signals.send_after_commit(signals.access_granted, Link, link=locked)
    link.refresh_from_db()


def _limit(link: Link) -> str:
    return link.peer.reciprocal_limit if can_deliver(link) else link.incoming_limit


def can_deliver(link: Link) -> bool:
    """Return whether this site can send a reciprocal code to the peer: see
    :func:`.outgoing_access.can_hand_over`."""
    return link.peer.enabled and outgoing_access.can_hand_over(link)


def delay_after_last_code(link: Link, item: OutboxItem) -> None:
    """Delay the outbox row ``item``, so that its code is sent to the peer at least
    :data:`PAUSE_SECONDS` after the last code of ``link`` was created."""
    last = link.codes.order_by("-created_at").values_list("created_at", flat=True).first()
    if last is not None:
        due = last + timedelta(seconds=PAUSE_SECONDS)
        if due > timezone.now():
            OutboxItem.objects.filter(pk=item.pk).update(next_attempt_at=due)
