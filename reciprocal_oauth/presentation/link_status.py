"""Describes the status of a link in words: what this site may do at the peer, what the peer may do
at this site, whether that works, and what the person can do if it does not work.

Each status also has a tone, which selects its colour and symbol on the pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils.translation import gettext as _

from ..core import scopes
from ..links import incoming_access
from ..models import InboxItem, Link
from ..models.inbox import newest_code
from ..models.reasons import LOST_INCOMING
from ..party_a import consent, scope_changes
from ..status import waiting
from .next_step import (
    NextStep,
    is_being_redeemed,
    is_on_hold,
    next_step_of,
    waits_for_approval,
    works_one_way,
)
from .permissions import Permission, in_scope_words, in_words_of_peer
from .reasons import for_people

#: The tones. ``GOOD``: the access works. ``WAITING``: the access is being set up. ``ASKING``: the
#: person is asked for a decision. ``BAD``: the access does not work. ``OFF``: there is no access,
#: for example because the person did not allow it, or it is switched off, on hold or ended.
GOOD, WAITING, ASKING, BAD, OFF = "good", "waiting", "asking", "bad", "off"

#: The reasons (``Link.incoming_reason``) for which this site did not ask the person what the peer
#: may do at this site.
_NOT_ASKED = (Link.Reason.NO_REVERSE, Link.Reason.SITE_REFUSES)


@dataclass(frozen=True)
class Direction:
    """The status of one direction of a link: the access of this site at the peer, or the access of
    the peer at this site.

    :ivar may: the scopes that the access has or would have; empty if there are none.
    :ivar tone: the tone, which selects the colour and the symbol: ``GOOD``, ``WAITING``,
        ``ASKING``, ``BAD`` or ``OFF``.
    :ivar state: the state in a few words.
    :ivar reason: why the access does not work; empty if there is nothing to say.
    :ivar advice: what the person can do to repair the access; empty if there is nothing to do.
    :ivar pending: the status of the person's last decision, if this decision has not given the peer
        new access yet and the peer still has its earlier access; otherwise ``None``. The attribute
        ``may`` of ``pending`` has only the scopes that the decision adds.
    """

    may: Sequence[Permission]
    tone: str
    state: str
    reason: str = ""
    advice: str = ""
    pending: "Direction | None" = None


class LinkStatus:
    """The status of ``link`` in words.

    Make one object for each link that you show. It keeps the values that it has computed, so make
    a new object after the link has changed.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self._name = {"name": link.peer.name}

    @cached_property
    def can_answer(self) -> bool:
        """Return whether the person can now answer the consent question: may the peer have access
        at this site?"""
        return consent.can_answer(self.link)

    @cached_property
    def can_change(self) -> bool:
        """Return whether the person can change the scopes that the peer has at this site."""
        return scope_changes.is_changeable(self.link)

    @cached_property
    def next_step(self) -> NextStep:
        """Return the one action by which the person can make the link work in both directions."""
        return next_step_of(self.link, can_answer=self.can_answer)

    @property
    def needs_nothing(self) -> bool:
        """Return whether the link works or is about to work, and the person has nothing to do."""
        return self.link.is_active and not self.next_step and self.tone in (GOOD, WAITING)

    @cached_property
    def waits_here(self) -> bool:
        """Return whether what the person has allowed waits at this site, because no worker takes
        it. The peer cannot do anything about it."""
        return waiting.waits_here(self.link)

    @cached_property
    def in_force(self) -> str:
        """Return the scope that the peer can use at this site at this moment."""
        return incoming_access.scope_in_force(self.link)

    @cached_property
    def added_scope(self) -> str:
        """Return the scopes that the person has allowed the peer, but that the peer cannot use yet:
        they are not in :attr:`in_force`."""
        now = set(scopes.split(self.in_force))
        allowed = scopes.split(self.link.incoming_limit)
        return scopes.join(token for token in allowed if token not in now)

    @property
    def works_both_ways(self) -> bool:
        """Return whether both directions work at this moment: this site has access at the peer, and
        the peer has access at this site."""
        return self.link.outgoing_state == Link.Outgoing.ACTIVE and bool(self.in_force)

    @property
    def tone(self) -> str:
        """Return the tone of the whole link, which selects its colour and symbol."""
        return self._overall[0]

    @property
    def state(self) -> str:
        """Return the state of the whole link in a few words."""
        return self._overall[1]

    @cached_property
    def _overall(self) -> tuple[str, str]:
        link, name = self.link, self._name
        incoming, outgoing = link.incoming_state, link.outgoing_state
        if not link.is_active:
            return OFF, _("Ended")
        if not link.peer.enabled:
            return OFF, _("Switched off at this site")
        if link.is_two_way:
            return GOOD, _("Connected both ways")
        if self.works_both_ways and incoming == Link.Incoming.GRANTED:
            if is_on_hold(link):
                return OFF, _("Connected both ways, a change for %(name)s is on hold") % name
            if self.waits_here:
                return WAITING, _("Connected both ways, a change is waiting at this site")
            return WAITING, _("Connected both ways, a change is on its way to %(name)s") % name
        if self.works_both_ways and not self.added_scope:
            return GOOD, _("Connected both ways")
        if is_on_hold(link):
            return OFF, _("On hold")
        if works_one_way(link):
            return GOOD, _("Connected both ways") if self.in_force else _("Connected one way")
        if Link.Outgoing.BROKEN in (incoming, outgoing) or self._is_refused:
            return BAD, _("Needs your attention")
        if is_being_redeemed(link):
            if self.waits_here:
                return WAITING, _("Allowed at %(name)s, waiting at this site") % name
            return WAITING, _("Allowed at %(name)s, on its way to this site") % name
        if waits_for_approval(link):
            return WAITING, _("One way, waiting for your approval at %(name)s") % name
        if incoming == Link.Incoming.OFFERED and self.can_answer:
            return ASKING, _("Waiting for your answer")
        if incoming == Link.Incoming.GRANTED and self.waits_here:
            return WAITING, _("Allowed, waiting at this site")
        if incoming == Link.Incoming.GRANTED:
            return WAITING, _("Allowed, on its way to %(name)s") % name
        return GOOD, _("Connected one way")

    @property
    def note(self) -> str:
        """Return a text about a problem that only an administrator of this site can fix, or an
        empty string if there is no such problem."""
        if not self.link.is_active:
            return ""
        if not self.link.peer.enabled:
            return (
                _(
                    "An administrator of this site has switched off %(name)s. Neither side can do "
                    "anything until it is switched on again."
                )
                % self._name
            )
        if is_on_hold(self.link):
            return (
                _(
                    "%(name)s does not accept what this site sends at the moment. An administrator "
                    "of this site needs to fix this. You cannot do anything about it. Pending "
                    "changes are kept, and continue when the problem is fixed."
                )
                % self._name
            )
        return ""

    @cached_property
    def incoming(self) -> Direction:
        """Return the status of the access that the peer has at this site."""
        link, name = self.link, self._name
        if link.is_active and not link.peer.enabled:
            return Direction(self._here(link.incoming_scope), OFF, _("Switched off"))
        if self.in_force:
            now = self._here(self.in_force)
            return Direction(now, GOOD, _("Working"), pending=self._pending)
        match link.incoming_state:
            case Link.Incoming.ACTIVE:
                return Direction([], OFF, _("Nothing: this site no longer offers what you allowed"))
            case Link.Incoming.GRANTED:
                may = self._here(link.incoming_scope)
                if is_on_hold(link):
                    return Direction(may, OFF, _("Allowed, but delivery is on hold"))
                if self.waits_here:
                    return self._waiting_here(_("Allowed, waiting at this site"), may)
                return Direction(may, WAITING, _("Allowed, on its way to %(name)s") % name)
            case Link.Incoming.OFFERED if self.can_answer:
                asked = self._here(link.offered_scope)
                return Direction(asked, ASKING, _("Not allowed yet: waiting for your answer"))
            case Link.Incoming.OFFERED | Link.Incoming.BROKEN if works_one_way(link):
                return Direction([], OFF, for_people(Link.Reason.NO_REVERSE, link.peer.name))
            case Link.Incoming.NONE if link.incoming_reason in _NOT_ASKED:
                return Direction([], OFF, for_people(link.incoming_reason, link.peer.name))
            case Link.Incoming.OFFERED | Link.Incoming.NONE:
                state = _("Nothing: it does not ask for anything that this site can give it")
                return Direction([], OFF, state)
            case Link.Incoming.DENIED:
                return Direction([], OFF, _("Nothing: you did not allow it"))
            case Link.Incoming.BROKEN:
                reason = for_people(link.incoming_reason, link.peer.name)
                if link.has_lost_incoming_access and link.confirmed_generation != link.generation:
                    reason += " " + _("What was on its way to %(name)s was stopped.") % name
                return self._not_working(reason, self._here(link.incoming_scope))
        return Direction([], OFF, _("Ended"), for_people(link.incoming_reason, link.peer.name))

    @property
    def _pending(self) -> Direction | None:
        """Return the status of the person's last decision, or ``None`` if the peer has redeemed the
        reciprocal code for this decision.

        The status lists only the scopes that the decision adds, because scopes that it removes stop
        working as soon as the person decides.
        """
        link, name = self.link, self._name
        added = self._here(self.added_scope)
        match link.incoming_state:
            case Link.Incoming.ACTIVE:
                return None
            case Link.Incoming.GRANTED if is_on_hold(link):
                state = _("Your last change for %(name)s is on hold") % name
                return Direction(added, OFF, state)
            case Link.Incoming.GRANTED if self.waits_here:
                return self._waiting_here(_("Your last change is waiting at this site"), added)
            case Link.Incoming.GRANTED:
                state = _("Your last change is on its way to %(name)s") % name
                return Direction(added, WAITING, state)
        reason = for_people(link.incoming_reason, link.peer.name)
        if added:
            state = _("Your last change did not reach %(name)s") % name
            return Direction(added, BAD, state, reason, self._advice)
        state = _("Your last change is in force, but %(name)s could not be told about it") % name
        return Direction([], OFF, state, reason, self._advice)

    @cached_property
    def outgoing(self) -> Direction:
        """Return the status of the access that this site has at the peer."""
        link, name = self.link, self._name
        scope = scopes.without_openid(link.outgoing_scope)
        may = in_words_of_peer(scope, link.peer)
        if link.is_active and not link.peer.enabled:
            return Direction(may, OFF, _("Switched off"))
        match link.outgoing_state:
            case Link.Outgoing.ACTIVE:
                return Direction(may, GOOD, _("Working"))
            case Link.Outgoing.BROKEN:
                return self._not_working(for_people(link.outgoing_reason, link.peer.name), may)
            case Link.Outgoing.ENDED:
                reason = for_people(link.outgoing_reason, link.peer.name)
                return Direction([], OFF, _("Ended"), reason)
        if is_being_redeemed(link):
            if is_on_hold(link):
                return Direction([], OFF, _("Nothing yet: delivery to this site is on hold"))
            if self.waits_here:
                return self._waiting_here(_("Nothing yet: allowed, and waiting at this site"))
            return Direction([], WAITING, _("Nothing yet: allowed, and on its way to this site"))
        if self._is_refused:
            return self._not_working(for_people(newest_code(link)[1], link.peer.name))
        if not waits_for_approval(link):
            return Direction([], OFF, _("Nothing: %(name)s does not give this site access") % name)
        state = _("Nothing yet: waiting for your approval at %(name)s") % name
        if is_on_hold(link):
            return Direction([], WAITING, state)
        advice = _("Go back to %(name)s and allow this site to use your account there.") % name
        return Direction([], WAITING, state, advice=advice)

    @property
    def _is_refused(self) -> bool:
        """Return whether this site still waits for access at the peer, and failed to redeem the
        newest reciprocal code of the peer."""
        waits = self.link.outgoing_state == Link.Outgoing.WAITING
        return waits and newest_code(self.link)[0] == InboxItem.State.FAILED

    def _here(self, scope: str) -> list[Permission]:
        return in_scope_words(scope, self._described)

    @cached_property
    def _described(self) -> Mapping[str, str]:
        return scopes.described()

    def _waiting_here(self, state: str, may: Sequence[Permission] = ()) -> Direction:
        reason = _("This site has not worked on it yet.")
        advice = _("If it stays like this, tell an administrator of this site.")
        return Direction(may, WAITING, state, reason, advice)

    def _not_working(self, reason: str, may: Sequence[Permission] = ()) -> Direction:
        return Direction(may, BAD, _("Not working"), reason, self._advice)

    @property
    def next_step_text(self) -> str:
        """Return the label of the button for :attr:`next_step`, or an empty string if there is no
        next step."""
        match self.next_step:
            case NextStep.CONNECT:
                return _("Connect again")
            case NextStep.REMOVE:
                return _("Remove and start over")
            case NextStep.AGAIN:
                return _("Try again")
            case NextStep.VISIT:
                return _("Go to %(name)s") % self._name
            case NextStep.FINISH if self.link.incoming_state == Link.Incoming.DENIED:
                return _("Allow it after all")
            case NextStep.FINISH if self.link.incoming_state == Link.Incoming.BROKEN:
                return _("Allow it again")
            case NextStep.FINISH:
                return _("Finish")
        return ""

    @property
    def _advice(self) -> str:
        """Return a sentence that says how the person can repair an access that does not work, or an
        empty string if the person can do nothing."""
        match self.next_step:
            case NextStep.AGAIN:
                return _("Try again. If that does not help, tell an administrator of this site.")
            case NextStep.VISIT:
                return _("Go to %(name)s and connect again there.") % self._name
            case NextStep.REMOVE:
                return _("Remove this connection, then connect %(name)s again.") % self._name
            case NextStep.CONNECT if self.link.outgoing_state == Link.Outgoing.BROKEN:
                return _("Connect again: you will be asked at %(name)s once more.") % self._name
            case NextStep.CONNECT:
                return _(
                    "Connect again. If that does not help, tell an administrator of this site."
                )
            case NextStep.FINISH if self.link.incoming_reason == Link.Reason.SITE_REFUSES:
                return _(
                    "Ask an administrator of this site to permit this. After that, come back and "
                    "allow access again."
                )
            case NextStep.FINISH if self.link.incoming_reason in LOST_INCOMING:
                return _("Allow it again, and %(name)s gets new access.") % self._name
            case NextStep.FINISH:
                return _(
                    "Allow it again. If that does not help, tell an administrator of this site."
                )
        return ""


def link_status(link: Link) -> LinkStatus:
    """Return the status of ``link`` in words. Templates use this function as a filter:
    ``{% with status=link|link_status %}``."""
    return LinkStatus(link)
