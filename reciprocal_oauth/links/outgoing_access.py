"""The outgoing access of a link: the tokens of this site at the peer. This module stores the
tokens, returns them to callers, and refreshes them (RFC 6749, section 6).

Only one process or thread at a time (a *worker*) refreshes the tokens of a link. The worker takes
a lease (the right to refresh the tokens until a certain time). It takes the lease with one
conditional UPDATE, which uses the clock of the database. A row lock would not work, because SQLite
has no row locks, and because this app must not hold a lock during an HTTP request. A worker that
does not get the lease waits, and reads the link again.

The link counts how often the peer refuses to refresh the tokens. After each refusal, this site
waits longer before it asks again. After several refusals, it stops asking. It also obeys the HTTP
header ``Retry-After`` (RFC 9110, section 10.2.3).
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
from django.views.decorators.debug import sensitive_variables

from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import telemetry
from ..core.database import (
    release_connections,
    require_no_transaction,
    saved_at_last,
    tried_again,
)
from ..core.protocol import INVALID_GRANT
from ..core.retry_policy import RetryPolicy
from ..dialects import dialect_of
from ..exceptions import DecryptionError, NotLinked, PeerRefused, PeerUnreachable, RefreshPostponed
from ..models import Link, Peer
from ..models.binding import is_bound_for_tokens
from ..secret import Secret
from . import lifecycle
from .outgoing_revocation import revoke_unused

logger = logging.getLogger("reciprocal_oauth")

#: While another worker refreshes the tokens, a worker pauses and reads the link again. These are
#: its first pause and its longest pause, in seconds.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.05, 0.4
#: The columns of a link that a refresh of its tokens changes.
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
    """Copy the tokens of a token response to ``link``, with their scope and their expiry. The
    caller saves the link.

    :param asked_scope: the scope that this site asked for. It is the granted scope if the response
        contains no scope (RFC 6749, section 5.1).
    :param called: the peer, with the values that it had when it issued the tokens; ``None`` after a
        refresh, because refreshed tokens belong to the same addresses and client ID as before.
    """
    if called is not None:
        if not is_bound_for_tokens(link.bound_to, called):
            # The old refresh token belongs to a former address of the peer or a former client ID.
            # Delete it, because it must not be sent to the present address.
            link.refresh_token = Secret("")
        link.bound_to = called.binding
    link.access_token = response.access_token
    if response.refresh_token is not None:
        link.refresh_token = response.refresh_token
    link.outgoing_scope = asked_scope if response.scope is None else response.scope
    # ``ends_at`` is the time when the token expires. ``expires_at`` is a little earlier, so that a
    # token that can be renewed is renewed in time. A token that cannot be renewed is used until
    # ``ends_at``.
    can_be_renewed = bool(link.refresh_token) or response.ends_at is None
    link.access_token_expires_at = response.expires_at if can_be_renewed else response.ends_at
    link.outgoing_state = Link.Outgoing.ACTIVE
    link.outgoing_reason = ""
    link.refresh_refusals, link.refresh_not_before = 0, None


def fresh_access_token(link: Link, *, not_this: Secret | None = None) -> Secret:
    """Return an access token that the peer should accept now. If the stored access token has
    expired, refresh it first (RFC 6749, section 6).

    :param not_this: an access token that must not be returned, because the peer has just refused it
        although it had not expired.
    :raises NotLinked: the link has no working outgoing access. The link stores the reason.
    :raises PeerError: the access token has expired and could not be refreshed now. A later attempt
        can succeed.
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
        # If this worker takes the lease now, the lease ends at this time. After that, another
        # worker can take the lease and refresh the tokens.
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
    """Return whether ``token`` is still the stored access token of ``link``. Return ``False`` if a
    refresh or a new connection of the user has replaced it, or if the link was deleted.

    :raises DecryptionError: no key decrypts the stored token.
    """
    now = Link.objects.filter(pk=link.pk).first()
    return now is not None and now.access_token == token


def can_hand_over(link: Link) -> bool:
    """Return whether this site can send the peer a reciprocal code. The request needs an access
    token that the peer has issued, because this token tells the peer for which of its users the
    code is (draft-ietf-oauth-reciprocal-04, section 2.2.2). At some vendors, only some of their
    tokens can be used for that."""
    if not link.peer.supports_reverse or link.outgoing_state != Link.Outgoing.ACTIVE:
        return False
    try:
        return not link.peer_data or dialect_of(link.peer, link.data).may_send()
    except DecryptionError:
        return True  # The hand-over fails, and its error says what is wrong.


def _reload(link: Link) -> None:
    """Read the link, its peer and its user from the database again.

    :raises NotLinked: the link was deleted, has ended or has no working outgoing access, its peer
        is disabled, or its user was deactivated.
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
    """Check that this site may ask the peer to refresh the tokens now.

    :raises RefreshPostponed: this site must wait before it asks the peer again.
    """
    now = timezone.now()
    if link.refresh_not_before is not None and link.refresh_not_before > now:
        raise RefreshPostponed(
            f"This site does not ask the peer to renew the access of link {link.pk} before "
            f"{link.refresh_not_before.isoformat(timespec='seconds')}.",
            retry_after=(link.refresh_not_before - now).total_seconds(),
        )


@tried_again
def _take_lease(link: Link) -> str | None:
    """Take the lease of ``link``. Return a random text that identifies this worker in the row of
    the link. Return ``None`` if another worker has the lease, or if this site must wait before it
    asks the peer again."""
    free = Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lt=Now())
    may_be_asked = Q(refresh_not_before__isnull=True) | Q(refresh_not_before__lte=timezone.now())
    until = Now() + timedelta(seconds=settings.LEASE_SECONDS)
    owner = secrets.token_hex(16)
    taken = Link.objects.filter(free, may_be_asked, pk=link.pk).update(
        refresh_lease_until=until, refresh_lease_owner=owner
    )
    return owner if taken else None


def _release_lease(link: Link, owner: str) -> None:
    # Select the link only if the lease still belongs to this worker. After a long delay, another
    # worker can have taken the lease.
    mine = Link.objects.filter(pk=link.pk, refresh_lease_owner=owner)
    try:
        tried_again(mine.update)(refresh_lease_until=None, refresh_lease_owner="")
    except (DatabaseError, InterfaceError):
        # Do not raise this error, because the caller needs the result of the refresh. The lease
        # ends by itself when its time is over.
        logger.warning("The refresh lease of link %s could not be released", link.pk)


def _refresh(link: Link, owner: str, not_this: Secret | None, lease_ends: float) -> Secret | None:
    """Refresh the tokens (RFC 6749, section 6) while this worker holds the lease, and return the
    new access token. Return ``None`` if other code has changed the link during the refresh; the
    caller then reads the link again.

    :param lease_ends: the end of the lease, as a value of ``time.monotonic()``.
    :raises NotLinked: the peer will never refresh these tokens, or the link has no working access.
    :raises PeerError: the refresh failed, but a later attempt can succeed.
    """
    try:
        # Read the link again, because another worker can have refreshed the token just before this
        # worker took the lease.
        _reload(link)
        if _is_usable(link, not_this):
            return link.access_token
        used = link.refresh_token
        if not used:
            return None
        return _store_refreshed(link, used, _ask_for_refresh(link, used), lease_ends)
    except PeerRefused as error:
        # Change the link only if it still has the refused token, because another worker can have
        # stored a newer token during the request.
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


@sensitive_variables()
def _ask_for_refresh(link: Link, used: Secret) -> TokenResponse:
    result, slug = "failed", link.peer.slug
    try:
        with telemetry.span(telemetry.Step.REFRESH, slug):
            response = dialect_of(link.peer, link.data).refresh(link.peer, used)
        result = "done"
        return response
    except PeerRefused:
        result = "refused"
        raise
    finally:
        telemetry.count(telemetry.Count.TOKEN_REFRESHES, peer=slug, result=result)


def _pause_after(link: Link, refused: PeerRefused) -> float | None:
    """Return how many seconds this site must wait before it asks the peer to refresh again. Return
    ``None`` if the refusal is final.

    ``invalid_grant`` is final with every HTTP status (RFC 6749, section 5.2), because more requests
    with the same token could look like an attack. A temporary failure (``refused.may_pass``) is
    never final. After other errors, this site asks a few more times, because an administrator of
    one of the two sites can correct the error.
    """
    if refused.error == INVALID_GRANT:
        return None
    if refused.may_pass:
        return refused.retry_after or 0.0
    policy = RetryPolicy(settings.RETRY_SCHEDULE_SECONDS)
    return policy.pause_after(link.refresh_refusals + 1, refused.retry_after)


def _postpone(link: Link, refused: PeerRefused, pause: float, *, still: Q) -> None:
    """Store when this site may ask the peer again. If the refusal is not temporary, count it.

    :param pause: the seconds to wait.
    :param still: a condition that the stored row must meet; otherwise nothing is stored.
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
    """Forget how often ``peer`` has refused to refresh tokens, so that this site may ask the peer
    again immediately. Call this function when an administrator has corrected the cause."""
    Link.objects.filter(peer=peer, refresh_not_before__isnull=False).update(
        refresh_refusals=0, refresh_not_before=None
    )


def _store_refreshed(
    link: Link, used: Secret, response: TokenResponse, lease_ends: float
) -> Secret | None:
    """Store the refreshed tokens, unless other code has changed the link during the refresh.

    If the database fails, repeat the saving until ``lease_ends``. The new refresh token must not be
    lost, because the peer perhaps no longer accepts the refresh token ``used`` (RFC 6749, section
    6).
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
        # The stored tokens are still the same. But the key rotation has encrypted them again, so
        # the update above did not find the ciphertext that it looked for.
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


def may_keep_refresh_token(link: Link, response: TokenResponse) -> bool:
    """Return whether ``link`` keeps its stored refresh token when it gets the access token in
    ``response``. All must be true:

    - The link is active.
    - The response contains no refresh token (RFC 6749, section 6).
    - The link has a refresh token, and a key decrypts it.

    The caller makes sure that ``link`` and ``response`` belong to the same account at the peer.
    """
    if not link.is_active or response.refresh_token is not None:
        return False
    try:
        return bool(link.refresh_token.reveal())
    except DecryptionError:
        return False


def _unchanged_row(link: Link, used: Secret) -> QuerySet[Link]:
    """Return a queryset with the row of ``link``. The queryset is empty if the outgoing access no
    longer works, or if the stored refresh token is not ``used``."""
    return Link.objects.filter(
        pk=link.pk,
        status=Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ACTIVE,
        refresh_token=used,
    )
