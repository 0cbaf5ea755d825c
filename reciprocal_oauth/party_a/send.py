"""Step (E), second half: send the code to the peer (draft-ietf-oauth-reciprocal-04, section 2.2.2).
Also revokes tokens at the peer that this site no longer uses (RFC 7009, section 2)."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from ..conf import settings
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
from ..links import grant_policy, lifecycle, lost_access, outgoing_access
from ..links.outgoing_access import fresh_access_token
from ..models import Link, LinkEvent, OutboxItem, Party, Peer, Step
from ..models.binding import is_bound
from ..models.events import record_event
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
    """Make one attempt at an outbox row."""
    try:
        if item.kind == OutboxItem.Kind.REVOCATION:
            return _revoke(item)
        return _hand_over(item)
    except DecryptionError as error:
        return Retry(str(error), Reason.UNREADABLE)
    except (Link.DoesNotExist, Peer.DoesNotExist):
        return Cancelled()  # The link or the peer was deleted since the row was claimed.


def final_values(state: OutboxItem.State) -> dict[str, Any]:
    """Return the column values to set when an outbox row ends in ``state``. The token is deleted,
    except from a failed row: an administrator may send the revocation again."""
    values: dict[str, Any] = {"live_key": None}
    return values if state == OutboxItem.State.FAILED else {**values, "token": Secret("")}


def on_failed(item: OutboxItem, reason: str, error: str) -> None:
    """Break the incoming direction of the link when a hand-over has failed. The token of a failed
    revocation is kept only while its link exists."""
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
    """Send a code for the decision of the user; refresh a refused access token and send once more
    (draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 6)."""
    links = Link.objects.select_related("user", "peer")
    link = links.filter(pk=item.link_id).first() if item.link_id else None
    if link is None:
        return Cancelled()
    if not _is_wanted(link, item):
        return _not_wanted(link, item)
    if lost_access.record_if_lost(link):
        return Cancelled()
    if item.accepted_at is not None:
        # The peer accepted a code, which has expired without being redeemed.
        if item.resends >= settings.MAX_RESENDS:
            return Failed("accepted, but never redeemed", Reason.UNCONFIRMED)
        item.resends += 1
        item.accepted_at = None
        rows = OutboxItem.objects.filter(pk=item.pk, lease_owner=item.lease_owner)
        tried_again(rows.update)(resends=item.resends, accepted_at=None)
    dialect = dialect_of(link.peer)
    try:
        token = fresh_access_token(link)
        result = _send(item, link, dialect, token)
        if isinstance(result, StaleToken) and link.refresh_token:
            queue.renew(item)  # Refreshing and sending again may take as long as the first part.
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
        # The refresh was refused, but not because of the refresh token.
        if reason := pausing.pause_reason(error):
            return Failed(str(error), reason, pauses=link.peer)
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    except BadResponse as error:
        return Retry(str(error), Reason.BAD_RESPONSE)
    except PeerError as error:
        return Retry(str(error), Reason.UNREACHABLE)
    return _conclude(link, token, result)


def _is_wanted(link: Link, item: OutboxItem) -> bool:
    """Whether the decision for which ``item`` was queued is still to be handed over."""
    return (
        link.is_active
        and link.peer.enabled
        and link.user.is_active
        and link.generation == item.generation
        and link.incoming_state == Link.Incoming.GRANTED
    )


def _not_wanted(link: Link, item: OutboxItem) -> Result:
    """Cancel the hand-over. Without a newer decision, the incoming direction of the link is broken:
    its state must not stay "granted"."""
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
    """Create a code and send it at once, so that it does not expire in a queue.

    :raises LinkChanged, ForbiddenBySite: see :func:`.codes.mint`.
    :raises PeerError: the peer could not be reached, or its response is not valid.
    """
    code = mint(link, item.generation)
    # The event gets the time of sending: the peer may redeem the code before it responds.
    sent_at = timezone.now()
    outcome, detail = LinkEvent.Outcome.FAILED, ""
    try:
        result = dialect.send(link.peer, code, token)
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
    """Turn the result of a hand-over into the result of the attempt."""
    match result:
        case Accepted():
            if not link.peer.supports_reverse:  # An administrator has sent the hand-over again.
                link.peer.record_reverse_support(is_supported=True)
            return Accepted(settings.CODE_LIFETIME_SECONDS + settings.REDEMPTION_WATCH_SECONDS)
        case StaleToken(error=error):
            # A newer token goes out with the next attempt. A current one is not marked as refused:
            # the peer may have refused the code or its own user instead.
            is_current = outgoing_access.is_current_token(link, token)
            return (Failed if is_current else Retry)(error, Reason.HANDOVER_REFUSED)
        case Failed(reason=reason) if reason in pausing.REASONS:
            return replace(result, pauses=link.peer)
    return result


def _revoke(item: OutboxItem) -> Result:
    """Send a revocation request (RFC 7009, section 2.1), unless the token is in use."""
    peer = item.peer
    if not peer.revocation_endpoint or not item.token:
        return Cancelled()
    if outgoing_access.is_token_in_use(item):
        return Cancelled()  # To revoke it would end the connection that was made since.
    if not is_bound(item.bound_to, peer, peer.revocation_endpoint):
        return Failed("the peer issued the token at another address", Reason.RECONFIGURED)
    try:
        # A refusal does not pause the peer: it says nothing about the token endpoint.
        return dialect_of(peer).revoke(peer, item.token)
    except PeerError as error:
        return Retry(str(error), Reason.UNREACHABLE)
