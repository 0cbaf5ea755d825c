"""The user changes the scope of the incoming access (draft-ietf-oauth-reciprocal-04, section 3).

Removed scopes are removed from the existing tokens at once. Added scopes are granted with a new
code. In both cases the peer is sent a code for the whole new scope, as after a consent.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from .. import signals
from ..core import scopes
from ..core.database import atomic, tried_again
from ..links import grant_policy, incoming_access, lifecycle
from ..models import Link, OutboxItem, Party, Step
from ..models.events import record_event
from . import snapshot as snapshots
from .consent import queue_handover, save_decision

#: Shortest time, in seconds, between two codes for one link: a peer accepts ten codes a minute.
PAUSE_SECONDS = 6

_CHANGEABLE = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE, Link.Incoming.BROKEN)


class CannotChange(Exception):
    """The scope cannot be changed: the link has ended or gives the peer no access, the scopes are
    above its limit, or the link has changed since the page was shown."""


class ChangeForbidden(CannotChange, grant_policy.ForbiddenBySite):
    """The site does not allow this user to give the peer more access."""


def choices(link: Link) -> list[tuple[str, str]]:
    """Return the scopes that the user can choose, with their descriptions: all scopes within the
    limit of the peer, or only the current ones if no code can be sent to it."""
    described = scopes.described()
    return [(token, scopes.in_words(token, described)) for token in scopes.split(_limit(link))]


def chosen_now(link: Link) -> set[str]:
    """Return which of the :func:`choices` the peer has now. Its scope can contain more: ``openid``,
    or scopes that the site no longer offers."""
    return {token for token, _described in choices(link)} & set(scopes.split(link.incoming_scope))


def can_change(link: Link) -> bool:
    """Whether the scope of ``link`` can be changed.

    Not if the peer has lost its access: a new code would give it access again, although the user
    may only want to remove a scope. To allow access again, the user answers :mod:`.consent`.
    """
    has_some = link.peer.supports_reverse or link.incoming_family is not None
    is_changeable = (
        link.incoming_state in _CHANGEABLE and has_some and not link.has_lost_incoming_access
    )
    return link.is_active and is_changeable


def is_changeable(link: Link) -> bool:
    """Whether the scope can be changed and there are scopes to choose from."""
    return can_change(link) and bool(choices(link))


def snapshot_of(link: Link) -> str:
    """Return a text that identifies what the page for changing the scope shows now. :func:`change`
    compares it, to refuse a change from an outdated page."""
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
    """Set the scope of the incoming access to ``chosen``, and send the peer a new code
    (draft-ietf-oauth-reciprocal-04, section 3). Without a chosen scope, end the link.

    Scope, tokens, codes, generation and outbox row are changed in one transaction.

    :param snapshot: the :func:`snapshot_of` the page on which the user decided; ``None``: do not
        compare.
    :param request: the request of the user, for the rules of the site.
    :raises CannotChange: see there. The database is not changed.
    :raises ChangeForbidden: scopes are added, and the site does not allow it.
    """
    if not chosen:
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        return
    adds = not set(chosen) <= set(scopes.split(link.incoming_scope))
    if adds and not grant_policy.allows_link(link, chosen, request):
        raise ChangeForbidden(f"The site does not allow link {link.pk} to be given this scope.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        granted, deliverable = scopes.join(chosen), _can_deliver(locked)
        if not can_change(locked) or scopes.cut(granted, _limit(locked)) != granted:
            raise CannotChange(f"Link {link.pk} cannot be given this scope.")
        # Otherwise an old page could grant a scope again that was removed since.
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
        if not current <= set(chosen):
            incoming_access.delete_unredeemed_logins(locked)
        record_event(locked, Step.CONSENT, party=Party.A, detail=f"changed to scope: {granted}")
        if deliverable:
            delay_after_last_code(locked, queue_handover(locked))
            signals.send_after_commit(signals.access_granted, Link, link=locked)
    link.refresh_from_db()


def _limit(link: Link) -> str:
    return link.peer.reciprocal_limit if _can_deliver(link) else link.incoming_limit


def _can_deliver(link: Link) -> bool:
    """Whether a code can be sent: that takes an access token of the peer, which identifies the user
    there (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""
    is_reachable = link.peer.enabled and link.peer.supports_reverse
    return is_reachable and link.outgoing_state == Link.Outgoing.ACTIVE


def delay_after_last_code(link: Link, item: OutboxItem) -> None:
    """Delay ``item`` until :data:`PAUSE_SECONDS` after the last code of ``link``."""
    last = link.codes.order_by("-created_at").values_list("created_at", flat=True).first()
    if last is not None:
        due = last + timedelta(seconds=PAUSE_SECONDS)
        if due > timezone.now():
            OutboxItem.objects.filter(pk=item.pk).update(next_attempt_at=due)
