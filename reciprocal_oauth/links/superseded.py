"""A connection that is dead, beside the newer one that the person has made in its place.

After a database was restored from a backup, here or at the peer, the tokens that were renewed since
are lost: what is stored is refused, and the person connects again. Where they begin at the other
site than the first time, or the account is not told, the new tokens make a link of their own, and
the old one would stay beside it with an error that nobody can next_step.

Two accounts of one person at a peer are two links as well. So a link is ended only if the peer says
that our access with it is over, and has not used its own since before the newer link was made.
"""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, NotLinked, ReciprocalError
from ..models import Link
from ..models.links import SUBJECT_PREFIX
from . import lifecycle, outgoing_access

#: A peer that has used its access within this time has it, whatever our own came to.
IDLE_AFTER = timedelta(hours=12)

#: Why our access is over: the peer no longer knows it, or it cannot be renewed.
_OVER = (Link.Reason.REFRESH_REFUSED, Link.Reason.TOKEN_REFUSED, Link.Reason.EXPIRED)

#: How many older links the peer is asked about after a new one was made.
_ASKED_ABOUT = 2


def check_older_links(link: Link) -> None:
    """``link`` has just been made: see whether the peer still knows those before it. Those that it
    does not are ended by :func:`end_link_if_superseded`, as soon as that is known.

    Calls the peer: from a worker only, outside of transactions.
    """
    link.refresh_from_db(fields=["linked_at"])
    working = _other_links(link).filter(outgoing_state=Link.Outgoing.ACTIVE).order_by("-created_at")
    asked_about = [each for each in working if _may_replace(link, each)]
    for older in asked_about[:_ASKED_ABOUT]:
        try:
            if older.refresh_token:
                outgoing_access.fresh_access_token(older, not_this=older.access_token)
        except (NotLinked, DecryptionError):
            continue
        except ReciprocalError:
            return  # It cannot be asked now. Whoever calls it next learns the same.


def end_superseded_links(link: Link) -> None:
    """``link`` works both ways now: end those in whose place it has come."""
    for older in _other_links(link).filter(outgoing_state=Link.Outgoing.BROKEN):
        end_link_if_superseded(older)


def end_link_if_superseded(link: Link) -> None:
    """Our access with ``link`` is over: end it, if a newer one has taken its place."""
    if any(_is_superseded(link, by=newer) for newer in _other_links(link)):
        _end_if_still_superseded(link)


@tried_again
def _end_if_still_superseded(link: Link) -> None:
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if any(_is_superseded(locked, by=newer) for newer in _other_links(locked)):
            lifecycle.end_link(locked, Link.Reason.REPLACED, revoke_outgoing=False)


def _other_links(link: Link) -> QuerySet[Link]:
    """The other connections of the person with the peer."""
    others = Link.objects.select_related("peer").filter(
        user_id=link.user_id, peer_id=link.peer_id, status=Link.Status.ACTIVE
    )
    return others.exclude(pk=link.pk)


def _is_superseded(link: Link, *, by: Link) -> bool:
    is_over = link.outgoing_state == Link.Outgoing.BROKEN and link.outgoing_reason in _OVER
    works = by.outgoing_state == Link.Outgoing.ACTIVE
    return link.is_active and is_over and works and _may_replace(by, link)


def _may_replace(newer: Link, older: Link) -> bool:
    """Whether the peer has not used ``older`` since before ``newer`` was made, and they are not
    known to be with two accounts."""
    last_sign = older.last_used_at or older.linked_at or older.created_at
    made = newer.linked_at or newer.created_at
    told_apart = all(link.account_key.startswith(SUBJECT_PREFIX) for link in (newer, older))
    return not told_apart and last_sign < made and last_sign < timezone.now() - IDLE_AFTER
