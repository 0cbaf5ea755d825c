"""Exchanges a received reciprocal code for tokens at party A's token endpoint.

These are the steps (F) and (G) in the figure of draft-ietf-oauth-reciprocal-04, section 2:
"Party B then plays the role of the client to make an access token request"
(draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.1.3).
"""

import logging
import threading
import time
import uuid
from functools import partial
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..client import deadline, id_token
from ..client.id_token import Account
from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import telemetry
from ..core.database import (
    atomic,
    delivering,
    log_exception,
    release_connections,
    saved_at_last,
    tried_again,
)
from ..delivery import dispatchers, pausing
from ..dialects import dialect_of
from ..dialects.base import Dialect
from ..exceptions import BadResponse, DecryptionError, PeerError, PeerRefused
from ..links import account_name, lifecycle, outgoing_access, outgoing_revocation, superseded
from ..models import InboxItem, Link, LinkEvent, Party, Peer, Step, peer_data
from ..models.binding import is_bound
from ..models.events import record_event
from ..models.reasons import reason_of
from ..models.results import Cancelled, Failed, Recorded, Result, Retry
from ..secret import Secret

logger = logging.getLogger("reciprocal_oauth.party_b")
Reason = Link.Reason


def attempt(item: InboxItem) -> Result:
    """Try once to redeem the code that is stored in an inbox row, and return the result."""
    try:
        result = _redeem(item)
        if isinstance(result, Recorded) and item.link.linked_at is None:
            # Before this redemption, the link did not work in both directions. Now it may have
            # replaced an older link of the same user with the same peer, so check the older links.
            superseded.check_older_links(item.link)
        return result
    except (Link.DoesNotExist, Peer.DoesNotExist):
        return Cancelled()  # The link or the peer was deleted after a worker claimed the row.


def _redeem(item: InboxItem) -> Result:
    """Send the code to the peer's token endpoint (RFC 6749, section 4.1.3), and store the tokens.

    The address of the endpoint comes from the stored settings of the peer, or from the list of
    addresses in its dialect. The request in which the peer sent the code cannot name another one.
    """
    link = item.link = Link.objects.select_related("user", "peer").get(pk=item.link_id)
    peer = link.peer
    if not link.is_active or not peer.enabled or not link.user.is_active:
        return Cancelled()
    if not is_bound(item.bound_to, peer, peer.token_endpoint):
        error = "the address of the peer, or our client ID there, has changed since the code came"
        return Failed(error, Reason.RECONFIGURED)
    try:
        dialect = dialect_of(peer, item.data)
    except DecryptionError as error:
        return Failed(str(error), Reason.UNREADABLE)
    if dialect.redeems_first and not item.is_awaited:
        # The request that should redeem the code was interrupted, so the peer got no response, or
        # a failure. A success now would make a link that the peer does not know.
        return Cancelled()
    sent_at = timezone.now()
    # The lease is the period in which no other worker may take this row. It has just begun.
    lease_ends = time.monotonic() + settings.LEASE_SECONDS
    try:
        tokens = _tokens_for(item, dialect)
        account = _account_in(item, dialect, tokens)
    except PeerRefused as error:
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, _result_of_refusal(error, peer))
    except BadResponse as error:
        # Perhaps the peer has issued tokens, but its response was cut off, or a proxy replaced it.
        # Send the code again. The peer then notices that the code was used twice, and revokes the
        # lost tokens (RFC 6749, section 4.1.2). A peer that uses this app also sends a new code.
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, Retry(str(error), Reason.BAD_RESPONSE))
    except PeerError as error:
        _record_failure(link, sent_at, str(error))
        return _retry_newest_only(item, Retry(str(error), reason_of(error)))
    except DecryptionError as error:
        return Failed(str(error), Reason.UNREADABLE)
    save = partial(_store_tokens, item, tokens, account, sent_at)
    until = min(lease_ends, item.awaited_until) if item.is_awaited else lease_ends
    try:
        result = saved_at_last(f"The tokens of {item}", save, until=until)
    except (DatabaseError, InterfaceError):
        if item.is_awaited:
            # The peer waits no longer, so nobody will use the tokens. The database may be back
            # before the lease ends.
            hand_back = partial(_hand_back, link, tokens, until=lease_ends)
            threading.Thread(target=hand_back, name="reciprocal-call", daemon=True).start()
        raise
    if isinstance(result, Recorded) and not (account and account.name):
        # Only now: what the peer tells about the account must not delay or lose the tokens.
        wait = 0 if item.is_awaited else None
        account_name.ask_for(item.link, peer, tokens.access_token, wait_seconds=wait)
    return result


def _tokens_for(item: InboxItem, dialect: Dialect) -> TokenResponse:
    """Redeem the code at the peer. If the peer of the hand-over waits for the result, wait only as
    long as that peer does. Tokens that come later are revoked.

    :raises PeerError: see :meth:`Dialect.redeem`.
    """
    with telemetry.span(telemetry.Step.REDEMPTION, item.link.peer.slug):
        return _ask_for_tokens(item, dialect)


@sensitive_variables()
def _ask_for_tokens(item: InboxItem, dialect: Dialect) -> TokenResponse:
    peer, code = item.link.peer, item.code
    if not item.is_awaited:
        return dialect.redeem(peer, code)
    code.reveal()  # Decrypt it here, because the other thread must not use the database.
    release_connections()
    return deadline.within(
        item.awaited_until - time.monotonic(),
        lambda: dialect.redeem(peer, code),
        late=lambda tokens: _hand_back(
            item.link, tokens, until=time.monotonic() + settings.LEASE_SECONDS
        ),
    )


def _hand_back(link: Link, tokens: TokenResponse, *, until: float) -> None:
    """Revoke tokens that nobody will use.

    :param until: the time, by ``time.monotonic()``, until which the revocation is tried again if
        the database fails.
    """
    revoke = partial(outgoing_revocation.revoke_unused, link, tokens)
    try:
        with delivering():
            saved_at_last(f"The revocation of late tokens of link {link.pk}", revoke, until=until)
            dispatchers.wake(link)
            release_connections()
    except Exception:
        log_exception(logger, "Tokens of link %s that came too late could not be revoked", link.pk)


def _account_in(item: InboxItem, dialect: Dialect, tokens: TokenResponse) -> Account | None:
    """Return the account that the ID token of the response names; ``None`` if this kind of peer
    sends no ID token, or if the response contains none.

    :raises BadResponse: the ID token is not valid. The tokens are revoked.
    """
    if not dialect.reads_id_token or tokens.id_token is None:
        return None
    try:
        return id_token.read(
            item.link.peer,
            tokens.id_token.reveal(),
            nonce="",  # A reciprocal code comes without an authorization request.
            now=timezone.now(),
            other_issuers=dialect.other_issuers,
            accepts_other_azp=dialect.accepts_other_azp,
        )
    except BadResponse:
        outgoing_revocation.revoke_unused(item.link, tokens)
        raise


def _retry_newest_only(item: InboxItem, result: Result) -> Result:
    """Return ``Cancelled`` if ``result`` is a retry and the link has a newer code; otherwise return
    ``result``. So a peer that is down gets requests only for the newest code of each link."""
    if isinstance(result, Retry):
        newer = item.link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__gt=item.pk)
        if newer.exists():
            return Cancelled()
    return result


def final_values() -> dict[str, Any]:
    """Return the column values to set when an inbox row is finished. They replace the code with an
    empty text, because a finished row does not need the code."""
    return InboxItem.without_secrets()


def log_failed(item: InboxItem, reason: str, error: str) -> None:
    """Log that a code could not be redeemed. Do not end the link, because party A can send another
    code."""
    slug = item.link.peer.slug
    logger.warning("Hand-over %s from peer %s could not be redeemed (%s)", item.pk, slug, reason)


def _result_of_refusal(error: PeerRefused, peer: Peer) -> Result:
    """Return what to do after an error response of the peer (RFC 6749, section 5.2): ``Retry`` or
    ``Failed``. If the peer would refuse every other code too, the result contains the peer as
    ``pauses``, so that the worker sends it no more requests."""
    if error.may_pass:
        return Retry(str(error), Reason.UNREACHABLE, error.retry_after)
    reason = pausing.pause_reason(error)
    if error.refuses_credentials:
        # The peer has refused the client secret, not the code. Until the code expires, it can be
        # redeemed with the right secret.
        return Retry(str(error), Reason.CREDENTIALS_REFUSED, pauses=peer)
    return Failed(str(error), reason or Reason.CODE_REFUSED, pauses=peer if reason else None)


def _store_tokens(
    item: InboxItem, tokens: TokenResponse, account: Account | None, sent_at: object
) -> Result:
    """Store the tokens on the link, and mark the inbox row as done in the same transaction.

    The access token that came with the code identifies the user (draft-ietf-oauth-reciprocal-04,
    section 2.2.2); the token response cannot name another user. With two transactions, a crash
    between them could leave a row that is not marked. A worker would then send the code a second
    time, and party A would revoke the tokens (RFC 6749, section 4.1.2).
    """
    with atomic():
        link = Link.objects.select_for_update().filter(pk=item.link_id).first()
        is_wanted = link is not None and link.is_active and link.user.is_active
        if link is None or not is_wanted or not _finish_row(item):
            outgoing_revocation.revoke_unused(item.link, tokens)
            return Cancelled()
        link.refresh_token = Secret("")
        outgoing_access.set_tokens(link, tokens, asked_scope="", called=item.link.peer)
        link.outgoing_grant = uuid.uuid4()
        link.peer_data = peer_data.written(item.data)
        if account is not None:
            link.subject, link.account_name = account.subject, account.name
        elif not link.subject:
            link.account_name = ""  # The tokens can be for another account than the tokens before.
        link.save()
        # Cancel the older codes of this link, so that tokens for an older code do not replace the
        # tokens that were just stored.
        now = timezone.now()
        link.inbox.filter(state__in=InboxItem.LIVE_STATES, pk__lt=item.pk).update(
            **InboxItem.final_values(InboxItem.State.CANCELLED, now), **InboxItem.without_secrets()
        )
        record_event(link, Step.F, party=Party.B, at=sent_at)
        record_event(link, Step.G, party=Party.B, detail=f"scope: {link.outgoing_scope or '–'}")
        lifecycle.announce_two_way(link)
    for field in ("subject", "outgoing_scope", "outgoing_grant"):
        setattr(item.link, field, getattr(link, field))
    return Recorded()


def _finish_row(item: InboxItem) -> bool:
    """Mark the inbox row as done, because its code is redeemed. Do this even if another worker has
    started to work on the row.

    :returns: ``True`` if this call has marked the row; ``False`` if the row was already finished.
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
