"""Notices that a peer has lost its tokens here, by whatever door they went.

DOT has doors of its own: its page of authorized tokens, the actions of its admin, a logout, its
reuse protection, ``cleartokens``; and any code may delete a row. After the commit the link is
looked at, and where nothing of the peer's works any more, the incoming direction is broken. Who
took the access away has decided later than who allowed it: a code that is still on its way is
stopped. What only ran out takes back no decision: a code on its way goes on.

What this app itself revokes, to put a new grant in the place of an old one or to end the link, is
not looked at (:func:`.access_here.is_revoking`).
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet
from oauth2_provider.models import get_refresh_token_model

from ..core.database import atomic, log_exception, on_commit, tried_again
from ..models import Link
from ..models.reasons import LOST_INCOMING
from . import incoming_access, lifecycle

logger = logging.getLogger("reciprocal_oauth")

#: Links that are looked at with one query; SQLite takes 999 parameters.
BATCH_ROWS = 400


class _LostTokens:
    """What tokens went in a transaction."""

    def __init__(self) -> None:
        #: Whose they were: user and application.
        self.owners: set[tuple[Any, Any]] = set()
        #: Those whose access token went while it worked.
        self.cut_off: set[tuple[Any, Any]] = set()
        #: By family, the access tokens of refresh tokens that went without having been revoked.
        self.left_over: dict[Any, set[Any]] = defaultdict(set)

    def add(self, token: Any) -> None:
        owner = (token.user_id, token.application_id)
        self.owners.add(owner)
        if isinstance(token, get_refresh_token_model()):
            if token.revoked is None and token.access_token_id is not None:
                self.left_over[token.token_family].add(token.access_token_id)
        elif not token.is_expired():
            self.cut_off.add(owner)

    def run_out(self) -> set[Any]:
        """Families of the refresh tokens that were deleted because they had not been used for too
        long: ``cleartokens`` leaves their access tokens standing for a moment."""
        found = incoming_access.expired_beyond_renewal(set().union(*self.left_over.values()))
        return {family for family, left in self.left_over.items() if left & found}


class _LostInTransaction(threading.local):
    """What this thread's transaction has let go so far."""

    def __init__(self) -> None:
        self.gone = _LostTokens()

    def take(self) -> _LostTokens:
        gone, self.gone = self.gone, _LostTokens()
        return gone


_lost_in_transaction = _LostInTransaction()


def note_lost_token(token: Any) -> None:
    """A token of DOT's is being deleted or revoked: look at its owner's links after the commit."""
    if token.user_id is None or incoming_access.is_own_revocation():
        return
    _lost_in_transaction.gone.add(token)
    # Once for each token, of which the first looks for all: one that a savepoint took back with it
    # would not come.
    on_commit(_record_after_commit)


def _record_after_commit() -> None:
    gone = _lost_in_transaction.take()
    if not gone.owners:
        return
    try:
        owners = list(gone.owners)
        for start in range(0, len(owners), BATCH_ROWS):
            users, applications = zip(*owners[start : start + BATCH_ROWS], strict=True)
            links = Link.objects.filter(
                user_id__in=set(users), peer__application_id__in=set(applications)
            )
            record_lost_access(links, gone)
    except Exception:
        # The database fails, or a setting of DOT's is malformed. Whoever revoked has done so; the
        # next reciprocal_prune looks again.
        log_exception(logger, "It could not be seen which links the revoked tokens belonged to")


def record_lost_access(links: QuerySet[Link], gone: _LostTokens | None = None) -> int:
    """Break the incoming direction of those of ``links`` whose peer can do nothing here any more,
    and stop what was on its way to it.

    :returns: how many there were.
    """
    gone = gone or _LostTokens()
    noticed, run_out = 0, None
    for pk in _keys_in_batches(with_unrecorded_loss(links, by_access_token=bool(gone.cut_off))):
        run_out = gone.run_out() if run_out is None else run_out
        noticed += _record_if_still_lost(pk, gone, run_out)
    return noticed


def with_unrecorded_loss(links: QuerySet[Link], *, by_access_token: bool = False) -> QuerySet[Link]:
    """Those of ``links`` whose own tokens are gone, while they say that the peer's access works, or
    did when the decision was made that the peer is still to be told of.

    :param by_access_token: also those of the latter that never had a refresh token. Only who has
        seen the access token go can tell.
    """
    pending = Q(incoming_state=Link.Incoming.GRANTED) | Q(
        ~Q(incoming_reason__in=LOST_INCOMING), incoming_state=Link.Incoming.BROKEN
    )
    has_had = Q(incoming_family__isnull=False)
    if by_access_token:
        has_had |= Q(confirmed_generation__gt=0)
    looked_at = Q(incoming_state=Link.Incoming.ACTIVE) | (pending & has_had)
    return incoming_access.without_live_tokens(links.filter(looked_at, status=Link.Status.ACTIVE))


def record_if_lost(link: Link) -> bool:
    """Look once more before the peer gets new tokens for ``link``: whoever revoked those that it
    had may have done so where no signal is sent, such as with ``QuerySet.update``.

    :returns: whether it was so; ``link``'s row then says it.
    """
    has_had = link.incoming_family is not None
    return has_had and record_lost_access(Link.objects.filter(pk=link.pk)) > 0


def _keys_in_batches(links: QuerySet[Link]) -> Iterator[Any]:
    """Read in batches, each with one query however many links there are."""
    suspects = links.order_by("pk")
    batch = list(suspects.values_list("pk", flat=True)[:BATCH_ROWS])
    while batch:
        yield from batch
        batch = list(suspects.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _record_if_still_lost(pk: Any, gone: _LostTokens, run_out: set[Any]) -> bool:
    """:returns: whether the link says now that the peer's access has ended."""
    with atomic():
        try:
            link = lifecycle.lock_link(pk)
        except Link.DoesNotExist:
            return False
        as_it_is = with_unrecorded_loss(
            Link.objects.filter(pk=pk), by_access_token=bool(gone.cut_off)
        )
        if not as_it_is.exists() or incoming_access.has_any_tokens(link):
            return False
        family, reason = link.incoming_family, _reason(link, gone, run_out)
        has_ended = link.incoming_state == Link.Incoming.ACTIVE or reason != Link.Reason.EXPIRED
        if has_ended:
            lifecycle.break_lost_incoming(link, reason)
        else:
            # Nobody has decided anything: the newer decision is still to be carried out.
            Link.objects.filter(pk=pk).update(incoming_family=None, linked_at=None)
        if family is not None:
            # An access token whose refresh token went by itself: it was of the same grant
            # (RFC 7009, section 2.1).
            incoming_access.revoke_family(link, family)
            incoming_access.revoke_access_tokens(gone.left_over.get(family, ()))
    return has_ended


def _reason(link: Link, gone: _LostTokens, run_out: set[Any]) -> str:
    if link.incoming_family is None:
        has_ended = (link.user_id, link.peer.application_id) in gone.cut_off
    else:
        has_ended = link.incoming_family not in run_out and not incoming_access.has_expired(link)
    return Link.Reason.REVOKED_HERE if has_ended else Link.Reason.EXPIRED
