"""Records on a link that the peer has lost its tokens at this site.

DOT revokes or deletes tokens in many places: its page of authorized tokens, its admin actions, the
logout, its reuse protection and its command ``cleartokens``. Other code can delete tokens too.
After the commit, this module checks the links between the user and the peer of these tokens. If the
peer has no working token, this module marks the incoming direction as broken. If a reciprocal code
is being delivered to the peer at that time, there are two cases:

- The tokens were revoked. This module stops the delivery, because the revocation is newer than
  the consent of the user.
- The tokens have expired. This module lets the delivery continue and does not mark the direction
  as broken, because nobody has revoked the access.

This app itself also revokes tokens, to replace a grant or to end a link. This module ignores these
tokens (:func:`.incoming_access.is_own_revocation`).
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.db.models import Q, QuerySet
from oauth2_provider.models import get_refresh_token_model

from ..core.database import atomic, log_exception, on_commit, tried_again
from ..models import Link
from ..models.reasons import LOST_INCOMING
from . import incoming_access, lifecycle

logger = logging.getLogger("reciprocal_oauth")

#: The number of links, or of pairs of a user ID and an application ID, in one query. Each pair adds
#: two parameters to the query, and SQLite allows at most 999.
BATCH_ROWS = 400


class _LostTokens:
    """The DOT tokens that were deleted or revoked in one transaction."""

    def __init__(self) -> None:
        #: For each token: the ID of the user who allowed the access, and the ID of the DOT
        #: application that used the token.
        self.owners: set[tuple[Any, Any]] = set()
        #: The pair (user ID, application ID) of each access token that was deleted before it
        #: expired. DOT deletes an access token to revoke it.
        self.owners_of_unexpired: set[tuple[Any, Any]] = set()
        #: For each ``token_family`` whose refresh tokens were deleted although they were not
        #: revoked: the primary keys of the access tokens of these refresh tokens.
        self.access_tokens: dict[Any, set[Any]] = defaultdict(set)

    def add(self, token: Any) -> None:
        """Add a DOT access token or refresh token that was deleted or revoked."""
        owner = (token.user_id, token.application_id)
        self.owners.add(owner)
        if isinstance(token, get_refresh_token_model()):
            if token.revoked is None and token.access_token_id is not None:
                self.access_tokens[token.token_family].add(token.access_token_id)
        elif not token.is_expired():
            self.owners_of_unexpired.add(owner)

    @cached_property
    def expired_families(self) -> set[Any]:
        """Return each ``token_family`` whose refresh token was deleted because it had expired.

        DOT stores no expiry on refresh tokens, so this method looks at the expiry of the access
        tokens that belonged to them. These access tokens still exist: DOT's command ``cleartokens``
        deletes the refresh tokens first."""
        expired = incoming_access.expired_beyond_renewal(set().union(*self.access_tokens.values()))
        return {family for family, keys in self.access_tokens.items() if keys & expired}


class _InTransaction(threading.local):
    """The DOT tokens that were deleted or revoked in the current transaction. Each thread has its
    own list."""

    def __init__(self) -> None:
        self.lost = _LostTokens()

    def take(self) -> _LostTokens:
        lost, self.lost = self.lost, _LostTokens()
        return lost


_in_transaction = _InTransaction()


def note_lost_token(token: Any) -> None:
    """Remember a DOT token that is being deleted or revoked. After the commit, check the links
    between the user and the peer of this token."""
    if token.user_id is None or incoming_access.is_own_revocation():
        return
    _in_transaction.lost.add(token)
    # Register the function again for each token, although one call checks all tokens. Otherwise
    # the only registration could be lost: when a savepoint is rolled back, Django drops the
    # functions that were registered after the savepoint.
    on_commit(_record_after_commit)


def _record_after_commit() -> None:
    lost = _in_transaction.take()
    if not lost.owners:
        return
    try:
        owners = list(lost.owners)
        for start in range(0, len(owners), BATCH_ROWS):
            users, applications = zip(*owners[start : start + BATCH_ROWS], strict=True)
            links = Link.objects.filter(
                user_id__in=set(users), peer__application_id__in=set(applications)
            )
            record_lost_access(links, lost)
    except Exception:
        # Possible causes are a database error and a malformed setting of DOT. Do not raise, because
        # the tokens are already revoked and the next reciprocal_prune checks the links again.
        log_exception(logger, "Could not check the links whose tokens were revoked")


def record_lost_access(links: QuerySet[Link], lost: _LostTokens | None = None) -> int:
    """Find the links among ``links`` whose peer has no working token. Mark their incoming direction
    as broken, and stop the delivery of their reciprocal codes.

    :returns: the number of links whose incoming direction was marked as broken.
    """
    lost = lost or _LostTokens()
    candidates = with_unrecorded_loss(links, by_access_token=bool(lost.owners_of_unexpired))
    return sum(_record_if_still_lost(pk, lost) for pk in _keys_in_batches(candidates))


def with_unrecorded_loss(links: QuerySet[Link], *, by_access_token: bool = False) -> QuerySet[Link]:
    """Return the links among ``links`` whose peer has lost its tokens, although the stored state of
    the link still says that the peer has access. The state says so in two cases:

    1. The incoming direction of the link is active.
    2. The peer had access, and the user has decided again since then. The reciprocal code for the
       new decision is still being delivered, or could not be delivered.

    :param by_access_token: In case 2, a ``token_family`` on the link normally shows that the peer
        had access. If this is ``True``, it is also enough that the peer has redeemed a reciprocal
        code. Use ``True`` if an access token was deleted before it expired.
    """
    changing = Q(incoming_state=Link.Incoming.GRANTED) | Q(
        ~Q(incoming_reason__in=LOST_INCOMING), incoming_state=Link.Incoming.BROKEN
    )
    had_access = Q(incoming_family__isnull=False)
    if by_access_token:
        had_access |= Q(confirmed_generation__gt=0)
    says_access = Q(incoming_state=Link.Incoming.ACTIVE) | (changing & had_access)
    return incoming_access.without_live_tokens(links.filter(says_access, status=Link.Status.ACTIVE))


def record_if_lost(link: Link) -> bool:
    """Check whether the peer has lost its tokens for ``link``. If so, record the loss on ``link``.

    Call this function before this site sends a reciprocal code, and before it issues tokens for
    one. Perhaps the earlier tokens were revoked without a signal, for example with
    ``QuerySet.update()``. This site can notice such a revocation only until the peer gets new
    tokens. Without this call, the peer would have access again in spite of the revocation.

    :returns: whether the incoming direction of ``link`` was marked as broken.
    """
    had_access = link.incoming_family is not None
    return had_access and record_lost_access(Link.objects.filter(pk=link.pk)) > 0


def _keys_in_batches(links: QuerySet[Link]) -> Iterator[Any]:
    """Yield the primary keys of ``links``. One query reads one batch of keys."""
    in_order = links.order_by("pk")
    batch = list(in_order.values_list("pk", flat=True)[:BATCH_ROWS])
    while batch:
        yield from batch
        batch = list(in_order.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _record_if_still_lost(pk: Any, lost: _LostTokens) -> bool:
    """Lock the row of one link, check the link again, and record the loss of its tokens.

    :returns: whether the incoming direction was marked as broken.
    """
    with atomic():
        try:
            link = lifecycle.lock_link(pk)
        except Link.DoesNotExist:
            return False
        still = with_unrecorded_loss(
            Link.objects.filter(pk=pk), by_access_token=bool(lost.owners_of_unexpired)
        )
        if not still.exists() or incoming_access.has_any_tokens(link):
            return False
        family, reason = link.incoming_family, _reason_for_loss(link, lost)
        has_ended = link.incoming_state == Link.Incoming.ACTIVE or reason != Link.Reason.EXPIRED
        if has_ended:
            lifecycle.break_lost_incoming(link, reason)
        else:
            # The tokens have expired and were not revoked. So do not stop the reciprocal code that
            # is being delivered for the newest decision of the user.
            Link.objects.filter(pk=pk).update(incoming_family=None, linked_at=None)
        if family is not None:
            # The refresh token was lost. Also revoke the access tokens that come from the same
            # grant (RFC 7009, section 2.1).
            incoming_access.revoke_family(link, family)
            incoming_access.revoke_access_tokens(lost.access_tokens.get(family, ()))
    return has_ended


def _reason_for_loss(link: Link, lost: _LostTokens) -> str:
    family = link.incoming_family
    if family is None:
        was_revoked = (link.user_id, link.peer.application_id) in lost.owners_of_unexpired
    else:
        was_revoked = family not in lost.expired_families and not incoming_access.has_expired(link)
    return Link.Reason.REVOKED_HERE if was_revoked else Link.Reason.EXPIRED
