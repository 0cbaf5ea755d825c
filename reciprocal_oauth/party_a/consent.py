"""The person allows the reverse, or does not (draft, "User Consent")."""

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
from . import snapshot

State = OutboxItem.State


class NothingToAllow(Exception):
    """The peer asks for nothing that it may hold here, or the link is not in a state to grant."""


class AllowingRefused(NothingToAllow, grant_policy.ForbiddenBySite):
    """The site does not let this person give the peer access."""


def choices(link: Link) -> list[tuple[str, str]]:
    """The scopes to ask for, with their descriptions: what the peer asked for and may hold now."""
    described = scopes.described()
    allowed = scopes.cut(link.offered_scope, link.peer.reciprocal_limit)
    return [(token, scopes.in_words(token, described)) for token in scopes.split(allowed)]


def can_answer(link: Link) -> bool:
    """Whether there is a question to answer: something is asked for, and a way to deliver."""
    return (
        link.is_active
        and link.peer.enabled
        and link.peer.supports_reverse
        and link.outgoing_state == Link.Outgoing.ACTIVE
        and link.incoming_state
        in (Link.Incoming.OFFERED, Link.Incoming.DENIED, Link.Incoming.BROKEN)
        and bool(choices(link))
    )


def shown(link: Link) -> str:
    """What a person is shown who is asked, for :func:`allow`."""
    return snapshot.take(link, link.incoming_state, [token for token, _words in choices(link)])


def site_allows(link: Link, request: HttpRequest | None = None) -> bool:
    """Whether the site lets the person give the peer anything of what it asks for."""
    asked = scopes.cut(link.offered_scope, link.peer.reciprocal_limit)
    return grant_policy.allows_link(link, asked, request)


@tried_again
def allow(
    link: Link,
    chosen: Sequence[str],
    *,
    answers: str | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Grant the peer the ``chosen`` scopes: link, generation and outbox row in one transaction.

    No scope chosen is a refusal.

    :param answers: what :func:`shown` gave for the page that is answered; ``None``: not checked.
    :param request: the person's, for the rules of the site.
    :raises NothingToAllow: meanwhile there is nothing to grant, it was not offered, or the person
        was shown something else. Nothing is changed then.
    :raises AllowingRefused: the site does not allow it.
    """
    if not chosen:
        deny(link)
        return
    if not grant_policy.allows_link(link, chosen, request):
        raise AllowingRefused(f"The site does not allow link {link.pk} to be granted this scope.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        granted = scopes.cut(locked.offered_scope, chosen, locked.peer.reciprocal_limit)
        if not can_answer(locked) or set(scopes.split(granted)) != set(chosen):
            raise NothingToAllow(f"Link {link.pk} cannot be granted this scope.")
        if answers is not None and not snapshot.is_same(answers, shown(locked)):
            raise NothingToAllow(f"Link {link.pk} is no longer what the person was shown.")
        decide_anew(locked, granted)
        incoming_access.narrow_tokens(locked)
        queue_handover(locked)
        record_event(locked, Step.CONSENT, party=Party.A, detail=f"scope: {granted}")
        signals.send_after_commit(signals.access_granted, Link, link=locked)
    link.refresh_from_db()


@tried_again
def deny(link: Link) -> None:
    """Keep the link one-way. What the peer held here before dies at once."""
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


def decide_anew(link: Link, scope: str) -> None:
    """Note a decision of the person that the peer is still to be told of. ``link`` is locked."""
    if link.has_lost_incoming_access:
        # What it held was taken away before this decision, not after it.
        link.incoming_family = None
    link.incoming_scope = scope
    link.incoming_state = Link.Incoming.GRANTED
    link.incoming_reason = ""
    link.generation = F("generation") + 1
    link.save()
    link.refresh_from_db()


def queue_handover(link: Link) -> OutboxItem:
    """Put "this link, this generation" into the outbox. A live row for the link takes it over and
    begins anew, so that the last decision is the one that arrives."""
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
