"""Our access at a peer: stored on a link, handed out fresh, refreshed by one worker at a time.

RFC 6749, section 6. A row lock is no guard on SQLite, and a lock must not be held during HTTP, so
the refresh is guarded by a lease: one conditional UPDATE by the database's clock. Whoever does not
get it waits and reads again.

How often a peer is asked is counted on the link: a peer that refuses is asked less and less often,
and after a while no more; one that asks to be left alone is left alone.
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

#: Pauses, in seconds, of whoever waits for the refresh of another: the first one, and the longest.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.05, 0.4
#: The columns that :func:`set_tokens` sets of an access that works already.
_REFRESHED_FIELDS = (
    "access_token",
    "refresh_token",
    "outgoing_scope",
    "access_token_expires_at",
    "refresh_refusals",
    "refresh_not_before",
)


def set_tokens(
    link: Link, answer: TokenResponse, *, asked_scope: str, called: Peer | None = None
) -> None:
    """Put a token response on ``link`` as its outgoing access. The caller saves.

    :param asked_scope: what was asked for: the granted scope where the peer does not say another
        (RFC 6749, section 5.1).
    :param called: the peer as it was when it gave new access. ``None``: it has renewed what the
        link had, which stays for those for whom it was.
    """
    if called is not None:
        if not is_bound_for_tokens(link.bound_to, called):
            link.refresh_token = Secret("")  # Given elsewhere: it stays there.
        link.bound_to = called.binding
    link.access_token = answer.access_token
    if answer.refresh_token is not None:
        link.refresh_token = answer.refresh_token
    link.outgoing_scope = asked_scope if answer.scope is None else answer.scope
    # What cannot be renewed is not given up before its time.
    can_be_renewed = bool(link.refresh_token) or answer.ends_at is None
    link.access_token_expires_at = answer.expires_at if can_be_renewed else answer.ends_at
    link.outgoing_state = Link.Outgoing.ACTIVE
    link.outgoing_reason = ""
    link.refresh_refusals, link.refresh_not_before = 0, None


def fresh_access_token(link: Link, *, not_this: Secret | None = None) -> Secret:
    """A token that the peer should accept now.

    :param not_this: a token that the peer has just refused although it had not expired.
    :raises NotLinked: there is no working outgoing access; the link says why.
    :raises PeerError: it has expired and could not be refreshed this time; try again later.
    :raises RefreshPostponed: the peer is not asked to refresh it before a while has passed.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A peer cannot be called")
    give_up = time.monotonic() + settings.HTTP_TOTAL_TIMEOUT_SECONDS
    pause = _FIRST_POLL_SECONDS
    while True:
        _reload(link)
        if _is_usable(link, not_this):
            return link.access_token
        if not link.refresh_token:
            unchanged = Q(access_token=link.access_token, refresh_token="")
            if not lifecycle.break_outgoing(link, Link.Reason.EXPIRED, still=unchanged):
                continue
            raise NotLinked(f"The access of link {link.pk} ran out and cannot be renewed.")
        _require_refresh_allowed(link)
        # Others may refresh from then on.
        lease_ends = time.monotonic() + settings.LEASE_SECONDS
        if owner := _take_lease(link):
            if (token := _refresh(link, owner, not_this, lease_ends)) is not None:
                return token
        elif time.monotonic() >= give_up:
            raise PeerUnreachable(f"Link {link.pk} is being refreshed elsewhere for too long.")
        else:
            release_connections()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)


def is_current_token(link: Link, token: Secret) -> bool:
    """Whether ``token`` is still the access token of ``link``, which a refresh or a new connection
    may have replaced since it was read.

    :raises DecryptionError: nobody can tell.
    """
    now = Link.objects.filter(pk=link.pk).first()
    return now is not None and now.access_token == token


def _reload(link: Link) -> None:
    """:raises NotLinked: the link is gone, has ended, or has no working outgoing access; or its
    user is deactivated."""
    try:
        link.refresh_from_db(from_queryset=Link.objects.select_related("peer", "user"))
    except Link.DoesNotExist:
        raise NotLinked(f"Link {link.pk} is gone.") from None
    if not link.is_active or link.outgoing_state != Link.Outgoing.ACTIVE or not link.peer.enabled:
        raise NotLinked(f"Link {link.pk} has no working outgoing access.")
    if not link.user.is_active:
        raise NotLinked(f"The user of link {link.pk} is deactivated.")
    if not is_bound_for_tokens(link.bound_to, link.peer):
        lifecycle.break_reconfigured(link)
        raise NotLinked(f"The access of link {link.pk} was given at another address.")


def _is_usable(link: Link, not_this: Secret | None) -> bool:
    if not link.access_token or (not_this is not None and link.access_token == not_this):
        return False
    expires = link.access_token_expires_at
    return expires is None or expires > timezone.now()


def _require_refresh_allowed(link: Link) -> None:
    """:raises RefreshPostponed: the peer is to be left alone for a while."""
    now = timezone.now()
    if link.refresh_not_before is not None and link.refresh_not_before > now:
        raise RefreshPostponed(
            f"The peer is not asked to renew the access of link {link.pk} before "
            f"{link.refresh_not_before.isoformat(timespec='seconds')}.",
            retry_after=(link.refresh_not_before - now).total_seconds(),
        )


@tried_again
def _take_lease(link: Link) -> str | None:
    """The name under which the lease is ours; ``None``: somebody else has it, or the peer has just
    asked to be left alone."""
    free = Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lt=Now())
    may_be_asked = Q(refresh_not_before__isnull=True) | Q(refresh_not_before__lte=timezone.now())
    until = Now() + timedelta(seconds=settings.LEASE_SECONDS)
    owner = secrets.token_hex(16)
    taken = Link.objects.filter(free, may_be_asked, pk=link.pk).update(
        refresh_lease_until=until, refresh_lease_owner=owner
    )
    return owner if taken else None


def _release_lease(link: Link, owner: str) -> None:
    # A worker that was held up may come back when another one has the lease.
    mine = Link.objects.filter(pk=link.pk, refresh_lease_owner=owner)
    try:
        tried_again(mine.update)(refresh_lease_until=None, refresh_lease_owner="")
    except (DatabaseError, InterfaceError):
        # What came of the refresh counts, also that nothing did; the lease runs out.
        logger.warning("The refresh lease of link %s could not be given back", link.pk)


def _refresh(link: Link, owner: str, not_this: Secret | None, lease_ends: float) -> Secret | None:
    """Refresh, holding the lease. ``None``: the link was changed while we asked; look again.

    :param lease_ends: when, by ``time.monotonic()``.
    """
    try:
        # Somebody may have finished between our reading and our lease.
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
        # A slow worker may hear this after another one has stored a newer token.
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
    """Seconds for which the peer is not asked again; ``None``: it has refused for good.

    ``invalid_grant`` is final (RFC 6749, section 5.2), whatever the status: asking again would only
    look like an attack there. What else is wrong may be mended there or here, so it is asked a few
    times more. An outage says nothing about the token, so it is never the end.
    """
    if refused.error == INVALID_GRANT:
        return None
    if refused.may_pass:
        return refused.retry_after or 0.0
    policy = RetryPolicy(settings.RETRY_SCHEDULE_SECONDS)
    return policy.pause_after(link.refresh_refusals + 1, refused.retry_after)


def _postpone(link: Link, refused: PeerRefused, pause: float, *, still: Q) -> None:
    """:param pause: seconds."""
    values: dict[str, int | datetime] = {}
    if not refused.may_pass:
        values["refresh_refusals"] = link.refresh_refusals + 1
    if pause:
        values["refresh_not_before"] = timezone.now() + timedelta(seconds=pause)
    if values:
        tried_again(Link.objects.filter(still, pk=link.pk).update)(**values)


@tried_again
def allow_refresh(peer: Peer) -> None:
    """Have ``peer`` asked to refresh at once, with every link that it has refused: what was wrong
    has been corrected."""
    Link.objects.filter(peer=peer, refresh_not_before__isnull=False).update(
        refresh_refusals=0, refresh_not_before=None
    )


def _store_refreshed(
    link: Link, used: Secret, answer: TokenResponse, lease_ends: float
) -> Secret | None:
    """Store what ``used`` was refreshed to, unless the link was changed while we asked. The peer
    may have ended ``used`` with its answer, so what it gave must not be lost to a database that
    fails now."""
    expired = link.access_token
    set_tokens(link, answer, asked_scope=link.outgoing_scope)
    values = {field: getattr(link, field) for field in _REFRESHED_FIELDS}

    def save() -> Secret | None:
        return _save_refreshed(link, used, expired, answer, values)

    return saved_at_last(f"The renewed tokens of link {link.pk}", save, until=lease_ends)


def _save_refreshed(
    link: Link, used: Secret, expired: Secret, answer: TokenResponse, values: dict[str, Any]
) -> Secret | None:
    if _unchanged_row(link, used).update(**values, updated_at=timezone.now()):
        return answer.access_token
    now = Link.objects.filter(pk=link.pk).first()
    if now is not None and _has_tokens(now, expired, used):
        # Somebody is replacing the keys: the same tokens, encrypted anew.
        reencrypted = _unchanged_row(link, now.refresh_token)
        if reencrypted.update(**values, updated_at=timezone.now()):
            return answer.access_token
    revoke_unused(link, answer, used=used)
    return None


def _has_tokens(link: Link, access_token: Secret, refresh_token: Secret) -> bool:
    try:
        return (link.access_token, link.refresh_token) == (access_token, refresh_token)
    except DecryptionError:
        return False


@tried_again
def revoke_unused(link: Link, answer: TokenResponse, *, used: Secret | None = None) -> None:
    """Have the tokens in ``answer`` revoked at the peer: since it was asked, ``link`` has been
    deleted, ended or given newer ones, or its user was deactivated. Nobody will use them, and they
    must not live on there.

    :param used: the refresh token that they were got with, which stays good where the peer does
        not give another.
    """
    with atomic():
        now = Link.objects.select_for_update().filter(pk=link.pk).first()
        if now is not None and holds_token_from(now, answer, used):
            return
        if not Peer.objects.filter(pk=link.peer_id).exists():
            return  # Its address went with it.
        is_replaced = now is not None and now.is_active and now.has_outgoing_tokens
        if _may_revoke(link, replaced=is_replaced):
            token = answer.refresh_token or used or answer.access_token
            lifecycle.queue_revocation(
                link, token, bound_to=link.peer.binding, keep_link=now is not None
            )


def revoke_outgoing(link: Link, *, replaced: bool) -> None:
    """Have the tokens that ``link`` carries revoked at the peer.

    :param replaced: there are newer ones, which some vendors would revoke with them.
    """
    if _may_revoke(link, replaced=replaced):
        lifecycle.queue_revocation(link)


def _may_revoke(link: Link, *, replaced: bool) -> bool:
    return not replaced or revokes_replaced(link.peer)


def revokes_replaced(peer: Peer) -> bool:
    """Whether a token that a newer connection replaces is revoked at ``peer``: its dialect may
    know, else an administrator does."""
    forced = dialect_of(peer).revokes_replaced_tokens
    return peer.revoke_replaced if forced is None else forced


def holds_token_from(link: Link, answer: TokenResponse, *others: Secret | None) -> bool:
    """Whether ``link`` holds one of the tokens in ``answer``, or of ``others``: some peers give the
    same one again, and to revoke it would end the connection in force."""
    held = link.refresh_token or link.access_token
    try:
        return bool(held) and held in (answer.refresh_token, answer.access_token, *others)
    except DecryptionError:
        return False  # Connecting again is what mends a link whose tokens nobody can read.


def may_keep_refresh_token(link: Link, answer: TokenResponse) -> bool:
    """Whether the refresh token of ``link`` goes with the access token in ``answer``, which is of
    the same account and brings no other (RFC 6749, section 6, says so of a refresh)."""
    if not link.is_active or answer.refresh_token is not None:
        return False
    try:
        return bool(link.refresh_token.reveal())
    except DecryptionError:
        return False


def is_token_in_use(item: OutboxItem) -> bool:
    """Whether the person of ``item``, a revocation, has connected again since, and the peer gave
    them the same token once more.

    :raises DecryptionError: nobody can read the token.
    """
    item.token.reveal()
    if item.link is None:
        return False  # The person is gone.
    own = Link.objects.filter(
        peer=item.peer_id, user=item.link.user_id, status=Link.Status.ACTIVE
    ).only("user", "peer", "bound_to", "access_token", "refresh_token")
    # Each encryption gives another text, so they are read one by one.
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
    """The link's row, if it still works and its refresh token is the one that we read."""
    return Link.objects.filter(
        pk=link.pk,
        status=Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ACTIVE,
        refresh_token=used,
    )
