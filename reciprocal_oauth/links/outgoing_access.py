"""The outgoing access of a link: its tokens are stored, returned to callers, and refreshed by one
worker at a time (RFC 6749, section 6).

A lease protects the refresh: one conditional UPDATE with the clock of the database. A row lock
would not work, because SQLite has none, and because no lock may be held during an HTTP request. A
worker that does not get the lease waits, and reads the link again.

The link counts the refusals. After each refusal this site waits longer before it asks again, and
after some refusals it stops. It also obeys ``Retry-After`` (RFC 9110, section 10.2.3).
"""

import logging
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core.database import (
    atomic,
    release_connections,
    require_no_transaction,
    saved_at_last,
    tried_again,
)
from ..core.protocol import INVALID_GRANT
from ..core.retry_policy import RetryPolicy
from ..dialects import dialect_of
from ..exceptions import DecryptionError, NotLinked, PeerRefused, PeerUnreachable, RefreshPostponed
from ..models import Link, OutboxItem, Peer
from ..models.binding import is_bound_for_tokens
from ..secret import Secret
from . import lifecycle

logger = logging.getLogger("reciprocal_oauth")

#: The first and the longest pause, in seconds, of a worker that waits for the refresh of another.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.05, 0.4
#: The columns that a refresh changes.
_REFRESHED_FIELDS = (
    "access_token",
    "refresh_token",
    "outgoing_scope",
    "access_token_expires_at",
    "refresh_refusals",
    "refresh_not_before",
)


def set_tokens(
    link: Link, response: TokenResponse, *, asked_scope: str, called: Peer | None = None
) -> None:
    """Set the outgoing access of ``link`` from a token response. The caller saves the link.

    :param asked_scope: the scope that was asked for. It is the granted scope if the response
        contains none (RFC 6749, section 5.1).
    :param called: the peer as it was when it gave the new access. ``None`` after a refresh, which
        does not change the binding of the tokens.
    """
    if called is not None:
        if not is_bound_for_tokens(link.bound_to, called):
            link.refresh_token = Secret("")  # It belongs to a former address or client ID.
        link.bound_to = called.binding
    link.access_token = response.access_token
    if response.refresh_token is not None:
        link.refresh_token = response.refresh_token
    link.outgoing_scope = asked_scope if response.scope is None else response.scope
    # A token that cannot be renewed is used until it really expires.
    can_be_renewed = bool(link.refresh_token) or response.ends_at is None
    link.access_token_expires_at = response.expires_at if can_be_renewed else response.ends_at
    link.outgoing_state = Link.Outgoing.ACTIVE
    link.outgoing_reason = ""
    link.refresh_refusals, link.refresh_not_before = 0, None


def fresh_access_token(link: Link, *, not_this: Secret | None = None) -> Secret:
    """An access token that the peer should accept now; refreshed if the stored one has expired.

    :param not_this: a token that the peer has just refused although it had not expired.
    :raises NotLinked: there is no working outgoing access. The link has the reason.
    :raises PeerError: the token has expired, and the refresh failed this time. Try again later.
    :raises RefreshPostponed: this site must wait before it asks the peer again.
    :raises DecryptionError: no key decrypts the stored tokens.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A peer cannot be called")
    deadline = time.monotonic() + settings.HTTP_TOTAL_TIMEOUT_SECONDS
    pause = _FIRST_POLL_SECONDS
    while True:
        _reload(link)
        if _is_usable(link, not_this):
            return link.access_token
        if not link.refresh_token:
            unchanged = Q(access_token=link.access_token, refresh_token="")
            if not lifecycle.break_outgoing(link, Link.Reason.EXPIRED, still=unchanged):
                continue
            raise NotLinked(f"The access of link {link.pk} has expired and cannot be renewed.")
        _require_refresh_allowed(link)
        # From this time on, another worker may refresh the token.
        lease_ends = time.monotonic() + settings.LEASE_SECONDS
        if owner := _take_lease(link):
            if (token := _refresh(link, owner, not_this, lease_ends)) is not None:
                return token
        elif time.monotonic() >= deadline:
            raise PeerUnreachable(
                f"Another worker has been refreshing the access of link {link.pk} for too long."
            )
        else:
            release_connections()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)


def is_current_token(link: Link, token: Secret) -> bool:
    """Whether ``token`` is still the stored access token of ``link``: a refresh or a new connection
    may have replaced it.

    :raises DecryptionError: no key decrypts the stored token.
    """
    now = Link.objects.filter(pk=link.pk).first()
    return now is not None and now.access_token == token


def _reload(link: Link) -> None:
    """Read the link, its peer and its user again.

    :raises NotLinked: the link was deleted, has ended, or has no working outgoing access; or its
        user was deactivated.
    """
    try:
        link.refresh_from_db(from_queryset=Link.objects.select_related("peer", "user"))
    except Link.DoesNotExist:
        raise NotLinked(f"Link {link.pk} was deleted.") from None
    if not link.is_active or link.outgoing_state != Link.Outgoing.ACTIVE or not link.peer.enabled:
        raise NotLinked(f"Link {link.pk} has no working outgoing access.")
    if not link.user.is_active:
        raise NotLinked(f"The user of link {link.pk} is deactivated.")
    if not is_bound_for_tokens(link.bound_to, link.peer):
        lifecycle.break_reconfigured(link)
        raise NotLinked(f"The access of link {link.pk} belongs to another address or client ID.")


def _is_usable(link: Link, not_this: Secret | None) -> bool:
    if not link.access_token or (not_this is not None and link.access_token == not_this):
        return False
    expires = link.access_token_expires_at
    return expires is None or expires > timezone.now()


def _require_refresh_allowed(link: Link) -> None:
    """:raises RefreshPostponed: this site must wait before it asks the peer again."""
    now = timezone.now()
    if link.refresh_not_before is not None and link.refresh_not_before > now:
        raise RefreshPostponed(
            f"This site does not ask the peer to renew the access of link {link.pk} before "
            f"{link.refresh_not_before.isoformat(timespec='seconds')}.",
            retry_after=(link.refresh_not_before - now).total_seconds(),
        )


@tried_again
def _take_lease(link: Link) -> str | None:
    """Take the lease, and return the name of its owner. ``None``: another worker has it, or this
    site must wait before it asks the peer again."""
    free = Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lt=Now())
    may_be_asked = Q(refresh_not_before__isnull=True) | Q(refresh_not_before__lte=timezone.now())
    until = Now() + timedelta(seconds=settings.LEASE_SECONDS)
    owner = secrets.token_hex(16)
    taken = Link.objects.filter(free, may_be_asked, pk=link.pk).update(
        refresh_lease_until=until, refresh_lease_owner=owner
    )
    return owner if taken else None


def _release_lease(link: Link, owner: str) -> None:
    # After a long delay, another worker may have the lease.
    mine = Link.objects.filter(pk=link.pk, refresh_lease_owner=owner)
    try:
        tried_again(mine.update)(refresh_lease_until=None, refresh_lease_owner="")
    except (DatabaseError, InterfaceError):
        # The caller needs the result of the refresh, not this error. The lease expires by itself.
        logger.warning("The refresh lease of link %s could not be released", link.pk)


def _refresh(link: Link, owner: str, not_this: Secret | None, lease_ends: float) -> Secret | None:
    """Refresh the access while this worker holds the lease. ``None``: the link has changed
    meanwhile, and must be read again.

    :param lease_ends: the end of the lease, by ``time.monotonic()``.
    :raises NotLinked: the peer has refused for good, or the access no longer works.
    :raises PeerError: the refresh failed this time.
    """
    try:
        # Another worker may have refreshed the token before this one took the lease.
        _reload(link)
        if _is_usable(link, not_this):
            return link.access_token
        used = link.refresh_token
        if not used:
            return None
        return _store_refreshed(
            link, used, dialect_of(link.peer).refresh(link.peer, used), lease_ends
        )
    except PeerRefused as error:
        # Another worker may have stored a newer token meanwhile.
        still = Q(refresh_token=used, refresh_lease_owner=owner)
        pause = _pause_after(link, error)
        if pause is not None:
            _postpone(link, error, pause, still=still)
            raise
        if not lifecycle.break_outgoing(link, Link.Reason.REFRESH_REFUSED, str(error), still=still):
            return None
        raise NotLinked(f"The peer no longer renews the access of link {link.pk}.") from error
    finally:
        _release_lease(link, owner)


def _pause_after(link: Link, refused: PeerRefused) -> float | None:
    """Seconds to wait before the peer is asked again. ``None``: it has refused for good.

    ``invalid_grant`` is final whatever the HTTP status (RFC 6749, section 5.2): more requests with
    the same token could look like an attack. Other errors may be corrected at either site, so this
    site asks a few times more. A failure that may pass never ends the access.
    """
    if refused.error == INVALID_GRANT:
        return None
    if refused.may_pass:
        return refused.retry_after or 0.0
    policy = RetryPolicy(settings.RETRY_SCHEDULE_SECONDS)
    return policy.pause_after(link.refresh_refusals + 1, refused.retry_after)


def _postpone(link: Link, refused: PeerRefused, pause: float, *, still: Q) -> None:
    """Store the refusal, and when this site may ask again.

    :param pause: seconds to wait.
    :param still: a condition on the stored row.
    """
    values: dict[str, int | datetime] = {}
    if not refused.may_pass:
        values["refresh_refusals"] = link.refresh_refusals + 1
    if pause:
        values["refresh_not_before"] = timezone.now() + timedelta(seconds=pause)
    if values:
        tried_again(Link.objects.filter(still, pk=link.pk).update)(**values)


@tried_again
def allow_refresh(peer: Peer) -> None:
    """Forget the refusals of ``peer``, so that this site may ask it again at once: an administrator
    has corrected the cause."""
    Link.objects.filter(peer=peer, refresh_not_before__isnull=False).update(
        refresh_refusals=0, refresh_not_before=None
    )


def _store_refreshed(
    link: Link, used: Secret, response: TokenResponse, lease_ends: float
) -> Secret | None:
    """Store the refreshed tokens, unless the link has changed meanwhile. The refresh token ``used``
    may no longer work (RFC 6749, section 6), so saving is repeated if the database fails: the new
    one must not be lost.
    """
    expired = link.access_token
    set_tokens(link, response, asked_scope=link.outgoing_scope)
    values = {field: getattr(link, field) for field in _REFRESHED_FIELDS}

    def save() -> Secret | None:
        return _save_refreshed(link, used, expired, response, values)

    return saved_at_last(f"The renewed tokens of link {link.pk}", save, until=lease_ends)


def _save_refreshed(
    link: Link, used: Secret, expired: Secret, response: TokenResponse, values: dict[str, Any]
) -> Secret | None:
    if _unchanged_row(link, used).update(**values, updated_at=timezone.now()):
        return response.access_token
    now = Link.objects.filter(pk=link.pk).first()
    if now is not None and _has_tokens(now, expired, used):
        # The tokens are the same: the key rotation has encrypted them again.
        reencrypted = _unchanged_row(link, now.refresh_token)
        if reencrypted.update(**values, updated_at=timezone.now()):
            return response.access_token
    revoke_unused(link, response, used=used)
    return None


def _has_tokens(link: Link, access_token: Secret, refresh_token: Secret) -> bool:
    try:
        return (link.access_token, link.refresh_token) == (access_token, refresh_token)
    except DecryptionError:
        return False


@tried_again
def revoke_unused(link: Link, response: TokenResponse, *, used: Secret | None = None) -> None:
    """Revoke the tokens in ``response`` at the peer, because nobody will use them: meanwhile
    ``link`` was deleted, has ended or got newer tokens, or its user was deactivated (RFC 7009,
    section 1).

    :param used: the refresh token with which the tokens were requested. It stays valid if
        ``response`` contains no new one.
    """
    with atomic():
        now = Link.objects.select_for_update().filter(pk=link.pk).first()
        if now is not None and holds_token_from(now, response, used):
            return
        if not Peer.objects.filter(pk=link.peer_id).exists():
            return  # The address of the peer was deleted with it.
        is_replaced = now is not None and now.is_active and now.has_outgoing_tokens
        if _may_revoke(link, replaced=is_replaced):
            token = response.refresh_token or used or response.access_token
            lifecycle.queue_revocation(
                link, token, bound_to=link.peer.binding, keep_link=now is not None
            )


def revoke_outgoing(link: Link, *, replaced: bool) -> None:
    """Revoke the tokens in the object ``link`` at the peer, through the outbox.

    :param replaced: the person has newer tokens. Some peers would revoke them too.
    """
    if _may_revoke(link, replaced=replaced):
        lifecycle.queue_revocation(link)


def _may_revoke(link: Link, *, replaced: bool) -> bool:
    return not replaced or revokes_replaced(link.peer)


def revokes_replaced(peer: Peer) -> bool:
    """Whether this site revokes a token at ``peer`` when a newer connection replaces it: the
    dialect decides, or else the setting of the peer."""
    forced = dialect_of(peer).revokes_replaced_tokens
    return peer.revoke_replaced if forced is None else forced


def holds_token_from(link: Link, response: TokenResponse, *others: Secret | None) -> bool:
    """Whether the token of ``link`` is one of those in ``response``, or of ``others``: some peers
    return the same token again, and revoking it would end the present connection."""
    held = link.refresh_token or link.access_token
    try:
        return bool(held) and held in (response.refresh_token, response.access_token, *others)
    except DecryptionError:
        return False  # Connecting again must work when no key decrypts the stored tokens.


def may_keep_refresh_token(link: Link, response: TokenResponse) -> bool:
    """Whether ``link`` keeps its refresh token when it gets the access token in ``response``: the
    response contains no refresh token (RFC 6749, section 6), and the link is active. The caller
    makes sure that both are of the same account."""
    if not link.is_active or response.refresh_token is not None:
        return False
    try:
        return bool(link.refresh_token.reveal())
    except DecryptionError:
        return False


def is_token_in_use(item: OutboxItem) -> bool:
    """Whether the token that ``item`` is to revoke belongs to an active link of the same person.

    This happens when the person connects again and the peer returns the same token.

    :raises DecryptionError: no key decrypts the token.
    """
    item.token.reveal()
    if item.link is None:
        return False  # The link was deleted.
    own = Link.objects.filter(
        peer=item.peer_id, user=item.link.user_id, status=Link.Status.ACTIVE
    ).only("user", "peer", "bound_to", "access_token", "refresh_token")
    # Each encryption gives another text, so the query cannot compare the tokens.
    return any(
        _is_same(stored, item.token)
        for link in own
        for stored in (link.access_token, link.refresh_token)
    )


def _is_same(stored: Secret, token: Secret) -> bool:
    try:
        return stored == token
    except DecryptionError:
        return False


def _unchanged_row(link: Link, used: Secret) -> QuerySet[Link]:
    """The row of ``link``, if its access still works and its refresh token is still ``used``."""
    return Link.objects.filter(
        pk=link.pk,
        status=Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ACTIVE,
        refresh_token=used,
    )
