"""The user allows or denies access for the peer (draft-ietf-oauth-reciprocal-04, section 2.2.1)."""

from collections.abc import Sequence

from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from .. import signals
from ..core import scopes
from ..core.database import atomic, tried_again
from ..links import grant_policy, incoming_access, lifecycle
from ..models import Link, OutboxItem, Party, Step
from ..models.events import NOT_ALLOWED, record_event
from . import snapshot as snapshots

State = OutboxItem.State


class CannotGrant(Exception):
    """The access cannot be granted: it was not asked for, is above the limit of the peer, or the
    link is in another state."""


class GrantForbidden(CannotGrant, grant_policy.ForbiddenBySite):
    """The site does not allow this user to give the peer access."""


def choices(link: Link) -> list[tuple[str, str]]:
    """Return the scopes that the user is asked for, with their descriptions: the scopes that the
    peer has asked for (draft-ietf-oauth-reciprocal-04, section 2.1), within its limit."""
    described = scopes.described()
    allowed = scopes.cut(link.offered_scope, link.peer.reciprocal_limit)
    return [(token, scopes.in_words(token, described)) for token in scopes.split(allowed)]


def can_answer(link: Link) -> bool:
    """Whether the user can be asked: the peer asks for a scope, and a code can be sent to it."""
    return (
        link.is_active
        and link.peer.enabled
        and link.peer.supports_reverse
        and link.outgoing_state == Link.Outgoing.ACTIVE
        and link.incoming_state
        in (Link.Incoming.OFFERED, Link.Incoming.DENIED, Link.Incoming.BROKEN)
        and bool(choices(link))
    )


def snapshot_of(link: Link) -> str:
    """Return a text that identifies what the consent page shows now. :func:`allow` compares it, to
    refuse an answer to an outdated page."""
    return snapshots.make_snapshot(
        link, link.incoming_state, [token for token, _words in choices(link)]
    )


def site_allows(link: Link, request: HttpRequest | None = None) -> bool:
    """Whether the site allows the user to grant any scope that the peer asks for."""
    asked = scopes.cut(link.offered_scope, link.peer.reciprocal_limit)
    return grant_policy.allows_link(link, asked, request)


@tried_again
def allow(
    link: Link,
    chosen: Sequence[str],
    *,
    snapshot: str | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Grant the peer the ``chosen`` scopes (draft-ietf-oauth-reciprocal-04, section 2.2.1). The
    decision and the hand-over are saved in one transaction.

    Without a chosen scope, this is :func:`deny`.

    :param snapshot: the :func:`snapshot_of` the page on which the user decided; ``None``: do not
        compare.
    :param request: the request of the user, for the rules of the site.
    :raises CannotGrant: the link has changed, the scopes were not asked for, or the page has shown
        something else. The database is not changed.
    :raises GrantForbidden: the site does not allow it.
    """
    if not chosen:
        deny(link)
        return
    if not grant_policy.allows_link(link, chosen, request):
        raise GrantForbidden(f"The site does not allow link {link.pk} to be granted this scope.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        granted = scopes.cut(locked.offered_scope, chosen, locked.peer.reciprocal_limit)
        if not can_answer(locked) or set(scopes.split(granted)) != set(chosen):
            raise CannotGrant(f"Link {link.pk} cannot be granted this scope.")
        if snapshot is not None and not snapshots.is_same(snapshot, snapshot_of(locked)):
            raise CannotGrant(f"Link {link.pk} has changed since the page was shown.")
        save_decision(locked, granted)
        incoming_access.narrow_tokens(locked)
        queue_handover(locked)
        record_event(locked, Step.CONSENT, party=Party.A, detail=f"scope: {granted}")
        signals.send_after_commit(signals.access_granted, Link, link=locked)
    link.refresh_from_db()


@tried_again
def deny(link: Link) -> None:
    """Deny the peer access: revoke its tokens and codes for ``link``, and cancel deliveries. Then
    only the outgoing direction of the link works."""
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if not locked.is_active:
            return
        lifecycle.cancel_deliveries(locked)
        incoming_access.revoke_incoming(locked)
        locked.incoming_state = Link.Incoming.DENIED
        locked.incoming_reason = ""
        locked.incoming_scope = ""
        locked.incoming_family = None
        locked.linked_at = None
        locked.save()
        record_event(locked, Step.CONSENT, party=Party.A, detail=NOT_ALLOWED)
    link.refresh_from_db()


def save_decision(link: Link, scope: str) -> None:
    """Save that the user grants ``scope``, as a new generation that is not yet handed over. The
    caller holds the lock of ``link``."""
    if link.has_lost_incoming_access:
        # The peer lost its tokens before this decision: the new code stays valid.
        link.incoming_family = None
    link.incoming_scope = scope
    link.incoming_state = Link.Incoming.GRANTED
    link.incoming_reason = ""
    link.generation = F("generation") + 1
    link.save()
    link.refresh_from_db()


def queue_handover(link: Link) -> OutboxItem:
    """Add a hand-over of the current generation of ``link`` to the outbox. If a
    hand-over of the link is already pending, it is reset and used, so that only the last decision
    is delivered."""
    now = timezone.now()
    item, _ = OutboxItem.objects.update_or_create(
        live_key=OutboxItem.live_key_of(link.pk),
        defaults={
            "kind": OutboxItem.Kind.HANDOVER,
            "peer": link.peer,
            "link": link,
            "generation": link.generation,
            "state": State.PENDING,
            "attempts": 0,
            "resends": 0,
            "next_attempt_at": now,
            "accepted_at": None,
            "lease_owner": None,
            "lease_until": None,
            "last_error": "",
            "reason": "",
        },
    )
    return item
