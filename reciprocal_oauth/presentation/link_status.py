"""A connection in words: what each side may do, whether it works, and what mends it.

Colours and symbols on the pages follow ``tone``; the same is always said in words as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..core import scopes
from ..links import incoming_access
from ..models import InboxItem, Link
from ..models.inbox import newest_code
from ..models.reasons import LOST_INCOMING
from ..party_a import consent, scope_changes
from .next_step import NextStep, is_being_redeemed, is_on_hold, next_step_of, works_one_way
from .reasons import for_people

#: Tones: it works, it is on its way, the person is asked something, it does not work, it is over.
GOOD, WAITING, ASKING, BAD, OFF = "good", "waiting", "asking", "bad", "off"

#: Reasons for which nobody was asked about the reverse.
_SAID_ALONE = (Link.Reason.NO_REVERSE, Link.Reason.SITE_REFUSES)


@dataclass(frozen=True)
class Permission:
    """One thing that a side may do.

    :ivar is_name: there are no words for it: ``text`` is the scope's name.
    """

    text: str
    is_name: bool


@dataclass(frozen=True)
class Direction:
    """One direction of a link.

    :ivar may: what the side in question may do, one entry each; empty: nothing.
    :ivar state: how it stands, in a few words.
    :ivar reason: why it does not work; may be empty.
    :ivar advice: what the person can do about it; may be empty.
    :ivar pending: a decision of the person that the side in question is still to be told of, or
        could not be, beside what it may do already; ``may`` is what that adds.
    """

    may: Sequence[Permission]
    tone: str
    state: str
    reason: str = ""
    advice: str = ""
    pending: "Direction | None" = None


@dataclass(frozen=True)
class LinkWords:
    """A whole link.

    :ivar in_force: the scope that the peer may use here at this moment.
    :ivar works_both_ways: whether each side may do something at the other at this moment.
    :ivar note: what only the people who run this site can do about it; may be empty.
    :ivar next_step: the one thing that helps, see :class:`.next_step.NextStep`.
    :ivar can_change: whether the person can change what the peer may do here.
    """

    tone: str
    state: str
    in_force: str
    works_both_ways: bool
    note: str
    incoming: Direction
    outgoing: Direction
    next_step: str
    next_step_text: str
    can_change: bool


def link_in_words(link: Link) -> LinkWords:
    """``{% with said=link|in_words %}``"""
    next_step, in_force = next_step_of(link), incoming_access.scope_in_force(link)
    works_both_ways = link.outgoing_state == Link.Outgoing.ACTIVE and bool(in_force)
    tone, state = _overall(link, in_force if works_both_ways else "")
    return LinkWords(
        tone=tone,
        state=state,
        in_force=in_force,
        works_both_ways=works_both_ways,
        note=_note(link),
        incoming=_incoming(link, next_step, in_force),
        outgoing=_outgoing(link, next_step),
        next_step=next_step,
        next_step_text=_next_step_text(link, next_step),
        can_change=scope_changes.is_changeable(link),
    )


def in_scope_words(scope: str, described: Mapping[str, str]) -> list[Permission]:
    """The tokens of ``scope``, each as it is ``described`` or, for want of that, by its name."""
    return [
        Permission(
            scopes.in_words(token, described), is_name=not scopes.has_words(token, described)
        )
        for token in scopes.split(scope)
    ]


def pending_scope(link: Link, in_force: str) -> str:
    """What the last decision allows the peer beside what is ``in_force`` already."""
    now = set(scopes.split(in_force))
    return scopes.join(token for token in scopes.split(link.incoming_limit) if token not in now)


def _overall(link: Link, in_force: str) -> tuple[str, str]:
    """:param in_force: what the peer may do here now, where this site also has access there."""
    incoming, outgoing = link.incoming_state, link.outgoing_state
    name = {"name": link.peer.name}
    if not link.is_active:
        return OFF, _("Ended")
    if not link.peer.enabled:
        return OFF, _("Switched off at this site")
    if link.is_two_way:
        return GOOD, _("Connected both ways")
    if in_force and incoming == Link.Incoming.GRANTED:
        if is_on_hold(link):
            return OFF, _("Connected both ways, a change is held up on its way to %(name)s") % name
        return WAITING, _("Connected both ways, a change is on its way to %(name)s") % name
    if in_force and not pending_scope(link, in_force):
        return GOOD, _("Connected both ways")
    if is_on_hold(link):
        return OFF, _("Held up")
    if works_one_way(link):
        return GOOD, _("Connected both ways") if in_force else _("Connected one way")
    if outgoing == Link.Outgoing.BROKEN or incoming == Link.Incoming.BROKEN or _is_refused(link):
        return BAD, _("Needs your attention")
    if is_being_redeemed(link):
        return WAITING, _("Allowed at %(name)s, on its way to this site") % name
    if outgoing == Link.Outgoing.WAITING:
        return WAITING, _("One way, waiting for your approval at %(name)s") % name
    if incoming == Link.Incoming.OFFERED and consent.can_answer(link):
        return ASKING, _("Waiting for your answer")
    if incoming == Link.Incoming.GRANTED:
        return WAITING, _("Allowed, on its way to %(name)s") % name
    return GOOD, _("Connected one way")


def _note(link: Link) -> str:
    name = {"name": link.peer.name}
    if not link.is_active:
        return ""
    if not link.peer.enabled:
        return (
            _(
                "The people who run this site have switched off %(name)s. Neither side can do "
                "anything until they switch it on again."
            )
            % name
        )
    if is_on_hold(link):
        return (
            _(
                "This site and %(name)s do not understand each other at the moment. The people who "
                "run this site have to see to it; there is nothing that you can do. What waits is "
                "kept, and goes on by itself."
            )
            % name
        )
    return ""


def _is_refused(link: Link) -> bool:
    """Whether this site has given up to fetch its access there with what the peer handed over."""
    waits = link.outgoing_state == Link.Outgoing.WAITING
    return waits and newest_code(link)[0] == InboxItem.State.FAILED


def _incoming(link: Link, next_step: NextStep, in_force: str) -> Direction:
    name = {"name": link.peer.name}
    may = in_scope_words(link.incoming_scope, scopes.described())
    if link.is_active and not link.peer.enabled:
        return Direction(may, OFF, _("Switched off"))
    if in_force:
        now = in_scope_words(in_force, scopes.described())
        return Direction(now, GOOD, _("Working"), pending=_pending(link, next_step, in_force))
    match link.incoming_state:
        case Link.Incoming.ACTIVE:
            return Direction([], OFF, _("Nothing: this site no longer offers what you allowed"))
        case Link.Incoming.GRANTED if is_on_hold(link):
            return Direction(may, OFF, _("Allowed, and held up on its way to %(name)s") % name)
        case Link.Incoming.GRANTED:
            return Direction(may, WAITING, _("Allowed, on its way to %(name)s") % name)
        case Link.Incoming.OFFERED if consent.can_answer(link):
            asked = in_scope_words(link.offered_scope, scopes.described())
            return Direction(asked, ASKING, _("Not allowed yet: waiting for your answer"))
        case Link.Incoming.OFFERED | Link.Incoming.BROKEN if works_one_way(link):
            return Direction([], OFF, for_people(Link.Reason.NO_REVERSE, link.peer.name))
        case Link.Incoming.NONE if link.incoming_reason in _SAID_ALONE:
            return Direction([], OFF, for_people(link.incoming_reason, link.peer.name))
        case Link.Incoming.OFFERED | Link.Incoming.NONE:
            return Direction([], OFF, _("Nothing: it asks for nothing that it could be given here"))
        case Link.Incoming.DENIED:
            return Direction([], OFF, _("Nothing: you did not allow it"))
        case Link.Incoming.BROKEN:
            return Direction(
                may, BAD, _("Not working"), _why_broken(link), _advice(link, next_step)
            )
    return Direction([], OFF, _("Ended"), for_people(link.incoming_reason, link.peer.name))


def _pending(link: Link, next_step: NextStep, in_force: str) -> Direction | None:
    """What the peer is still to be told of while it has access from before that. What was taken
    away has ended already, whether it is told or not."""
    name = {"name": link.peer.name}
    added = in_scope_words(pending_scope(link, in_force), scopes.described())
    match link.incoming_state:
        case Link.Incoming.ACTIVE:
            return None
        case Link.Incoming.GRANTED if is_on_hold(link):
            state = _("Your last change is held up on its way to %(name)s") % name
            return Direction(added, OFF, state)
        case Link.Incoming.GRANTED:
            return Direction(added, WAITING, _("Your last change is on its way to %(name)s") % name)
    reason, advice = for_people(link.incoming_reason, link.peer.name), _advice(link, next_step)
    if not added:
        state = _("Your last change holds, but %(name)s could not be told of it") % name
        return Direction([], OFF, state, reason, advice)
    state = _("Your last change did not reach %(name)s") % name
    return Direction(added, BAD, state, reason, advice)


def _why_broken(link: Link) -> str:
    """Why the peer can do nothing here."""
    reason = for_people(link.incoming_reason, link.peer.name)
    if not link.has_lost_incoming_access or link.confirmed_generation == link.generation:
        return reason
    stopped = _("What was on its way to %(name)s was stopped.") % {"name": link.peer.name}
    return f"{reason} {stopped}"


def _outgoing(link: Link, next_step: NextStep) -> Direction:
    name = {"name": link.peer.name}
    scope = scopes.without_openid(link.outgoing_scope)
    may = in_scope_words(scope, scopes.described_at(link.peer.slug))
    if link.is_active and not link.peer.enabled:
        return Direction(may, OFF, _("Switched off"))
    match link.outgoing_state:
        case Link.Outgoing.ACTIVE:
            return Direction(may, GOOD, _("Working"))
        case Link.Outgoing.BROKEN:
            reason, advice = (
                for_people(link.outgoing_reason, link.peer.name),
                _advice(link, next_step),
            )
            return Direction(may, BAD, _("Not working"), reason, advice)
        case Link.Outgoing.ENDED:
            return Direction([], OFF, _("Ended"), for_people(link.outgoing_reason, link.peer.name))
    return _not_there_yet(link, next_step, name)


def _not_there_yet(link: Link, next_step: NextStep, name: dict[str, str]) -> Direction:
    if is_being_redeemed(link):
        if is_on_hold(link):
            return Direction([], OFF, _("Nothing yet: held up on its way to this site"))
        return Direction([], WAITING, _("Nothing yet: allowed, and on its way to this site"))
    if _is_refused(link):
        reason = for_people(newest_code(link)[1], link.peer.name)
        return Direction([], BAD, _("Not working"), reason, _advice(link, next_step))
    state = _("Nothing yet: waiting for your approval at %(name)s") % name
    advice = _("Go back to %(name)s and allow it there.") % name
    return Direction([], WAITING, state, advice="" if is_on_hold(link) else advice)


def _next_step_text(link: Link, next_step: NextStep) -> str:
    match next_step:
        case NextStep.CONNECT:
            return _("Connect again")
        case NextStep.REMOVE:
            return _("Remove and start over")
        case NextStep.AGAIN:
            return _("Try again")
        case NextStep.VISIT:
            return _("Go to %(name)s") % {"name": link.peer.name}
        case NextStep.FINISH if link.incoming_state == Link.Incoming.DENIED:
            return _("Allow it after all")
        case NextStep.FINISH if link.incoming_state == Link.Incoming.BROKEN:
            return _("Allow it again")
        case NextStep.FINISH:
            return _("Finish")
    return ""


def _advice(link: Link, next_step: NextStep) -> str:
    """What to do about a direction that does not work."""
    name = {"name": link.peer.name}
    match next_step:
        case NextStep.AGAIN:
            return _("Try again. If that does not help, tell the people who run this site.")
        case NextStep.VISIT:
            return _("Go to %(name)s and connect again there.") % name
        case NextStep.REMOVE:
            return _("Remove this connection, then connect %(name)s anew.") % name
        case NextStep.CONNECT if link.outgoing_state == Link.Outgoing.BROKEN:
            return _("Connect again: you will be asked at %(name)s once more.") % name
        case NextStep.CONNECT:
            return _("Connect again. If that does not help, tell the people who run this site.")
        case NextStep.FINISH if link.incoming_reason == Link.Reason.SITE_REFUSES:
            return _("Ask the people who run this site. Once they allow it, allow it again.")
        case NextStep.FINISH if link.incoming_reason in LOST_INCOMING:
            return _("Allow it again, and %(name)s gets new access.") % name
        case NextStep.FINISH:
            return _("Allow it again. If that does not help, tell the people who run this site.")
    return ""
