"""Delivers the rows of the outbox. There are two kinds of rows:

- A hand-over: send a reciprocal code to the peer (draft-ietf-oauth-reciprocal-04, section 2.2.2).
  This is the second half of step (E) of figure 1 in section 2 of the draft; the first half is in
  :mod:`.codes`.
- A revocation: revoke, at the peer, a token that this site no longer uses (RFC 7009, section 2).
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from ..conf import settings
from ..core import telemetry
from ..core.database import atomic, tried_again
from ..delivery import pausing, queue
from ..dialects import dialect_of
from ..dialects.base import Dialect
from ..exceptions import (
    BadResponse,
    DecryptionError,
    LeaseLost,
    NotLinked,
    PeerError,
    PeerRefused,
    RefreshPostponed,
)
from ..links import grant_policy, lifecycle, lost_access, outgoing_access, outgoing_revocation
from ..links.outgoing_access import fresh_access_token
from ..models import Link, LinkEvent, OutboxItem, Party, Peer, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..models.reasons import reason_of
from ..models.results import (
    Accepted,
    Cancelled,
    Failed,
    HandoverResult,
    Result,
    Retry,
    StaleToken,
)
from ..secret import Secret
from .codes import LinkChanged, mint

logger = logging.getLogger("reciprocal_oauth.party_a")
Reason = Link.Reason


def attempt(item: OutboxItem) -> Result:
    """Make one attempt to deliver a row of the outbox: send a code, or revoke a token."""
    try:
        if item.kind == OutboxItem.Kind.REVOCATION:
            return _revoke(item)
        return _hand_over(item)
    except DecryptionError as error:
        return Retry(str(error), Reason.UNREADABLE)
    except (Link.DoesNotExist, Peer.DoesNotExist):
        return Cancelled()  # The link or the peer was deleted after the row was claimed.


def final_values(state: OutboxItem.State) -> dict[str, Any]:
    """Return the column values to set when a row of the outbox ends in ``state``. A failed row
    keeps the token that was to be revoked, so that an administrator can send the revocation again.
    In other states, the values delete the token."""
    values: dict[str, Any] = {"live_key": None}
    return values if state == OutboxItem.State.FAILED else {**values, "token": Secret("")}


def on_failed(item: OutboxItem, reason: str, error: str) -> None:
    """Update the database after the delivery of a row of the outbox has failed.

    - If the link was deleted, delete the token that was to be revoked.
    - If a hand-over has failed because the peer does not support reciprocal codes, record this.
    - If a hand-over has failed and the user has made no newer decision, mark the incoming access of
      the link as broken.
    """
    if item.link is None:
        OutboxItem.objects.filter(pk=item.pk).update(token=Secret(""))
        return
    if item.kind != OutboxItem.Kind.HANDOVER:
        return
    if reason == Reason.NO_REVERSE:
        item.peer.record_reverse_support(is_supported=False)
    if item.link.generation == item.generation:
        lifecycle.break_incoming(item.link, reason, error)


def _hand_over(item: OutboxItem) -> Result:
    """Send the peer a reciprocal code for the user's last decision (draft-ietf-oauth-reciprocal-04,
    section 2.2.2). If the peer refuses the access token in the request, refresh the token (RFC
    6749, section 6) and send a second reciprocal code."""
    links = Link.objects.select_related("user", "peer__application")
    link = links.filter(pk=item.link_id).first() if item.link_id else None
    if link is None:
        return Cancelled()
    if not _is_wanted(link, item):
        return _not_wanted(link, item)
    if lost_access.record_if_lost(link):
        return Cancelled()
    if item.accepted_at is not None:
        # In an earlier attempt the peer accepted a code, but the code has expired and the peer has
        # not redeemed it. Send a new code, up to MAX_RESENDS times.
        if item.resends >= settings.MAX_RESENDS:
            return Failed("accepted, but never redeemed", Reason.UNCONFIRMED)
        item.resends += 1
        item.accepted_at = None
        rows = OutboxItem.objects.filter(pk=item.pk, lease_owner=item.lease_owner)
        tried_again(rows.update)(resends=item.resends, accepted_at=None)
    dialect = dialect_of(link.peer, link.data)
    if not dialect.may_send():
        error = "codes cannot be handed over with the present tokens of the link"
        return Failed(error, Reason.HANDOVER_REFUSED)
    try:
        token = fresh_access_token(link)
        result = _send(item, link, dialect, token)
        if isinstance(result, StaleToken) and link.refresh_token:
            # Extend the lease of the row, because the refresh and the second request can take as
            # long as the first request.
            queue.renew(item)
            token = fresh_access_token(link, not_this=token)
            result = _send(item, link, dialect, token)
    except LinkChanged:
        return _not_wanted(link, item)
    except grant_policy.ForbiddenBySite:
        return Failed("the site does not allow it", Reason.SITE_REFUSES)
    except LeaseLost:
        return Cancelled()
    except NotLinked as error:
        link.refresh_from_db()
        if not _is_wanted(link, item):
            return _not_wanted(link, item)
        return Failed(str(error), link.outgoing_reason or Reason.TOKEN_REFUSED)
    except RefreshPostponed as error:
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    except PeerRefused as error:
        # The peer refused to refresh the access token for another reason than a wrong refresh
        # token. So the link keeps its tokens, and the row is tried again or the peer is paused.
        if reason := pausing.pause_reason(error):
            return Failed(str(error), reason, pauses=link.peer)
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    except BadResponse as error:
        return Retry(str(error), Reason.BAD_RESPONSE)
    except PeerError as error:
        return Retry(str(error), reason_of(error))
    return _conclude(link, token, result)


def _is_wanted(link: Link, item: OutboxItem) -> bool:
    """Return whether the hand-over ``item`` still has to be sent. All must be true: the user has
    not decided again, the peer has not redeemed a code for this decision, the hand-over was not
    cancelled, and the link, the peer and the user are active."""
    return (
        link.is_active
        and link.peer.enabled
        and link.user.is_active
        and link.generation == item.generation
        and link.incoming_state == Link.Incoming.GRANTED
    )


def _not_wanted(link: Link, item: OutboxItem) -> Result:
    """Cancel the hand-over ``item``. If the user has made no newer decision, also change the
    incoming state of the link from "granted" to "broken", because no other code will be sent."""
    link.refresh_from_db()
    if link.generation == item.generation:
        if not link.peer.enabled:
            reason = Reason.PEER_DISABLED
        elif not link.user.is_active:
            reason = Reason.USER_INACTIVE
        else:
            reason = Reason.NOTHING_LEFT
        lifecycle.break_incoming(link, reason)
    return Cancelled()


def _send(item: OutboxItem, link: Link, dialect: Dialect, token: Secret) -> HandoverResult:
    """Create a reciprocal code and send it to the peer immediately, so that the code does not
    expire while it waits in a queue (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :raises LinkChanged: the link has changed, so no code may be sent.
    :raises ForbiddenBySite: the rules of this site do not allow the scope.
    :raises PeerError: the peer cannot be reached, or its response is not valid.
    """
    code = mint(link, item.generation)
    # The event in the history gets the time before the request. The peer can redeem the code before
    # it responds to the request, and the redemption must come later in the history.
    sent_at = timezone.now()
    outcome, detail = LinkEvent.Outcome.FAILED, ""
    try:
        with telemetry.span(telemetry.Step.HANDOVER, link.peer.slug) as span:
            result = dialect.send(link.peer, code, token)
            span.set("result", type(result).__name__.lower())
        if isinstance(result, Accepted):
            outcome, detail = LinkEvent.Outcome.OK, result.detail
        else:
            detail = result.error
    except PeerError as error:
        detail = str(error)
        raise
    finally:
        _record(link, outcome, f"attempt {item.attempts}: {detail}", sent_at)
    return result


@tried_again
def _record(link: Link, outcome: LinkEvent.Outcome, detail: str, sent_at: datetime) -> None:
    try:
        with atomic():
            record_event(link, Step.E, party=Party.A, outcome=outcome, detail=detail, at=sent_at)
    except IntegrityError:
        logger.info("Link %s was deleted while its code was sent", link.pk)


def _conclude(link: Link, token: Secret, result: HandoverResult) -> Result:
    """Return the result that the worker stores for an attempt to send a code.

    :param token: the access token that was used in the request to the peer.
    :param result: the result of the request, from the dialect of the peer.
    """
    match result:
        case Accepted():
            # Correct the record if it says that the peer does not support reciprocal codes. In this
            # case, an administrator has sent the hand-over again, and the peer has accepted it.
            if not link.peer.supports_reverse:
                link.peer.record_reverse_support(is_supported=True)
            return Accepted(settings.CODE_LIFETIME_SECONDS + settings.REDEMPTION_WATCH_SECONDS)
        case StaleToken(error=error):
            # If the link has a newer access token by now, try again with the newer token. If the
            # refused token is the newest, let the hand-over fail, but keep the token, because the
            # problem may be the code or the user at the peer, and not the token.
            is_current = outgoing_access.is_current_token(link, token)
            return (Failed if is_current else Retry)(error, Reason.HANDOVER_REFUSED)
        case Failed(reason=reason) if reason in pausing.REASONS:
            return replace(result, pauses=link.peer)
    return result


def _revoke(item: OutboxItem) -> Result:
    """Revoke the token in ``item`` at the peer (RFC 7009, section 2.1). Send no request if an
    active link of the user uses the token."""
    peer = item.peer
    if not peer.revocation_endpoint or not item.token:
        return Cancelled()
    if outgoing_revocation.is_token_in_use(item):
        return Cancelled()  # The user has connected again with this token, so do not revoke it.
    if outgoing_revocation.would_end_newer_tokens(item):
        return Cancelled()
    if not is_bound(item.bound_to, peer, peer.revocation_endpoint):
        error = "the token belongs to another address of the peer, or another client ID there"
        return Failed(error, Reason.RECONFIGURED)
    try:
        # Do not pause the delivery to the peer if the revocation endpoint refuses the request: the
        # token endpoint may still accept requests.
        with telemetry.span(telemetry.Step.REVOCATION, peer.slug):
            return dialect_of(peer).revoke(peer, item.token)
    except PeerError as error:
        return Retry(str(error), reason_of(error))
