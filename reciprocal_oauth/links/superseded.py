"""Ends a link that no longer works, if the person has made a newer one with the same account.

When a database is restored from a backup, at this site or at the peer, the tokens that were renewed
since then are lost. The stored tokens are refused, and the person connects again. If the person
starts at the other site this time, or the account is not known, this makes a second link. The first
one would stay, with an error that nobody can correct.

But two accounts of one person at a peer are also two links. So a link is ended only if the peer has
refused the outgoing access, and has not used the incoming access since the newer link was made.
"""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, NotLinked, ReciprocalError
from ..models import Link
from ..models.links import SUBJECT_PREFIX
from . import lifecycle, outgoing_access

#: A peer that has used the incoming access within this time still has it.
IDLE_AFTER = timedelta(hours=12)

#: Reasons for which the outgoing access has ended: the peer no longer accepts it, or it cannot be
#: renewed.
_ENDED = (Link.Reason.REFRESH_REFUSED, Link.Reason.TOKEN_REFUSED, Link.Reason.EXPIRED)

#: Older links that are checked after a new link was made.
_CHECKED_LINKS = 2


def check_older_links(link: Link) -> None:
    """Check whether the peer still accepts the outgoing access of links that are older than
    ``link``, a new one. If the peer refuses one, its outgoing direction is broken, and
    :func:`end_link_if_superseded` ends it.

    This calls the peer: call it from a worker, outside of transactions.

    :raises TransactionManagementError: the caller has a transaction open.
    """
    link.refresh_from_db(fields=["linked_at"])
    working = _other_links(link).filter(outgoing_state=Link.Outgoing.ACTIVE).order_by("-created_at")
    replaceable = [each for each in working if _may_replace(link, each)]
    for older in replaceable[:_CHECKED_LINKS]:
        try:
            if older.refresh_token:
                outgoing_access.fresh_access_token(older, not_this=older.access_token)
        except (NotLinked, DecryptionError):
            continue
        except ReciprocalError:
            return  # The peer cannot be asked now. The next call of the peer finds out.


def end_superseded_links(link: Link) -> None:
    """End the links that ``link``, which works in both directions now, has replaced."""
    for older in _other_links(link).filter(outgoing_state=Link.Outgoing.BROKEN):
        end_link_if_superseded(older)


def end_link_if_superseded(link: Link) -> None:
    """End ``link``, whose outgoing access has ended, if a newer link has replaced it."""
    if any(_is_superseded(link, by=newer) for newer in _other_links(link)):
        _end_if_still_superseded(link)


@tried_again
def _end_if_still_superseded(link: Link) -> None:
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if any(_is_superseded(locked, by=newer) for newer in _other_links(locked)):
            lifecycle.end_link(locked, Link.Reason.REPLACED, revoke_outgoing=False)


def _other_links(link: Link) -> QuerySet[Link]:
    """The other active links of the same user with the same peer."""
    others = Link.objects.select_related("peer").filter(
        user_id=link.user_id, peer_id=link.peer_id, status=Link.Status.ACTIVE
    )
    return others.exclude(pk=link.pk)


def _is_superseded(link: Link, *, by: Link) -> bool:
    has_ended = link.outgoing_state == Link.Outgoing.BROKEN and link.outgoing_reason in _ENDED
    works = by.outgoing_state == Link.Outgoing.ACTIVE
    return link.is_active and has_ended and works and _may_replace(by, link)


def _may_replace(newer: Link, older: Link) -> bool:
    """Whether ``newer`` may be a link with the same account as ``older``: the peer has not used
    ``older`` since ``newer`` was made, nor within ``IDLE_AFTER``, and it is not known that the
    accounts differ."""
    last_used = older.last_used_at or older.linked_at or older.created_at
    made = newer.linked_at or newer.created_at
    # Two links whose accounts are known never have the same one.
    accounts_differ = all(link.account_key.startswith(SUBJECT_PREFIX) for link in (newer, older))
    return not accounts_differ and last_used < made and last_used < timezone.now() - IDLE_AFTER
