"""Steps (F) and (G): redeems the received code at party A's token endpoint.

"Party B then plays the role of the client to make an access token request"
(draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.1.3).
"""

import logging
import time
import uuid
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core.database import atomic, saved_at_last, tried_again
from ..delivery import pausing
from ..dialects import dialect_of
from ..exceptions import BadResponse, DecryptionError, PeerError, PeerRefused
from ..links import lifecycle, outgoing_access, superseded
from ..models import InboxItem, Link, LinkEvent, Party, Peer, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..models.results import Cancelled, Failed, Recorded, Result, Retry
from ..secret import Secret

logger = logging.getLogger("reciprocal_oauth.party_b")
Reason = Link.Reason


def attempt(item: InboxItem) -> Result:
    """Redeem the code of an inbox row, once."""
    try:
        result = _redeem(item)
        if isinstance(result, Recorded) and item.link.linked_at is None:
            # The link has just become two-way for the first time.
            superseded.check_older_links(item.link)
        return result
    except (Link.DoesNotExist, Peer.DoesNotExist):
        return Cancelled()  # The link or the peer was deleted after the row was claimed.


def _redeem(item: InboxItem) -> Result:
    """Send the code to the token endpoint that is stored for the peer (RFC 6749, section 4.1.3).

    The hand-over cannot name another address.
    """
    link = item.link = Link.objects.select_related("user", "peer").get(pk=item.link_id)
    peer = link.peer
    if not link.is_active or not peer.enabled or not link.user.is_active or not item.code:
        return Cancelled()
    if not is_bound(item.bound_to, peer, peer.token_endpoint):
        return Failed("the code was given at another address", Reason.RECONFIGURED)
    sent_at = timezone.now()
    lease_ends = time.monotonic() + settings.LEASE_SECONDS  # The row has just been claimed.
    try:
        tokens = dialect_of(peer).redeem(peer, item.code)
    except PeerRefused as error:
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, _result_of_refusal(error, peer))
    except BadResponse as error:
        # The peer may have redeemed the code, and its response was cut off or replaced by a proxy.
        # A second request counts as a replay (RFC 6749, section 4.1.2): the peer revokes the lost
        # tokens, and sends another code.
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, Retry(str(error), Reason.BAD_RESPONSE))
    except PeerError as error:
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, Retry(str(error), Reason.UNREACHABLE))
    except DecryptionError as error:
        return Failed(str(error), Reason.UNREADABLE)
    return saved_at_last(
        f"The tokens of {item}", lambda: _store_tokens(item, tokens, sent_at), until=lease_ends
    )


def _retry_newest_only(item: InboxItem, result: Result) -> Result:
    """Retry only the newest code of the link: older ones would cost a peer that is down one request
    each, at every retry."""
    if isinstance(result, Retry):
        newer = item.link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__gt=item.pk)
        if newer.exists():
            return Cancelled()
    return result


def final_values() -> dict[str, Any]:
    """Column values to set when an inbox row finishes: the code is deleted."""
    return {"code": Secret("")}


def log_failed(item: InboxItem, reason: str, error: str) -> None:
    """Log that a code could not be redeemed. The link stays open for another code of party A."""
    slug = item.link.peer.slug
    logger.warning("Hand-over %s from peer %s could not be redeemed (%s)", item.pk, slug, reason)


def _result_of_refusal(error: PeerRefused, peer: Peer) -> Result:
    """The result of an error response (RFC 6749, section 5.2): retry, pause the peer, or fail."""
    if error.may_pass:
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    reason = pausing.pause_reason(error)
    if error.refuses_credentials:
        # The code is still valid, and can be redeemed with the right secret until it expires.
        return Retry(str(error), Reason.CREDENTIALS_REFUSED, pauses=peer)
    return Failed(str(error), reason or Reason.CODE_REFUSED, pauses=peer if reason else None)


def _store_tokens(item: InboxItem, tokens: TokenResponse, sent_at: object) -> Result:
    """Store the tokens on the link of the hand-over, and finish the row in the same transaction.

    The access token of the hand-over identifies the user (draft-ietf-oauth-reciprocal-04, section
    2.2.2); the token response cannot name another. If the row were finished later, a crash could
    redeem the code twice: a replay for party A (RFC 6749, section 4.1.2).
    """
    with atomic():
        link = Link.objects.select_for_update().filter(pk=item.link_id).first()
        is_wanted = link is not None and link.is_active and link.user.is_active
        if link is None or not is_wanted or not _finish_row(item):
            outgoing_access.revoke_unused(item.link, tokens)
            return Cancelled()
        link.refresh_token = Secret("")
        outgoing_access.set_tokens(link, tokens, asked_scope="", called=item.link.peer)
        link.outgoing_grant = uuid.uuid4()
        link.save()
        # Older codes are of older decisions of the person: their tokens must not replace these.
        now = timezone.now()
        link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__lt=item.pk).update(
            **InboxItem.final_values(InboxItem.State.CANCELLED, now), code=Secret("")
        )
        record_event(link, Step.F, party=Party.B, at=sent_at)
        record_event(link, Step.G, party=Party.B, detail=f"scope: {link.outgoing_scope or '–'}")
        lifecycle.announce_two_way(link)
    return Recorded()


def _finish_row(item: InboxItem) -> bool:
    """Mark the row done, even if another worker has claimed it since: the code is redeemed.

    :returns: whether the row was not finished yet.
    """
    done = InboxItem.final_values(InboxItem.State.DONE, timezone.now(), last_error="")
    rows = InboxItem.objects.filter(pk=item.pk, state__in=InboxItem.LIVE_STATES)
    return bool(rows.update(**done, **final_values()))


@tried_again
def _record_failure(link: Link, sent_at: object, detail: str) -> None:
    failed = LinkEvent.Outcome.FAILED
    try:
        with atomic():
            record_event(link, Step.F, party=Party.B, outcome=failed, detail=detail, at=sent_at)
    except IntegrityError:
        logger.info("Link %s was deleted while its code was redeemed", link.pk)
