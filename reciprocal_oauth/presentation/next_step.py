"""The next step: the one thing that the person can do to make a link work in both directions."""

from enum import StrEnum

from ..core.protocol import OPENID
from ..core.scopes import split
from ..models import InboxItem, Link, Peer
from ..models.inbox import newest_code
from ..models.links import FAMILY_PREFIX, SUBJECT_PREFIX
from ..party_a import resending


class NextStep(StrEnum):
    """What the person can do about a link."""

    NOTHING = ""
    FINISH = "finish"  #: Answer the question what the peer may do here.
    AGAIN = "again"  #: Send what was allowed once more (:func:`.resending.try_again`).
    CONNECT = "connect"  #: Connect again, which renews this link.
    VISIT = "visit"  #: Continue at the peer: open its homepage.
    REMOVE = "remove"  #: End the link and connect again: connecting alone would not renew it.


def next_step_of(link: Link, *, can_answer: bool) -> NextStep:
    """Return the next step for ``link``. One query, unless it comes from ``with_newest_code``.

    :param can_answer: what :func:`.consent.can_answer` says of the link.
    """
    if not link.peer.enabled:
        return NextStep.NOTHING
    # The person can answer although the peer is paused: the answer is delivered later.
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
    if link.outgoing_state == Link.Outgoing.WAITING and not is_being_redeemed(link):
        return _visit(link) or NextStep.REMOVE
    return NextStep.NOTHING


def works_one_way(link: Link) -> bool:
    """Whether the link works one way and cannot work both ways: the peer takes no access here."""
    is_reached = link.outgoing_state == Link.Outgoing.ACTIVE
    return is_reached and not link.peer.supports_reverse and not link.has_lost_incoming_access


def is_on_hold(link: Link) -> bool:
    """Whether the link is incomplete and waits for an administrator of this site: its peer is
    paused, and nothing is delivered to it."""
    is_complete = link.outgoing_state == Link.Outgoing.ACTIVE and link.incoming_state not in (
        Link.Incoming.GRANTED,
        Link.Incoming.BROKEN,
    )
    return (
        link.is_active and link.peer.enabled and link.peer.paused_at is not None and not is_complete
    )


def is_being_redeemed(link: Link) -> bool:
    """Whether the peer has handed over a code that this site is about to redeem."""
    waits = link.outgoing_state == Link.Outgoing.WAITING
    return waits and newest_code(link)[0] in InboxItem.LIVE_STATES


def knows_accounts(peer: Peer) -> bool:
    """Whether this site learns which account at ``peer`` was connected, so that a person can
    connect several. If not, connecting again replaces the link."""
    return OPENID in split(peer.scope)


def _next_step_for_incoming(link: Link, can_answer: bool) -> NextStep:
    if link.incoming_reason == Link.Reason.UNREADABLE:
        return _connect_or_remove(link)  # Our access at the peer is what cannot be read.
    if resending.can_try_again(link):
        return NextStep.AGAIN
    if can_answer:
        return NextStep.FINISH
    return _visit(link) or _connect_or_remove(link)


def _visit(link: Link) -> NextStep:
    """A link that began at the peer continues at the peer, if its homepage is known."""
    began_there = link.account_key.startswith(FAMILY_PREFIX)
    return NextStep.VISIT if began_there and link.peer.homepage else NextStep.NOTHING


def _connect_or_remove(link: Link) -> NextStep:
    """Return ``CONNECT`` if connecting again would renew ``link``, or else ``REMOVE``.

    It renews ``link`` if the account at the peer is known for both the old and the new connection,
    or for neither.
    """
    is_found = link.account_key.startswith(SUBJECT_PREFIX) == knows_accounts(link.peer)
    return NextStep.CONNECT if is_found else NextStep.REMOVE
