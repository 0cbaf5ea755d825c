"""The person changes what the peer may do here (draft, "Authorization Update Flow").

Less takes effect at once, on the tokens that exist; more only with the new code. Either way the
peer is sent a code for the whole of what it may do now, as after a consent.
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
from . import snapshot
from .consent import decide_anew, queue_handover

#: Seconds between two codes for one link. Who changes his mind often sends the last decision: ten
#: codes a minute are all that a peer takes.
PAUSE_SECONDS = 6

_CHANGEABLE = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE, Link.Incoming.BROKEN)


class CannotChange(Exception):
    """The link has ended, gives the peer nothing or no longer, cannot give it what was chosen, or
    has changed since the person saw it."""


class ChangeRefused(CannotChange, grant_policy.ForbiddenBySite):
    """The site does not let this person give the peer more."""


def choices(link: Link) -> list[tuple[str, str]]:
    """The scopes that can be chosen, with their descriptions: all that the peer may hold here, or
    what it has where it cannot be sent a code."""
    described = scopes.described()
    return [(token, scopes.in_words(token, described)) for token in scopes.split(_limit(link))]


def chosen_now(link: Link) -> set[str]:
    """Those of the :func:`choices` that the peer has. It may have more: ``openid``, or what the
    site has withdrawn."""
    return {token for token, _described in choices(link)} & set(scopes.split(link.incoming_scope))


def can_change(link: Link) -> bool:
    """Whether there is something to change. Not where the peer has lost its access here: a new code
    would give it some again, even to who takes more away. Allowing it again is a question of its
    own (:mod:`.consent`)."""
    has_some = link.peer.supports_reverse or link.incoming_family is not None
    is_changeable = (
        link.incoming_state in _CHANGEABLE and has_some and not link.has_lost_incoming_access
    )
    return link.is_active and is_changeable


def is_changeable(link: Link) -> bool:
    """Whether a person has anything to choose from."""
    return can_change(link) and bool(choices(link))


def shown(link: Link) -> str:
    """What a person is shown who may change something, for :func:`change`."""
    offered = [token for token, _words in choices(link)]
    return snapshot.take(link, offered, sorted(scopes.split(link.incoming_scope)))


@tried_again
def change(
    link: Link,
    chosen: Sequence[str],
    *,
    answers: str | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Let the peer do what is ``chosen``, and nothing else. No scope chosen ends the link.

    One transaction: scope, live tokens, unredeemed codes, generation and outbox row.

    :param answers: what :func:`shown` gave for the page that is answered; ``None``: not checked.
    :param request: the person's, for the rules of the site.
    :raises CannotChange: nothing is changed then.
    :raises ChangeRefused: the site does not allow more.
    """
    if not chosen:
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        return
    adds = not set(chosen) <= set(scopes.split(link.incoming_scope))
    if adds and not grant_policy.allows_link(link, chosen, request):
        raise ChangeRefused(f"The site does not allow link {link.pk} to be given this scope.")
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        granted, deliverable = scopes.join(chosen), _can_deliver(locked)
        if not can_change(locked) or scopes.cut(granted, _limit(locked)) != granted:
            raise CannotChange(f"Link {link.pk} cannot be given this scope.")
        # Else an old page would allow again what has been taken away since.
        if answers is not None and not snapshot.is_same(answers, shown(locked)):
            raise CannotChange(f"Link {link.pk} is no longer what the person was shown.")
        current = set(scopes.split(locked.incoming_scope))
        if current == set(chosen):
            return
        if deliverable:
            decide_anew(locked, granted)
        else:
            locked.incoming_scope = granted
            locked.save(update_fields=["incoming_scope", "updated_at"])
        incoming_access.revoke_codes(locked)
        incoming_access.narrow_tokens(locked)
        if not current <= set(chosen):
            incoming_access.delete_unredeemed_logins(locked)
        record_event(locked, Step.CONSENT, party=Party.A, detail=f"changed to scope: {granted}")
        if deliverable:
            keep_apart(locked, queue_handover(locked))
            signals.send_after_commit(signals.access_granted, Link, link=locked)
    link.refresh_from_db()


def _limit(link: Link) -> str:
    return link.peer.reciprocal_limit if _can_deliver(link) else link.incoming_limit


def _can_deliver(link: Link) -> bool:
    """Whether we hold what a hand-over needs: an access token that tells the peer who it is for."""
    is_reachable = link.peer.enabled and link.peer.supports_reverse
    return is_reachable and link.outgoing_state == Link.Outgoing.ACTIVE


def keep_apart(link: Link, item: OutboxItem) -> None:
    """Let ``item`` wait until :data:`PAUSE_SECONDS` have passed since the last code of ``link``."""
    last = link.codes.order_by("-created_at").values_list("created_at", flat=True).first()
    if last is not None:
        due = last + timedelta(seconds=PAUSE_SECONDS)
        if due > timezone.now():
            OutboxItem.objects.filter(pk=item.pk).update(next_attempt_at=due)
