"""A connection in words: what each side may do, whether it works, and what mends it.

Colours and symbols on the pages follow ``tone``; the same is always said in words as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .. import scopes
from ..models import AuthorizationRequest, Link, LinkEvent, Party, Peer, Step
from ..models.links import FAMILY
from ..party_a import consent, updates
from ..protocol import OPENID

register = template.Library()

#: Why a peer has no access here although it could be given some again at once.
_LOST_HERE = (Link.Reason.REVOKED_HERE, Link.Reason.EXPIRED)
#: Tones: it works, it is on its way, the person is asked something, it does not work, it is over.
GOOD, WAITING, ASKING, BAD, OFF = "good", "waiting", "asking", "bad", "off"


@dataclass(frozen=True)
class Direction:
    """One direction of a link.

    :ivar may: what the side in question may do, one entry each; empty: nothing.
    :ivar state: how it stands, in a few words.
    :ivar reason: why it does not work; may be empty.
    :ivar advice: what the person can do about it; may be empty.
    """

    may: Sequence[str]
    tone: str
    state: str
    reason: str = ""
    advice: str = ""


@dataclass(frozen=True)
class LinkWords:
    """A whole link.

    :ivar mend: the one thing that helps: ``finish`` (the question), ``connect`` (start again),
        ``visit`` (go on at the peer) or empty.
    :ivar can_change: whether the person can change what the peer may do here.
    """

    tone: str
    state: str
    incoming: Direction
    outgoing: Direction
    mend: str
    mend_text: str
    can_change: bool


@register.filter
def in_words(link: Link) -> LinkWords:
    """``{% with said=link|in_words %}``"""
    mend = _mend(link)
    tone, state = _overall(link)
    return LinkWords(
        tone=tone,
        state=state,
        incoming=_incoming(link, mend),
        outgoing=_outgoing(link, mend),
        mend=mend,
        mend_text=_mend_text(link, mend),
        can_change=updates.is_changeable(link),
    )


@register.filter
def problem_in_words(visit: AuthorizationRequest) -> str:
    """Why a visit to a peer came to nothing."""
    problem = AuthorizationRequest.Problem
    name = {"name": visit.peer.name}
    match visit.problem:
        case problem.DENIED:
            return _("You did not allow access at %(name)s.") % name
        case problem.SETUP:
            return (
                _(
                    "%(name)s does not take the requests of this site. Trying again does not help: "
                    "an administrator of this site has to look at its settings for %(name)s."
                )
                % name
            )
        case problem.PEER_UNREACHABLE:
            return _("%(name)s could not be reached. Try again in a few minutes.") % name
        case problem.PEER_REFUSED:
            return (
                _(
                    "%(name)s sent you back, but then refused to give this site access. If trying "
                    "again does not help, tell the people who run this site."
                )
                % name
            )
        case problem.BAD_ANSWER | problem.NO_CODE:
            return (
                _(
                    "%(name)s gave an answer that this site cannot use. If trying again does not "
                    "help, tell the people who run this site."
                )
                % name
            )
        case problem.WRONG_ISSUER:
            return _("The answer came from another site than %(name)s, so it was not used.") % name
        case _other:
            return _("%(name)s answered with an error. Try again in a few minutes.") % name


@register.filter
def happened(event: LinkEvent) -> str:
    """What a line of the history is about."""
    name = {"name": event.link.peer.name}
    failed = event.outcome == LinkEvent.Outcome.FAILED
    match (event.step, event.party):
        case (Step.A, _party):
            return _("This site sent you to %(name)s to ask for access.") % name
        case (Step.B, _party):
            return _("%(name)s sent you back with a code.") % name
        case (Step.C, _party):
            return _("This site handed that code in at %(name)s.") % name
        case (Step.D, Party.B):
            return _("%(name)s got an access token for this site.") % name
        case (Step.D, _party):
            return _("%(name)s gave this site an access token.") % name
        case (Step.CONSENT, _party) if event.is_refusal:
            return _("You did not allow %(name)s to do anything here.") % name
        case (Step.CONSENT, _party):
            return _("You allowed %(name)s to do something here.") % name
        case (Step.E, Party.B):
            return _("%(name)s handed over a code for the way back.") % name
        case (Step.E, _party) if failed:
            return _("This site could not hand over a code for the way back to %(name)s.") % name
        case (Step.E, _party):
            return _("This site handed over a code for the way back to %(name)s.") % name
        case (Step.F, Party.B) if failed:
            return _("This site could not redeem that code at %(name)s.") % name
        case (Step.F, Party.B):
            return _("This site redeemed that code at %(name)s.") % name
        case (Step.F, _party) if failed:
            return _("A code that had been redeemed came again; what it gave was revoked.")
        case (Step.F, _party):
            return _("%(name)s redeemed that code here.") % name
        case (Step.G, Party.B):
            return _("%(name)s gave this site an access token.") % name
        case (Step.G, _party):
            return _("%(name)s got an access token for this site.") % name
        case _outside if failed:
            return _("One direction of this connection stopped working.")
    return _("This connection ended.")


@register.filter
def details(event: LinkEvent) -> str:
    """What a line of the history says beside what happened; may be empty."""
    if event.is_refusal:
        return ""
    return _reason(event.detail) if event.detail in Link.Reason.values else event.detail


@register.filter
def clock(moment: datetime) -> str:
    """Time of day with milliseconds: the steps follow each other within a second."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{date_format(local, 'H:i:s')}.{local.microsecond // 1000:03d}"


@register.filter
def knows_accounts(peer: Peer) -> bool:
    """Whether accounts at ``peer`` can be told apart, so that another one can be connected beside
    the first. Where they cannot, connecting again replaces the link."""
    return OPENID in scopes.split(peer.scope)


def _overall(link: Link) -> tuple[str, str]:
    incoming, outgoing = link.incoming_state, link.outgoing_state
    name = {"name": link.peer.name}
    if not link.is_active:
        return OFF, _("Ended")
    if not link.peer.enabled:
        return OFF, _("Switched off at this site")
    if link.is_two_way:
        return GOOD, _("Connected both ways")
    if outgoing == Link.Outgoing.BROKEN or incoming == Link.Incoming.BROKEN:
        return BAD, _("Needs your attention")
    if outgoing == Link.Outgoing.WAITING:
        return WAITING, _("One way, waiting for your approval at %(name)s") % name
    if incoming == Link.Incoming.OFFERED:
        return ASKING, _("Waiting for your answer")
    if incoming == Link.Incoming.GRANTED:
        return WAITING, _("Allowed, on its way to %(name)s") % name
    return GOOD, _("Connected one way")


def _incoming(link: Link, mend: str) -> Direction:
    name = {"name": link.peer.name}
    may = _described(link.incoming_scope)
    if link.is_active and not link.peer.enabled:
        return Direction(may, OFF, _("Switched off"))
    match link.incoming_state:
        case Link.Incoming.ACTIVE:
            return Direction(may, GOOD, _("Working"))
        case Link.Incoming.GRANTED:
            return Direction(may, WAITING, _("Allowed, on its way to %(name)s") % name)
        case Link.Incoming.OFFERED:
            asked = _described(link.offered_scope)
            return Direction(asked, ASKING, _("Not allowed yet: waiting for your answer"))
        case Link.Incoming.DENIED:
            return Direction([], OFF, _("Nothing: you did not allow it"))
        case Link.Incoming.BROKEN:
            reason, advice = _reason(link.incoming_reason), _advice(link, mend)
            return Direction(may, BAD, _("Not working"), reason, advice)
        case Link.Incoming.ENDED:
            return Direction([], OFF, _("Ended"), _reason(link.incoming_reason))
    return Direction([], OFF, _("Nothing"), _reason(link.incoming_reason))


def _outgoing(link: Link, mend: str) -> Direction:
    name = {"name": link.peer.name}
    may = scopes.split(scopes.without_openid(link.outgoing_scope))
    if link.is_active and not link.peer.enabled:
        return Direction(may, OFF, _("Switched off"))
    match link.outgoing_state:
        case Link.Outgoing.ACTIVE:
            return Direction(may, GOOD, _("Working"))
        case Link.Outgoing.BROKEN:
            reason, advice = _reason(link.outgoing_reason), _advice(link, mend)
            return Direction(may, BAD, _("Not working"), reason, advice)
        case Link.Outgoing.ENDED:
            return Direction([], OFF, _("Ended"), _reason(link.outgoing_reason))
    return Direction(
        [],
        WAITING,
        _("Nothing yet: waiting for your approval at %(name)s") % name,
        advice=_("Go back to %(name)s and allow it there.") % name,
    )


def _mend(link: Link) -> str:
    if not link.peer.enabled:
        return ""
    if not link.is_active:
        return "connect"
    if link.outgoing_state == Link.Outgoing.BROKEN:
        return "connect"
    if consent.can_answer(link):
        return "finish"
    goes_on_there = link.account_key.startswith(FAMILY) and link.peer.homepage
    if link.incoming_state == Link.Incoming.BROKEN:
        return "visit" if goes_on_there else "connect"
    if link.outgoing_state == Link.Outgoing.WAITING and link.peer.homepage:
        return "visit"
    return ""


def _mend_text(link: Link, mend: str) -> str:
    match mend:
        case "connect":
            return _("Connect again")
        case "finish" if link.incoming_state == Link.Incoming.DENIED:
            return _("Allow it after all")
        case "finish" if link.incoming_reason in _LOST_HERE:
            return _("Allow it again")
        case "finish":
            return _("Finish")
        case "visit":
            return _("Go to %(name)s") % {"name": link.peer.name}
    return ""


def _advice(link: Link, mend: str) -> str:
    """What to do about a broken direction."""
    name = {"name": link.peer.name}
    if link.outgoing_state == Link.Outgoing.BROKEN:
        return _("Connect again: you will be asked at %(name)s once more.") % name
    if mend == "visit":
        return _("Go to %(name)s and connect again there.") % name
    if link.incoming_reason in _LOST_HERE and mend == "finish":
        return _("Allow it again, and %(name)s gets new access.") % name
    if mend == "finish":
        return _(
            "Finish to send it again. If that does not help, tell the people who run this site."
        )
    return _("Connect again. If that does not help, tell the people who run this site.")


def _reason(value: str) -> str:
    if not value:
        return ""
    text = str(Link.Reason(value).label) if value in Link.Reason.values else value
    return text[:1].upper() + text[1:] + "."


def _described(scope: str) -> list[str]:
    known = scopes.described()
    return [str(known.get(token, token)) for token in scopes.split(scope)]
