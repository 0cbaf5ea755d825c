"""The peer redeems a reciprocal code at the token endpoint of this site
(draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, sections 4.1.3 and 4.1.4). These are the
steps (F) and (G) of figure 1 in section 2 of the draft. The peer is party B.

A reciprocal code does not come from an authorization request. So its token request differs from an
ordinary token request:

- It contains no PKCE verifier (RFC 7636, section 4.5).
- It needs no ``redirect_uri`` (RFC 6749, section 4.1.3). If a client library sends a
  ``redirect_uri`` all the same, the value must be one of the redirect URIs of the client.

This applies only to codes that :mod:`.codes` has created. After the client was authenticated, this
app marks the token request for such a code with a :class:`Redemption` object. A client cannot set
this mark with a parameter of its request.
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
from ..delivery import measuring
from ..links import incoming_access, lifecycle, lost_access
from ..models import Link, LinkEvent, OutboxItem, Party, ReciprocalCode, Step
from ..models.events import REPLAY, record_event
from .consent import queue_handover

logger = logging.getLogger("reciprocal_oauth.party_a")
State = ReciprocalCode.State

#: If codes of a link are refused several times for the same cause, the history of the link gets at
#: most one event in this time.
_SAME_REFUSAL = timedelta(hours=1)

#: How long this site waits before it sends the next code, if more than ``MAX_REISSUES`` codes for
#: the same decision of the user were replayed (sent again after they were redeemed).
REISSUE_PAUSE = timedelta(hours=1)


@dataclass
class Redemption:
    """A mark on a token request: the request redeems a reciprocal code.

    :ivar entry: the stored hash and state of the code.
    :ivar is_complete: whether :func:`complete` has recorded the redemption in the current
        transaction.
    """

    entry: ReciprocalCode
    is_complete: bool = False

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI of the code, as stored in the ``Grant`` row of
        django-oauth-toolkit (DOT)."""
        return self.entry.redirect_uri


class Refused(Exception):
    """The reciprocal code cannot be redeemed. ``error`` is the error code in the response to the
    client (RFC 6749, section 5.2). ``str()`` returns the cause, for administrators."""

    def __init__(self, cause: str, error: str = INVALID_GRANT) -> None:
        super().__init__(cause)
        self.error = error


def find_code(code: str, application: Any) -> ReciprocalCode | None:
    """Find the stored entry of a reciprocal code. The code must have been issued to the client
    ``application`` (RFC 6749, section 4.1.3).

    :returns: the entry, or ``None`` if ``code`` is not a reciprocal code for this client.
    """
    return (
        ReciprocalCode.objects.select_related("link__peer", "link__user")
        .filter(code_hash=hash_of(code), application_pk=str(application.pk))
        .first()
    )


def check_redeemable(entry: ReciprocalCode, *, sent: set[str]) -> Redemption:
    """Check that a reciprocal code may be redeemed now. If it was redeemed before, revoke the
    tokens that were issued for it (RFC 6749, section 4.1.2).

    :param sent: the names of the parameters in the token request.
    :raises Refused: the code may not be redeemed.
    """
    if entry.state == State.REDEEMED:
        _handle_replay(entry)
        raise Refused("replay of a redeemed code")
    if entry.state != State.LIVE:
        raise Refused("the code was replaced by a newer one")
    if "code_verifier" in sent:
        # A client creates a code_verifier only for an ordinary authorization request. So somebody
        # has probably put the reciprocal code into the response to such a request, which is an
        # attack (RFC 9700, sections 4.5 and 4.8.2).
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
    """Record in the history of the link why the code was refused. Add at most one event per hour
    for the same cause.

    Call this function outside of the transaction that failed. Otherwise the rollback of that
    transaction would also remove the event.

    :param cause: the text of the :class:`Refused` exception, for administrators.
    """
    if entry.state == State.REDEEMED:
        return  # The code was sent again; _handle_replay() has already added an event for this.
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
    """Mark the code as redeemed, lock its link, and return the link.

    A code can be used only once (RFC 6749, section 4.1.2). So the code is marked with one
    conditional UPDATE, which succeeds for only one of several requests with the same code.

    Call this function in the same transaction that saves the tokens, so that the code is not marked
    as redeemed if the tokens cannot be saved.

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
    """Record that a redemption failed although :func:`check_redeemable` had allowed it.

    If another request with the same code was successful in the meantime, treat this request as a
    replay: revoke the tokens (RFC 6749, section 4.1.2) and send a new code. Perhaps the client
    stopped waiting for the first response, and so it has not received the tokens.

    Call this function outside of the transaction that failed. Otherwise the rollback of that
    transaction would also remove what this function records.

    :param cause: the reason of the failure, for administrators. It is not used for a replay.
    """
    entry = ReciprocalCode.objects.select_related("link").filter(pk=redemption.entry.pk).first()
    if entry is None:
        return
    if entry.state == State.REDEEMED:
        _handle_replay(entry)
    else:
        record_refusal(entry, cause)


def complete(redemption: Redemption, link: Link, family: UUID | None) -> None:
    """Record that the peer has redeemed the code, and revoke the older tokens of the peer for
    ``link``.

    Call this function in the same transaction as :func:`mark_redeemed`, which has locked ``link``.

    :param family: the token family of the new tokens (``token_family`` of django-oauth-toolkit: all
        tokens that come from one grant), or ``None`` if there is no refresh token.
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
    # Set the outbox row of the code to "done", because the peer has redeemed the code. This is
    # right even if the worker that sent the code got an error or no response from the peer.
    failed = Q(state=OutboxItem.State.FAILED, generation=entry.generation)
    handovers = link.outbox.filter(kind=OutboxItem.Kind.HANDOVER)
    delivered = handovers.filter(Q(state__in=OutboxItem.LIVE_STATES) | failed)
    measuring.count_redeemed(delivered)
    delivered.update(
        **OutboxItem.final_values(OutboxItem.State.DONE, now), live_key=None, reason=""
    )
    record_event(link, Step.F, party=Party.A)
    record_event(link, Step.G, party=Party.A, detail=f"scope: {link.incoming_scope}")
    lifecycle.announce_two_way(link)
    redemption.is_complete = True


@tried_again
def _handle_replay(entry: ReciprocalCode) -> None:
    """Handle a replay: a redeemed code was sent again. Revoke the tokens that were issued for the
    code (RFC 6749, section 4.1.2). Then send the peer a new code, because the consent of the user
    is still valid. If the user has made a newer decision, send no new code here, because that
    decision has its own code."""
    with atomic():
        link = lifecycle.lock_link(entry.link_id)
        code = ReciprocalCode.objects.filter(pk=entry.pk)
        is_first = bool(code.filter(replays=0).update(replays=1))
        if not is_first:
            code.update(replays=F("replays") + 1)
        incoming_access.revoke_family(link, entry.token_family)
        logger.warning("A redeemed reciprocal code of link %s was sent again", link.pk)
        if is_first:  # Add one event for the first replay of a code, and none for later replays.
            record_event(
                link, Step.F, party=Party.A, outcome=LinkEvent.Outcome.FAILED, detail=REPLAY
            )
        if not link.is_active or link.incoming_family != entry.token_family:
            return
        # Remove the revoked token family from the link. Otherwise lost_access.record_if_lost()
        # would conclude that somebody has revoked the access of the peer, and would stop the new
        # code.
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
