"""Steps (F) and (G): party B redeems a reciprocal code at our token endpoint
(draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, sections 4.1.3 and 4.1.4).

There was no authorization request for a reciprocal code. So it is redeemed without a PKCE verifier
(RFC 7636, section 4.5). Client libraries often send a ``redirect_uri``; it only has to be one of
the client (RFC 6749, section 4.1.3). These exceptions hold only for codes from :mod:`.codes`: a
token request is marked with a :class:`Redemption`, which is created after the client was
authenticated, and which no request parameter can create.
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

#: Within this time, a second refusal for the same cause adds no event to the history of the link.
_SAME_REFUSAL = timedelta(hours=1)

#: How long the next code waits after more than ``MAX_REISSUES`` codes of a decision were replayed.
REISSUE_PAUSE = timedelta(hours=1)


@dataclass
class Redemption:
    """Marks a token request that redeems a reciprocal code.

    :ivar is_complete: whether :func:`complete` was called, in the transaction that is still open.
    """

    entry: ReciprocalCode
    is_complete: bool = False

    @property
    def redirect_uri(self) -> str:
        """The redirect URI that is stored in the DOT Grant of the code."""
        return self.entry.redirect_uri


class Refused(Exception):
    """The code cannot be redeemed. ``error`` is the code for the client (RFC 6749, section 5.2);
    ``str()`` is for administrators."""

    def __init__(self, cause: str, error: str = INVALID_GRANT) -> None:
        super().__init__(cause)
        self.error = error


def find_code(code: str, application: Any) -> ReciprocalCode | None:
    """Find the reciprocal code that was created for ``application`` (RFC 6749, section 4.1.3: a
    code must have been issued to the client); ``None``: it is no reciprocal code."""
    return (
        ReciprocalCode.objects.select_related("link__peer", "link__user")
        .filter(code_hash=hash_of(code), application_pk=str(application.pk))
        .first()
    )


def check_redeemable(entry: ReciprocalCode, *, sent: set[str]) -> Redemption:
    """Check that the code may be redeemed now.

    :param sent: names of the parameters in the request.
    :raises Refused: it may not be redeemed. After a replay, the tokens of the first redemption are
        already revoked (RFC 6749, section 4.1.2).
    """
    if entry.state == State.REDEEMED:
        _handle_replay(entry)
        raise Refused("replay of a redeemed code")
    if entry.state != State.LIVE:
        raise Refused("the code was replaced by a newer one")
    if "code_verifier" in sent:
        # RFC 9700, sections 4.5 and 4.8.2: somebody has injected the reciprocal code into an
        # ordinary authorization response, for which the client has a code_verifier.
        raise Refused("a code_verifier came with a reciprocal code")
    link = entry.link
    if not link.is_active or not link.peer.enabled or not link.user.is_active:
        raise Refused("the link, the peer or the user is no longer active")
    if str(link.peer.application_id) != entry.application_pk:
        raise Refused("the peer has another application now")
    if entry.generation != link.generation:
        raise Refused("the user has made a newer decision")
    if lost_access.record_if_lost(link):
        raise Refused("the access of the peer was revoked since")
    return Redemption(entry)


def record_refusal(entry: ReciprocalCode, cause: str) -> None:
    """Add an event to the history of the link: why its code was not redeemed. At most one event per
    hour for each cause. Call it outside the transaction that failed.

    :param cause: the text of :class:`Refused`, for administrators.
    """
    if entry.state == State.REDEEMED:
        return  # A replay has its own event.
    failed = LinkEvent.Outcome.FAILED
    since = timezone.now() - _SAME_REFUSAL
    recent = LinkEvent.objects.filter(link_id=entry.link_id, at__gt=since)
    if recent.filter(step=Step.F, party=Party.A, outcome=failed, detail=cause).exists():
        return
    try:
        with atomic():
            record_event(entry.link, Step.F, party=Party.A, outcome=failed, detail=cause)
    except IntegrityError:
        logger.info("Link %s was deleted while its code was redeemed", entry.link_id)


def mark_redeemed(redemption: Redemption) -> Link:
    """Mark the code as redeemed, and return its link, locked. A code is used only once (RFC 6749,
    section 4.1.2): one conditional UPDATE, so that only one of several requests saves tokens.

    Call it in the transaction that saves the tokens.

    :raises Refused: another request has redeemed the code, or the link has changed or was deleted.
    """
    entry = redemption.entry
    try:
        link = lifecycle.lock_link(entry.link_id)
    except Link.DoesNotExist:
        raise Refused("the link was deleted") from None
    changed = ReciprocalCode.objects.filter(pk=entry.pk, state=State.LIVE).update(
        state=State.REDEEMED, redeemed_at=timezone.now()
    )
    if not changed or not link.is_active or link.generation != entry.generation:
        raise Refused("the code was redeemed or replaced meanwhile")
    return link


def record_failure(redemption: Redemption, cause: str) -> None:
    """Record that a redemption failed after :func:`check_redeemable` allowed it.

    If another request has redeemed the code meanwhile, this is a replay: a client that did not wait
    for the first response and sent its request again has no tokens. Call it outside the transaction
    that failed.

    :param cause: why it failed, if it is no replay; for administrators.
    """
    entry = ReciprocalCode.objects.select_related("link").filter(pk=redemption.entry.pk).first()
    if entry is None:
        return
    if entry.state == State.REDEEMED:
        _handle_replay(entry)
    else:
        record_refusal(entry, cause)


def complete(redemption: Redemption, link: Link, family: UUID | None) -> None:
    """Record that the hand-over is done and revoke the tokens of the previous generation.

    Call it in the same transaction as :func:`mark_redeemed`, which has locked ``link``.

    :param family: the token family of the tokens that were saved.
    """
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
    # The code is redeemed, so the hand-over is done, whatever result the worker got.
    failed = Q(state=OutboxItem.State.FAILED, generation=entry.generation)
    handovers = link.outbox.filter(kind=OutboxItem.Kind.HANDOVER)
    handovers.filter(Q(state__in=OutboxItem.LIVE_STATES) | failed).update(
        **OutboxItem.final_values(OutboxItem.State.DONE, now), live_key=None, reason=""
    )
    record_event(link, Step.F, party=Party.A)
    record_event(link, Step.G, party=Party.A, detail=f"scope: {link.incoming_scope}")
    lifecycle.announce_two_way(link)
    redemption.is_complete = True


@tried_again
def _handle_replay(entry: ReciprocalCode) -> None:
    """Revoke the tokens that were issued for the code (RFC 6749, section 4.1.2). The consent is
    still valid, so send a new code, unless a newer decision has its own code."""
    with atomic():
        link = lifecycle.lock_link(entry.link_id)
        code = ReciprocalCode.objects.filter(pk=entry.pk)
        is_first = bool(code.filter(replays=0).update(replays=1))
        if not is_first:
            code.update(replays=F("replays") + 1)
        incoming_access.revoke_family(link, entry.token_family)
        logger.warning("A redeemed reciprocal code of link %s was sent again", link.pk)
        if is_first:  # Further replays add no events.
            record_event(
                link, Step.F, party=Party.A, outcome=LinkEvent.Outcome.FAILED, detail=REPLAY
            )
        if not link.is_active or link.incoming_family != entry.token_family:
            return
        # A revoked family would look as if the access had been revoked at this site, which stops
        # the code of a newer decision (lost_access.record_if_lost).
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
