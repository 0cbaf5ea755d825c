"""Steps (F) and (G): party B redeems a reciprocal code at our token endpoint.

There was no authorization request for such a code, so it is redeemed without PKCE verifier (RFC
7636), and a ``redirect_uri``, which client libraries like to send, need only be one of the client's
(RFC 6749, section 4.1.3). Codes minted by :mod:`.codes`, and no others, are
let through: what marks a request is an object that only :func:`recognise` makes, after the client
is authenticated; a parameter of any name cannot stand in for it.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, Q
from django.utils import timezone

from .. import signals
from ..conf import settings
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..core.protocol import INVALID_GRANT
from ..links import incoming_access, lifecycle, lost_access
from ..models import Link, LinkEvent, OutboxItem, Party, ReciprocalCode, Step
from ..models.events import REPLAY, record_event
from .consent import queue_handover

logger = logging.getLogger("reciprocal_oauth.party_a")
State = ReciprocalCode.State

#: A refusal for the same cause is a new line in the history of its link after this time.
_SAME_REFUSAL = timedelta(hours=1)

#: How long later codes wait once replays have cost ``MAX_REISSUES`` codes of one consent.
REISSUE_PAUSE = timedelta(hours=1)


@dataclass
class Redemption:
    """Marks a token request as the redemption of a reciprocal code.

    :ivar is_complete: whether :func:`complete` has run, in the transaction that is open.
    """

    entry: ReciprocalCode
    is_complete: bool = False

    @property
    def redirect_uri(self) -> str:
        """What the Grant holds in place of a redirect URI."""
        return self.entry.redirect_uri


class Refused(Exception):
    """The code cannot be redeemed: ``error`` for the client; ``str()`` is for administrators."""

    def __init__(self, cause: str, error: str = INVALID_GRANT) -> None:
        super().__init__(cause)
        self.error = error


def recognise(code: str, application: Any) -> ReciprocalCode | None:
    """The ledger's entry of a code that was minted for ``application``; ``None``: not ours."""
    return (
        ReciprocalCode.objects.select_related("link__peer", "link__user")
        .filter(code_hash=hash_of(code), application_pk=str(application.pk))
        .first()
    )


def check(entry: ReciprocalCode, *, sent: set[str]) -> Redemption:
    """Decide whether ``entry`` may be redeemed now.

    :param sent: names of the parameters in the request.
    :raises Refused: it may not. A replay has by then cost the tokens of the first redemption
        (RFC 6749, section 4.1.2).
    """
    if entry.state == State.REDEEMED:
        _replayed(entry)
        raise Refused("replay of a redeemed code")
    if entry.state != State.LIVE:
        raise Refused("the code was replaced by a newer one")
    if "code_verifier" in sent:
        # RFC 9700, sections 4.5 and 4.8: a reciprocal code that was injected into an ordinary
        # redirect arrives with it.
        raise Refused("a code_verifier came with a reciprocal code")
    link = entry.link
    if not link.is_active or not link.peer.enabled or not link.user.is_active:
        raise Refused("the link, the peer or the user is no longer active")
    if str(link.peer.application_id) != entry.application_pk:
        raise Refused("the peer has another application now")
    if entry.generation != link.generation:
        raise Refused("the person has decided anew since")
    if lost_access.record_if_lost(link):
        raise Refused("what the peer held was taken away since")
    return Redemption(entry)


def note_refusal(entry: ReciprocalCode, cause: str) -> None:
    """Have the history of the link say why its code was not redeemed, once an hour for each cause.
    Call it outside of the transaction that failed.

    :param cause: as of :class:`Refused`, for administrators.
    """
    if entry.state == State.REDEEMED:
        return  # A replay has a line of its own.
    failed = LinkEvent.Outcome.FAILED
    since = timezone.now() - _SAME_REFUSAL
    lines = LinkEvent.objects.filter(link_id=entry.link_id, at__gt=since)
    if lines.filter(step=Step.F, party=Party.A, outcome=failed, detail=cause).exists():
        return
    try:
        with atomic():
            record_event(entry.link, Step.F, party=Party.A, outcome=failed, detail=cause)
    except IntegrityError:
        logger.info("Link %s was deleted while its code was redeemed", entry.link_id)


def spend(redemption: Redemption) -> Link:
    """Mark the code redeemed, and give its link, locked. Call it in the transaction that saves the
    tokens: compare-and-set, so that of many redemptions at once exactly one saves any.

    :raises Refused: another request was faster, or the person has decided anew.
    """
    entry = redemption.entry
    try:
        link = lifecycle.lock_link(entry.link_id)
    except Link.DoesNotExist:
        raise Refused("the link is gone") from None
    changed = ReciprocalCode.objects.filter(pk=entry.pk, state=State.LIVE).update(
        state=State.REDEEMED, redeemed_at=timezone.now()
    )
    if not changed or not link.is_active or link.generation != entry.generation:
        raise Refused("the code was redeemed or replaced meanwhile")
    return link


def come_to_nothing(redemption: Redemption, cause: str) -> None:
    """A request that was let through has come to nothing. Where another one has redeemed the code
    meanwhile, it is a replay like any other: a client that gave up waiting for the first answer and
    asked again has no tokens. Call it outside of the transaction that failed.

    :param cause: what it came to nothing for otherwise.
    """
    entry = ReciprocalCode.objects.select_related("link").filter(pk=redemption.entry.pk).first()
    if entry is None:
        return
    if entry.state == State.REDEEMED:
        _replayed(entry)
    else:
        note_refusal(entry, cause)


def complete(redemption: Redemption, link: Link, family: UUID | None) -> None:
    """The tokens of ``family`` are saved: the hand-over is done. The tokens of the generation
    before die now. Same transaction as :func:`spend`, ``link`` locked."""
    now = timezone.now()
    entry = redemption.entry
    ReciprocalCode.objects.filter(pk=entry.pk).update(token_family=family)
    if link.incoming_family and link.incoming_family != family:
        incoming_access.revoke_family(link, link.incoming_family)
    link.incoming_family = family
    link.incoming_state = Link.Incoming.ACTIVE
    link.incoming_reason = ""
    link.confirmed_generation = entry.generation
    link.save()
    # Whatever the worker that sent it is doing, or has made of the answer: redeemed is done.
    given_up = Q(state=OutboxItem.State.FAILED, generation=entry.generation)
    handovers = link.outbox.filter(kind=OutboxItem.Kind.HANDOVER)
    handovers.filter(Q(state__in=OutboxItem.LIVE_STATES) | given_up).update(
        **OutboxItem.final_values(OutboxItem.State.DONE, now), live_key=None, reason=""
    )
    record_event(link, Step.F, party=Party.A)
    record_event(link, Step.G, party=Party.A, detail=f"scope: {link.incoming_scope}")
    lifecycle.announce_two_way(link)
    redemption.is_complete = True


@tried_again
def _replayed(entry: ReciprocalCode) -> None:
    """Revoke what the code was redeemed for (RFC 6749, section 4.1.2). The consent still stands, so
    send a new code; where the person has decided again since, that decision has its own."""
    with atomic():
        link = lifecycle.lock_link(entry.link_id)
        code = ReciprocalCode.objects.filter(pk=entry.pk)
        is_first = bool(code.filter(replays=0).update(replays=1))
        if not is_first:
            code.update(replays=F("replays") + 1)
        incoming_access.revoke_family(link, entry.token_family)
        logger.warning("A redeemed reciprocal code of link %s was sent again", link.pk)
        if is_first:  # Whoever goes on sending it fills no history.
            record_event(
                link, Step.F, party=Party.A, outcome=LinkEvent.Outcome.FAILED, detail=REPLAY
            )
        if not link.is_active or link.incoming_family != entry.token_family:
            return
        # With a revoked family it would look as if somebody here had taken the access away, which
        # stops the code of a newer decision (lost_access.record_if_lost).
        link.incoming_family = None
        link.linked_at = None
        if entry.generation != link.generation:
            link.save()
            return
        link.incoming_state = Link.Incoming.GRANTED
        link.save()
        item = queue_handover(link)
        replayed = link.codes.filter(generation=entry.generation, replays__gt=0)
        if replayed.count() > settings.MAX_REISSUES:
            item.next_attempt_at = timezone.now() + REISSUE_PAUSE
            item.save(update_fields=["next_attempt_at"])
        signals.send_after_commit(signals.access_granted, Link, link=link)
