"""Finds the next step: the one action by which the person can make a link work in both
directions."""

from enum import StrEnum

from ..core.protocol import OPENID
from ..core.scopes import split
from ..models import InboxItem, Link, Peer
from ..models.inbox import newest_code
from ..models.links import FAMILY_PREFIX, SUBJECT_PREFIX
from ..party_a import resending


class NextStep(StrEnum):
    """The action that is suggested to the person for a link."""

    NOTHING = ""
    FINISH = "finish"  #: Decide what the peer may do at this site.
    AGAIN = "again"  #: Send the person's decision again: :func:`.resending.try_again`.
    CONNECT = "connect"  #: Connect the peer again. This repairs the same link.
    VISIT = "visit"  #: Continue at the peer. If its homepage is known, there is a button for it.
    REMOVE = "remove"  #: End the link and connect again, which makes a new link.


def next_step_of(link: Link, *, can_answer: bool) -> NextStep:
    """Return the next step for ``link``. This needs at most one query, and none if ``link`` was
    read with :func:`.with_newest_code`.

    If people cannot start at this site to connect with the peer, the person continues at the peer
    instead of connecting again here.

    :param can_answer: the result of :func:`.consent.can_answer` for ``link``.
    """
    step = _next_step(link, can_answer=can_answer)
    starts_here = step in (NextStep.CONNECT, NextStep.REMOVE)
    return NextStep.VISIT if starts_here and not link.peer.can_start else step


def _next_step(link: Link, *, can_answer: bool) -> NextStep:
    if not link.peer.enabled:
        return NextStep.NOTHING
    # The person can decide even while delivery to the peer is paused: the decision is stored, and
    # the reciprocal code for it is delivered when delivery is resumed.
    if can_answer and link.incoming_state != Link.Incoming.BROKEN:
        return NextStep.FINISH
    if link.peer.paused_at is not None:
        return NextStep.NOTHING
    if not link.is_active:
        return NextStep.CONNECT
    if link.outgoing_state == Link.Outgoing.BROKEN:
        return _connect_or_remove(link)
    if link.incoming_state == Link.Incoming.BROKEN and works_one_way(link):
        return NextStep.NOTHING
    if link.incoming_state == Link.Incoming.BROKEN:
        return _next_step_for_incoming(link, can_answer)
    if waits_for_approval(link) and not is_being_redeemed(link):
        return _visit(link) or NextStep.REMOVE
    return NextStep.NOTHING


def works_one_way(link: Link) -> bool:
    """Return whether the outgoing access works, and the person cannot add the incoming access
    because the peer does not support the reverse direction.

    Return ``False`` if the incoming access was revoked at this site or has expired.
    """
    is_reached = link.outgoing_state == Link.Outgoing.ACTIVE
    return is_reached and not link.peer.supports_reverse and not link.has_lost_incoming_access


def waits_for_approval(link: Link) -> bool:
    """Return whether this site has no access at the peer yet, and can get it when the person
    approves it there. A peer that sends no reciprocal codes never gives this access."""
    return link.outgoing_state == Link.Outgoing.WAITING and link.peer.sends_codes


def is_on_hold(link: Link) -> bool:
    """Return whether ``link`` waits until an administrator of this site resumes delivery to the
    peer.

    All must be true: the link is active, the peer is enabled, delivery to the peer is paused, and
    the link is incomplete. A link is incomplete if the outgoing access does not work, or if the
    incoming access is broken or is allowed but not ready.
    """
    is_complete = link.outgoing_state == Link.Outgoing.ACTIVE and link.incoming_state not in (
        Link.Incoming.GRANTED,
        Link.Incoming.BROKEN,
    )
    return (
        link.is_active and link.peer.enabled and link.peer.paused_at is not None and not is_complete
    )


def is_being_redeemed(link: Link) -> bool:
    """Return whether this site has received a reciprocal code from the peer, and will redeem it to
    get access at the peer."""
    waits = link.outgoing_state == Link.Outgoing.WAITING
    return waits and newest_code(link)[0] in InboxItem.LIVE_STATES


def knows_accounts(peer: Peer) -> bool:
    """Return whether ``peer`` tells this site which account at the peer a person has connected. The
    peer does so if this site requests the scope ``openid`` (OpenID Connect Core 1.0, section
    3.1.2.1).

    If the result is ``True``, a person can connect several accounts at the peer. Otherwise,
    connecting again replaces the tokens of the existing link.
    """
    return OPENID in split(peer.scope)


def _next_step_for_incoming(link: Link, can_answer: bool) -> NextStep:
    if link.incoming_reason == Link.Reason.UNREADABLE:
        return _connect_or_remove(link)  # This site cannot decrypt its tokens for the peer.
    if resending.can_try_again(link):
        return NextStep.AGAIN
    if can_answer:
        return NextStep.FINISH
    return _visit(link) or _connect_or_remove(link)


def _visit(link: Link) -> NextStep:
    """Return ``VISIT`` if the person started the link at the peer and the homepage of the peer is
    known; otherwise ``NOTHING``."""
    began_there = link.account_key.startswith(FAMILY_PREFIX)
    return NextStep.VISIT if began_there and link.peer.homepage else NextStep.NOTHING


def _connect_or_remove(link: Link) -> NextStep:
    """Return ``CONNECT`` if connecting again would repair ``link``; otherwise ``REMOVE``.

    Connecting again repairs ``link`` in two cases. In all other cases, it would create a second
    link.

    - ``link`` contains the ID of the account at the peer, and the peer will tell this ID again.
    - ``link`` does not contain this ID, and the peer will not tell this site the ID.
    """
    is_found = link.account_key.startswith(SUBJECT_PREFIX) == knows_accounts(link.peer)
    return NextStep.CONNECT if is_found else NextStep.REMOVE
