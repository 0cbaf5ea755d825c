"""Steps (F) and (G): trading the received code at party A's token endpoint.

"Party B then plays the role of the client to make an access token request per RFC 6749 4.1.3"
(draft, "Reciprocal Authorization Code").
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
    """One attempt at an inbox row."""
    try:
        outcome = _redeem(item)
        if isinstance(outcome, Recorded) and item.link.linked_at is None:  # Until now.
            superseded.check_older_links(item.link)
        return outcome
    except (Link.DoesNotExist, Peer.DoesNotExist):
        return Cancelled()  # Deleted since the row was claimed.


def _redeem(item: InboxItem) -> Result:
    """Redemption goes to the endpoint stored for the peer that was authenticated, whatever the
    request said."""
    link = item.link = Link.objects.select_related("user", "peer").get(pk=item.link_id)
    peer = link.peer
    if not link.is_active or not peer.enabled or not link.user.is_active or not item.code:
        return Cancelled()
    if not is_bound(item.bound_to, peer, peer.token_endpoint):
        return Failed("the code was given at another address", Reason.RECONFIGURED)
    sent_at = timezone.now()
    lease_ends = time.monotonic() + settings.LEASE_SECONDS  # It was claimed just now.
    try:
        answer = dialect_of(peer).redeem(peer, item.code)
    except PeerRefused as error:
        _failed(link, sent_at, str(error))
        return _again(item, _refused(error, peer))
    except BadResponse as error:
        # The peer may have spent the code, and thinks us linked: something on the way has cut its
        # answer off or put a page in its place. Asked again, it revokes what is lost and sends
        # another code.
        _failed(link, sent_at, str(error))
        return _again(item, Retry(str(error), Reason.BAD_RESPONSE))
    except PeerError as error:
        _failed(link, sent_at, str(error))
        return _again(item, Retry(str(error), Reason.UNREACHABLE))
    except DecryptionError as error:
        return Failed(str(error), Reason.UNREADABLE)
    tokens = f"The tokens of {item}"
    return saved_at_last(tokens, lambda: _store(item, answer, sent_at), until=lease_ends)


def _again(item: InboxItem, outcome: Result) -> Result:
    """Try again only with the newest code of the link: a peer that sends many while it is down
    would be asked for each of them time and again."""
    if isinstance(outcome, Retry):
        newer = item.link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__gt=item.pk)
        if newer.exists():
            return Cancelled()
    return outcome


def finished_values() -> dict[str, Any]:
    """What every finished inbox row gets: the code is no longer kept."""
    return {"code": Secret("")}


def given_up(item: InboxItem, reason: str, error: str) -> None:
    """A code could not be redeemed. The link waits on: party A sends another, or its user does."""
    slug = item.link.peer.slug
    logger.warning("Hand-over %s from peer %s could not be redeemed (%s)", item.pk, slug, reason)


def _refused(error: PeerRefused, peer: Peer) -> Result:
    if error.may_pass:
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    reason = pausing.pause_reason(error)
    if error.refuses_credentials:
        # The code is as good as before: with the right secret it is taken, while it lives.
        return Retry(str(error), Reason.CREDENTIALS_REFUSED, pauses=peer)
    return Failed(str(error), reason or Reason.CODE_REFUSED, pauses=peer if reason else None)


def _store(item: InboxItem, answer: TokenResponse, sent_at: object) -> Result:
    """Keep the tokens for the user of the access token that came with the code: nothing else in
    the answer says whose they are. The row ends with it: a worker that died in between would have
    the code redeemed again, and party A would take that for theft."""
    with atomic():
        link = Link.objects.select_for_update().filter(pk=item.link_id).first()
        is_wanted = link is not None and link.is_active and link.user.is_active
        if link is None or not is_wanted or not _finish(item):
            outgoing_access.revoke_unused(item.link, answer)
            return Cancelled()
        link.refresh_token = Secret("")
        outgoing_access.set_tokens(link, answer, asked_scope="", called=item.link.peer)
        link.outgoing_grant = uuid.uuid4()
        link.save()
        # Codes that came before are of older decisions; their tokens must not take the place.
        now = timezone.now()
        link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__lt=item.pk).update(
            **InboxItem.final_values(InboxItem.State.CANCELLED, now), code=Secret("")
        )
        record_event(link, Step.F, party=Party.B, at=sent_at)
        record_event(link, Step.G, party=Party.B, detail=f"scope: {link.outgoing_scope or '–'}")
        lifecycle.announce_two_way(link)
    return Recorded()


def _finish(item: InboxItem) -> bool:
    """Whoever holds the row by now: the code is spent, and these are its tokens.

    :returns: whether it had not ended.
    """
    done = InboxItem.final_values(InboxItem.State.DONE, timezone.now(), last_error="")
    rows = InboxItem.objects.filter(pk=item.pk, state__in=InboxItem.LIVE_STATES)
    return bool(rows.update(**done, **finished_values()))


@tried_again
def _failed(link: Link, sent_at: object, detail: str) -> None:
    failed = LinkEvent.Outcome.FAILED
    try:
        with atomic():
            record_event(link, Step.F, party=Party.B, outcome=failed, detail=detail, at=sent_at)
    except IntegrityError:
        logger.info("Link %s was deleted while its code was redeemed", link.pk)
