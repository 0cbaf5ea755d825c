"""What mends a link that does not work, or only one way: the one thing that the person can do."""

from enum import StrEnum

from ..core.protocol import OPENID
from ..core.scopes import split
from ..models import InboxItem, Link, Peer
from ..models.inbox import newest_code
from ..models.links import FAMILY_PREFIX, SUBJECT_PREFIX
from ..party_a import resending


class NextStep(StrEnum):
    NOTHING = ""
    FINISH = "finish"  #: Answer what the peer may do here.
    AGAIN = "again"  #: Send what was allowed once more (:func:`.resending.try_again`).
    CONNECT = "connect"  #: Connect again, which renews this link.
    VISIT = "visit"  #: Go on at the peer's homepage.
    REMOVE = "remove"  #: End the link and connect anew: connecting alone would leave it as it is.


def next_step_of(link: Link, *, can_answer: bool) -> NextStep:
    """Return what helps. One query, unless ``link`` comes from ``with_newest_code``.

    :param can_answer: what :func:`.consent.can_answer` says of the link.
    """
    if not link.peer.enabled:
        return NextStep.NOTHING
    # An answer is kept until things go on, even now.
    if can_answer and link.incoming_state != Link.Incoming.BROKEN:
        return NextStep.FINISH
    if link.peer.paused_at is not None:
        return NextStep.NOTHING
    if not link.is_active:
        return NextStep.CONNECT
    if link.outgoing_state == Link.Outgoing.BROKEN:
        return _anew(link)
    if link.incoming_state == Link.Incoming.BROKEN and works_one_way(link):
        return NextStep.NOTHING
    if link.incoming_state == Link.Incoming.BROKEN:
        return _next_step_for_incoming(link, can_answer)
    if link.outgoing_state == Link.Outgoing.WAITING and not is_being_redeemed(link):
        return _there(link) or NextStep.REMOVE
    return NextStep.NOTHING


def works_one_way(link: Link) -> bool:
    """Whether this is all that there can be: the peer cannot be given access here."""
    is_reached = link.outgoing_state == Link.Outgoing.ACTIVE
    return is_reached and not link.peer.supports_reverse and not link.has_lost_incoming_access


def is_on_hold(link: Link) -> bool:
    """Whether something waits, or does not work, until an administrator of this site has seen to
    the peer: nothing is delivered to it."""
    is_complete = link.outgoing_state == Link.Outgoing.ACTIVE and link.incoming_state not in (
        Link.Incoming.GRANTED,
        Link.Incoming.BROKEN,
    )
    return (
        link.is_active and link.peer.enabled and link.peer.paused_at is not None and not is_complete
    )


def is_being_redeemed(link: Link) -> bool:
    """Whether the peer has handed over a code, and this site fetches its access there."""
    waits = link.outgoing_state == Link.Outgoing.WAITING
    return waits and newest_code(link)[0] in InboxItem.LIVE_STATES


def knows_accounts(peer: Peer) -> bool:
    """Whether accounts at ``peer`` can be told apart, so that another one can be connected beside
    the first. Where they cannot, connecting again replaces the link."""
    return OPENID in split(peer.scope)


def _next_step_for_incoming(link: Link, can_answer: bool) -> NextStep:
    if link.incoming_reason == Link.Reason.UNREADABLE:
        return _anew(link)  # Our access there is what cannot be read.
    if resending.can_try_again(link):
        return NextStep.AGAIN
    if can_answer:
        return NextStep.FINISH
    return _there(link) or _anew(link)


def _there(link: Link) -> NextStep:
    """Who began there goes on there."""
    began_there = link.account_key.startswith(FAMILY_PREFIX)
    return NextStep.VISIT if began_there and link.peer.homepage else NextStep.NOTHING


def _anew(link: Link) -> NextStep:
    """Connecting renews a link only where it finds it again: by the account, or for want of one."""
    is_found = link.account_key.startswith(SUBJECT_PREFIX) == knows_accounts(link.peer)
    return NextStep.CONNECT if is_found else NextStep.REMOVE
