"""Ends a link that no longer works if the user has made a newer link with the same account.

This is needed after a database was restored from a backup, at this site or at the peer. The tokens
that were renewed after the backup are lost. So the peer refuses the stored tokens, and the user
connects again. This makes a second link if this site cannot tell that the account at the peer is
the same: because the user starts at the other site this time, or because this site does not know
the account. Without this module, the first link would stay, with an error that nobody can correct.

But a user with two accounts at a peer also has two links, and both must stay. So a link is ended
only if both are true: the peer has refused the outgoing access of the link, and the peer has not
used the incoming access of the link after the newer link was made.
"""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from ..core.database import atomic, tried_again
from ..exceptions import DecryptionError, NotLinked, ReciprocalError
from ..models import Link
from ..models.links import SUBJECT_PREFIX
from . import lifecycle, outgoing_access

#: If the peer has used the incoming access of a link during the last 12 hours, the link is not
#: ended.
IDLE_AFTER = timedelta(hours=12)

#: The reasons after which the outgoing access of a link cannot work again: the peer no longer
#: accepts the tokens, or the tokens cannot be renewed.
_ENDED = (Link.Reason.REFRESH_REFUSED, Link.Reason.TOKEN_REFUSED, Link.Reason.EXPIRED)

#: The largest number of older links that this module checks with requests to the peer after a new
#: link was made.
_CHECKED_LINKS = 2


def check_older_links(link: Link) -> None:
    """Check whether the peer still accepts the tokens of older links of the same user. ``link`` is
    a new link. If the peer refuses the tokens of an older link, the outgoing direction of that link
    is marked as broken, and :func:`end_link_if_superseded` ends that link.

    This function sends requests to the peer. Call it from a worker, outside of transactions.

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
            # The peer gave no clear result, for example because it cannot be reached now. A later
            # request to the peer will show whether it accepts the tokens.
            return


def end_superseded_links(link: Link) -> None:
    """End the older links of the same user with the same peer that no longer work and that ``link``
    has replaced. Call this function when ``link`` has begun to work in both directions."""
    for older in _other_links(link).filter(outgoing_state=Link.Outgoing.BROKEN):
        end_link_if_superseded(older)


def end_link_if_superseded(link: Link) -> None:
    """End ``link`` if its outgoing access cannot work again and a newer link has replaced it."""
    if any(_is_superseded(link, by=newer) for newer in _other_links(link)):
        _end_if_still_superseded(link)


@tried_again
def _end_if_still_superseded(link: Link) -> None:
    with atomic():
        locked = lifecycle.lock_link(link.pk)
        if any(_is_superseded(locked, by=newer) for newer in _other_links(locked)):
            lifecycle.end_link(locked, Link.Reason.REPLACED, revoke_outgoing=False)


def _other_links(link: Link) -> QuerySet[Link]:
    """Return the active links of the same user with the same peer, without ``link`` itself."""
    others = Link.objects.select_related("peer").filter(
        user_id=link.user_id, peer_id=link.peer_id, status=Link.Status.ACTIVE
    )
    return others.exclude(pk=link.pk)


def _is_superseded(link: Link, *, by: Link) -> bool:
    has_ended = link.outgoing_state == Link.Outgoing.BROKEN and link.outgoing_reason in _ENDED
    works = by.outgoing_state == Link.Outgoing.ACTIVE
    return link.is_active and has_ended and works and _may_replace(by, link)


def _may_replace(newer: Link, older: Link) -> bool:
    """Return whether ``newer`` can be a link with the same account as ``older``. All must be true:

    - At least one of the two accounts is unknown, so the accounts can be the same.
    - The peer last used ``older`` before ``newer`` was made.
    - The peer last used ``older`` more than ``IDLE_AFTER`` ago.
    """
    last_used = older.last_used_at or older.linked_at or older.created_at
    made = newer.linked_at or newer.created_at
    # If the accounts of both links are known, they are different accounts, because a user has only
    # one link for each known account at a peer.
    accounts_differ = all(link.account_key.startswith(SUBJECT_PREFIX) for link in (newer, older))
    return not accounts_differ and last_used < made and last_used < timezone.now() - IDLE_AFTER
