"""Records on a link that the peer has lost its tokens at this site.

DOT revokes or deletes tokens in many ways: its page of authorized tokens, the actions of its admin,
a logout, its reuse protection, ``cleartokens``; and any code may delete a row. After the commit,
this module checks the links of the owner. If no token of the peer works any more, the incoming
direction is broken, and a code that is being delivered is stopped: the revocation is a later
decision than the consent. If the tokens have only expired, nobody has decided anything, and the
delivery of a code continues.

Tokens that this app itself revokes, to replace a grant or to end a link, are ignored
(:func:`.incoming_access.is_own_revocation`).
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

#: Links that one query checks: SQLite allows 999 parameters.
BATCH_ROWS = 400


class _LostTokens:
    """The DOT tokens that were deleted or revoked in one transaction."""

    def __init__(self) -> None:
        #: The owners of the tokens: user and application.
        self.owners: set[tuple[Any, Any]] = set()
        #: The owners of access tokens that were deleted before they had expired.
        self.owners_of_unexpired: set[tuple[Any, Any]] = set()
        #: Refresh tokens that were deleted without being revoked: their access tokens, by family.
        self.access_tokens: dict[Any, set[Any]] = defaultdict(set)

    def add(self, token: Any) -> None:
        """Add an access token or a refresh token."""
        owner = (token.user_id, token.application_id)
        self.owners.add(owner)
        if isinstance(token, get_refresh_token_model()):
            if token.revoked is None and token.access_token_id is not None:
                self.access_tokens[token.token_family].add(token.access_token_id)
        elif not token.is_expired():
            self.owners_of_unexpired.add(owner)

    @cached_property
    def expired_families(self) -> set[Any]:
        """Families of the refresh tokens that were deleted because they had expired. Their access
        tokens are still there: ``cleartokens`` deletes them a moment later."""
        expired = incoming_access.expired_beyond_renewal(set().union(*self.access_tokens.values()))
        return {family for family, keys in self.access_tokens.items() if keys & expired}


class _InTransaction(threading.local):
    """The tokens that were lost in the current transaction of this thread."""

    def __init__(self) -> None:
        self.lost = _LostTokens()

    def take(self) -> _LostTokens:
        lost, self.lost = self.lost, _LostTokens()
        return lost


_in_transaction = _InTransaction()


def note_lost_token(token: Any) -> None:
    """Check the links of the owner of ``token`` after the commit: this DOT token is being deleted
    or revoked."""
    if token.user_id is None or incoming_access.is_own_revocation():
        return
    _in_transaction.lost.add(token)
    # For each token, although the first call checks all: a rollback to a savepoint drops the calls
    # that were registered since.
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
        # The database fails, or a setting of DOT is malformed. The tokens are revoked already, and
        # the next reciprocal_prune checks the links again.
        log_exception(logger, "Could not check the links whose tokens were revoked")


def record_lost_access(links: QuerySet[Link], lost: _LostTokens | None = None) -> int:
    """Break the incoming direction of those of ``links`` whose peer has no working token, and stop
    their hand-overs.

    :returns: the number of links whose incoming direction was broken.
    """
    lost = lost or _LostTokens()
    candidates = with_unrecorded_loss(links, by_access_token=bool(lost.owners_of_unexpired))
    return sum(_record_if_still_lost(pk, lost) for pk in _keys_in_batches(candidates))


def with_unrecorded_loss(links: QuerySet[Link], *, by_access_token: bool = False) -> QuerySet[Link]:
    """Those of ``links`` whose own tokens are lost while the link does not say so: the incoming
    direction is active, or a decision is pending or has failed that changes an earlier access.

    :param by_access_token: also include links with such a decision that never had a refresh token.
        Only the deletion of their access token shows that they had access.
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
    """Check ``link`` before the peer gets new tokens for it. Somebody may have revoked the earlier
    tokens without a signal, such as with ``QuerySet.update()``.

    :returns: whether the access was lost. The row of the link then says so.
    """
    had_access = link.incoming_family is not None
    return had_access and record_lost_access(Link.objects.filter(pk=link.pk)) > 0


def _keys_in_batches(links: QuerySet[Link]) -> Iterator[Any]:
    """The primary keys of ``links``, read with one query for each batch."""
    in_order = links.order_by("pk")
    batch = list(in_order.values_list("pk", flat=True)[:BATCH_ROWS])
    while batch:
        yield from batch
        batch = list(in_order.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _record_if_still_lost(pk: Any, lost: _LostTokens) -> bool:
    """Check one link again, with its row locked.

    :returns: whether the incoming direction was broken.
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
            # Nobody has revoked anything, so the newer decision still has to be carried out.
            Link.objects.filter(pk=pk).update(incoming_family=None, linked_at=None)
        if family is not None:
            # The refresh token was lost, and its access token was issued under the same grant
            # (RFC 7009, section 2.1).
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
