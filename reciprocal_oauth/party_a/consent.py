"""The consent: the user allows or denies that the peer accesses the user's data at this site
(draft-ietf-oauth-reciprocal-04, section 2.2.1)."""

from collections.abc import Sequence

from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from .. import signals
from ..core import scopes, telemetry
from ..core.database import atomic, tried_again
from ..links import grant_policy, incoming_access, lifecycle, outgoing_access
from ..models import Link, OutboxItem, Party, Step
from ..models.events import NOT_ALLOWED, record_event
from . import snapshot as snapshots

State = OutboxItem.State


class CannotGrant(Exception):
    """The user cannot grant this access, for one of these reasons: the peer has not asked for the
    scope, this site does not let the peer have the scope, the state of the link does not allow it,
    or the page that the user saw is outdated."""


class GrantForbidden(CannotGrant, grant_policy.ForbiddenBySite):
    """The rules of this site do not allow this user to give the peer access."""


def choices(link: Link) -> list[tuple[str, str]]:
    """Return the scopes that the consent page asks the user to allow, as pairs of name and
    description. These are the scopes that the peer has asked for (draft-ietf-oauth-reciprocal-04,
    section 2.1), without scopes that this site does not let the peer have."""
    described = scopes.described()
    allowed = scopes.cut(link.offered_scope, link.peer.reciprocal_limit)
    return [(token, scopes.in_words(token, described)) for token in scopes.split(allowed)]


def can_answer(link: Link) -> bool:
    """Return whether the user can answer the consent question of ``link`` now. All must be true:
    the peer has asked for a scope that this site offers, no decision of the user is in force or
    being delivered, and this site can send a reciprocal code."""
    return (
        link.is_active
        and link.peer.enabled
        and link.incoming_state
        in (Link.Incoming.OFFERED, Link.Incoming.DENIED, Link.Incoming.BROKEN)
        and outgoing_access.can_hand_over(link)
        and bool(choices(link))
    )


def snapshot_of(link: Link) -> str:
    """Return a hash of what the consent page shows now. The form of the page contains the hash, and
    :func:`allow` refuses the answer of the user if the hash has changed."""
    return snapshots.make_snapshot(
        link, link.incoming_state, [token for token, _words in choices(link)]
    )


def site_allows(link: Link, request: HttpRequest | None = None) -> bool:
    """Return whether the rules of this site allow the user to grant the peer all scopes that the
    consent page offers.

    :param request: the HTTP request of the user, which the rules of this site can use.
    """
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
    """Grant the peer the ``chosen`` scopes (draft-ietf-oauth-reciprocal-04, section 2.2.1). In the
    same transaction, add the hand-over to the outbox.

    If ``chosen`` is empty, deny the access (:func:`deny`).

    :param snapshot: the value of :func:`snapshot_of` for the page on which the user decided, or
        ``None`` to skip this comparison.
    :param request: the HTTP request of the user, which the rules of this site can use.
    :raises CannotGrant: the state of the link does not allow it, the peer has not asked for a
        chosen scope, or the page that the user saw is outdated. The database is not changed.
    :raises GrantForbidden: the rules of this site do not allow it.
    """
    if not chosen:
        deny(link)
        return
    if not grant_policy.allows_link(link, chosen, request):
        raise GrantForbidden(f"The site does not allow link {link.pk} to be granted this scope.")
    with telemetry.span(telemetry.Step.CONSENT, link.peer.slug), atomic():
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
    """Deny the peer access to the user's data (draft-ietf-oauth-reciprocal-04, section 2.2.1):
    revoke its tokens and codes for ``link``, and cancel the unfinished hand-overs. This site can
    still use its own access at the peer."""
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if not locked.is_active:
            return
        is_new = locked.incoming_state == Link.Incoming.OFFERED
        lifecycle.cancel_deliveries(locked)
        incoming_access.revoke_incoming(locked)
        locked.incoming_state = Link.Incoming.DENIED
        locked.incoming_reason = ""
        locked.incoming_scope = ""
        locked.incoming_family = None
        locked.linked_at = None
        locked.save()
        record_event(locked, Step.CONSENT, party=Party.A, detail=NOT_ALLOWED)
        if is_new:
            lifecycle.announce_one_way(locked)
    link.refresh_from_db()


def save_decision(link: Link, scope: str) -> None:
    """Save that the user grants ``scope``. Add one to ``link.generation``, which counts the
    decisions of the user. The caller must have locked ``link``, and must call
    :func:`queue_handover` afterwards, so that the peer gets a code for the decision."""
    if link.has_lost_incoming_access:
        # The peer has lost its tokens, for example because they were revoked. Delete their token
        # family from the link. Otherwise this app would find the loss again when the peer redeems
        # the new code, and would refuse the code.
        link.incoming_family = None
    link.incoming_scope = scope
    link.incoming_state = Link.Incoming.GRANTED
    link.incoming_reason = ""
    link.generation = F("generation") + 1
    link.save()
    link.refresh_from_db()


def queue_handover(link: Link) -> OutboxItem:
    """Add a hand-over to the outbox: a worker sends the peer a reciprocal code for the last
    decision of the user. If the outbox has an unfinished hand-over of ``link``, reset and use that
    row, so that only the last decision is delivered."""
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
            "trace_parent": telemetry.trace_parent(),
        },
    )
    return item
