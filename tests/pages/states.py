"""The states in which a link can be, with what the pages show of each."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from reciprocal_oauth.models import InboxItem, Link, Peer
from reciprocal_oauth.models.links import KEY_UNKNOWN, key_of_family, key_of_subject
from reciprocal_oauth.presentation.next_step import NextStep

Reason, Incoming, Outgoing = Link.Reason, Link.Incoming, Link.Outgoing

HOME = "https://music.example/"
NEEDS_ADMINISTRATOR = "An administrator of this site needs to fix this"


@dataclass
class Case:
    """A state, and what the pages show. By default, a link works both ways.

    :ivar code: state and reason of the newest code that the peer handed over.
    """

    state: str
    next_step: NextStep
    button: str = ""
    says: list[str] = field(default_factory=list)
    link: dict[str, Any] = field(default_factory=dict)
    peer: dict[str, Any] = field(default_factory=dict)
    code: tuple[str, str] | None = None


BOTH = {
    "account_key": KEY_UNKNOWN,
    "outgoing_state": Outgoing.ACTIVE,
    "outgoing_scope": "play",
    "incoming_state": Incoming.ACTIVE,
    "incoming_scope": "profile",
    "offered_scope": "profile playback",
    "generation": 1,
    "confirmed_generation": 1,
}
THERE = {"account_key": key_of_family(None), "offered_scope": "", "generation": 0}
THERE |= {"confirmed_generation": 0}
WAITING = {**THERE, "outgoing_state": Outgoing.WAITING, "outgoing_scope": ""}
ENDED = {"status": "ended", "ended_at": timezone.now(), "incoming_reason": Reason.REVOKED_HERE}
ENDED |= {"outgoing_state": Outgoing.ENDED, "incoming_state": Incoming.ENDED}
HAS_ACCOUNT = {"account_key": key_of_subject("alice"), "subject": "alice"}
PAUSED = {"paused_at": timezone.now(), "paused_reason": Reason.CREDENTIALS_REFUSED}
OPENID = {"scope": "openid play"}
TELL_ADMINISTRATOR = "If that does not help, tell an administrator of this site."


def lost(reason: str, **values: Any) -> dict[str, Any]:
    """The peer has lost its tokens."""
    return {"incoming_state": Incoming.BROKEN, "incoming_reason": reason, **values}


def undelivered(reason: str, **values: Any) -> dict[str, Any]:
    """The hand-over of the last decision has failed."""
    return {**lost(reason), "generation": 2, **values}


def cut_off(reason: str, **values: Any) -> dict[str, Any]:
    """The access of this site at the peer no longer works."""
    return {"outgoing_state": Outgoing.BROKEN, "outgoing_reason": reason, **values}


CASES = {
    "both ways": Case("Connected both ways", NextStep.NOTHING, says=["See your name", "play"]),
    "both ways, the site has withdrawn the scope": Case(
        "Connected both ways",
        NextStep.NOTHING,
        says=["Nothing: this site no longer offers what you allowed"],
        link={"incoming_scope": "history"},
    ),
    "asked": Case(
        "Waiting for your answer",
        NextStep.FINISH,
        "Finish",
        ["Not allowed yet: waiting for your answer", "Control what is playing"],
        {"incoming_state": Incoming.OFFERED, "incoming_scope": ""},
    ),
    "asked, while the peer is paused": Case(
        "Waiting for your answer",
        NextStep.FINISH,
        "Finish",
        link={"incoming_state": Incoming.OFFERED, "incoming_scope": ""},
        peer=PAUSED,
    ),
    "asked for what it may not hold": Case(
        "Connected one way",
        NextStep.NOTHING,
        says=["Nothing: it does not ask for anything that this site can give it"],
        link={"incoming_state": Incoming.OFFERED, "offered_scope": "history"},
    ),
    "asked for nothing": Case(
        "Connected one way",
        NextStep.NOTHING,
        says=["Nothing: it does not ask for anything that this site can give it"],
        link={"incoming_state": Incoming.NONE, "incoming_reason": Reason.NOTHING_LEFT},
    ),
    "denied": Case(
        "Connected one way",
        NextStep.FINISH,
        "Allow it after all",
        ["Nothing: you did not allow it"],
        {"incoming_state": Incoming.DENIED, "incoming_scope": ""},
    ),
    "on its way": Case(
        "Allowed, on its way to Music",
        NextStep.NOTHING,
        link={"incoming_state": Incoming.GRANTED, "generation": 2},
    ),
    "on its way, the peer is paused": Case(
        "On hold",
        NextStep.NOTHING,
        says=[NEEDS_ADMINISTRATOR, "Allowed, but delivery is on hold"],
        link={"incoming_state": Incoming.GRANTED, "generation": 2},
        peer=PAUSED,
    ),
    "works, the peer is paused": Case("Connected both ways", NextStep.NOTHING, peer=PAUSED),
    "peer down for too long": Case(
        "Needs your attention",
        NextStep.AGAIN,
        "Try again",
        ["Music could not be reached.", f"Try again. {TELL_ADMINISTRATOR}"],
        undelivered(Reason.UNREACHABLE),
    ),
    "code taken, never used": Case(
        "Needs your attention", NextStep.AGAIN, "Try again", link=undelivered(Reason.UNCONFIRMED)
    ),
    "code refused": Case(
        "Needs your attention",
        NextStep.AGAIN,
        "Try again",
        link=undelivered(Reason.HANDOVER_REFUSED),
    ),
    "unusable answer": Case(
        "Needs your attention", NextStep.AGAIN, "Try again", link=undelivered(Reason.BAD_RESPONSE)
    ),
    "peer switched off and on again": Case(
        "Needs your attention", NextStep.AGAIN, "Try again", link=undelivered(Reason.PEER_DISABLED)
    ),
    "began there, a change was not delivered": Case(
        "Needs your attention",
        NextStep.AGAIN,
        "Try again",
        link={**THERE, **undelivered(Reason.UNREACHABLE, generation=1)},
        peer={"homepage": HOME},
    ),
    "credentials refused, the peer is paused": Case(
        "On hold",
        NextStep.NOTHING,
        says=[NEEDS_ADMINISTRATOR],
        link=undelivered(Reason.CREDENTIALS_REFUSED),
        peer=PAUSED,
    ),
    "credentials refused, and mended since": Case(
        "Needs your attention",
        NextStep.AGAIN,
        "Try again",
        link=undelivered(Reason.CREDENTIALS_REFUSED),
    ),
    "endpoint gone, and mended since": Case(
        "Needs your attention", NextStep.AGAIN, "Try again", link=undelivered(Reason.GONE)
    ),
    "stopped by an administrator": Case(
        "Needs your attention",
        NextStep.FINISH,
        "Allow it again",
        [f"Allow it again. {TELL_ADMINISTRATOR}"],
        undelivered(Reason.STOPPED),
    ),
    "not delivered, and nothing is left of it": Case(
        "Needs your attention",
        NextStep.FINISH,
        "Allow it again",
        link=undelivered(Reason.UNREACHABLE, incoming_scope="history"),
    ),
    "our access there is unreadable": Case(
        "Needs your attention",
        NextStep.CONNECT,
        "Connect again",
        ["Connect again."],
        undelivered(Reason.UNREADABLE),
    ),
    "revoked in DOT's pages": Case(
        "Needs your attention",
        NextStep.FINISH,
        "Allow it again",
        ["It was ended here.", "Allow it again, and Music gets new access."],
        lost(Reason.REVOKED_HERE),
    ),
    "run out": Case(
        "Needs your attention", NextStep.FINISH, "Allow it again", link=lost(Reason.EXPIRED)
    ),
    "lost, and began there": Case(
        "Needs your attention",
        NextStep.VISIT,
        "Go to Music",
        ["Go to Music and connect again there."],
        {**THERE, **lost(Reason.REVOKED_BY_PEER)},
        {"homepage": HOME},
    ),
    "lost, began there, which has no homepage": Case(
        "Needs your attention",
        NextStep.CONNECT,
        "Connect again",
        link={**THERE, **lost(Reason.REVOKED_BY_PEER)},
    ),
    "lost, began there, and connecting would add another": Case(
        "Needs your attention",
        NextStep.REMOVE,
        "Remove and start over",
        ["Remove this connection, then connect Music again."],
        {**THERE, **lost(Reason.REVOKED_BY_PEER)},
        OPENID,
    ),
    "cut off": Case(
        "Needs your attention",
        NextStep.CONNECT,
        "Connect again",
        [
            "Music no longer renews the access.",
            "Connect again: you will be asked at Music once more.",
        ],
        cut_off(Reason.REFRESH_REFUSED),
    ),
    "cut off, the account is known": Case(
        "Needs your attention",
        NextStep.CONNECT,
        "Connect again",
        ["Account there: alice"],
        cut_off(Reason.EXPIRED, **HAS_ACCOUNT),
        OPENID,
    ),
    "cut off, accounts have been told apart since": Case(
        "Needs your attention",
        NextStep.REMOVE,
        "Remove and start over",
        link=cut_off(Reason.EXPIRED),
        peer=OPENID,
    ),
    "cut off, accounts are no longer told apart": Case(
        "Needs your attention",
        NextStep.REMOVE,
        "Remove and start over",
        link=cut_off(Reason.TOKEN_REFUSED, **HAS_ACCOUNT),
    ),
    "cut off before the question was answered": Case(
        "Needs your attention",
        NextStep.CONNECT,
        "Connect again",
        link=cut_off(Reason.EXPIRED, incoming_state=Incoming.OFFERED, incoming_scope=""),
    ),
    "cut off, and the peer is paused": Case(
        "On hold",
        NextStep.NOTHING,
        says=[NEEDS_ADMINISTRATOR],
        link=cut_off(Reason.EXPIRED),
        peer=PAUSED,
    ),
    "began there": Case(
        "One way, waiting for your approval at Music",
        NextStep.VISIT,
        "Go to Music",
        ["Go back to Music and allow this site to use your account there."],
        WAITING,
        {"homepage": HOME},
    ),
    "began there, which has no homepage": Case(
        "One way, waiting for your approval at Music",
        NextStep.REMOVE,
        "Remove and start over",
        link=WAITING,
    ),
    "its code is being redeemed": Case(
        "Allowed at Music, on its way to this site",
        NextStep.NOTHING,
        link=WAITING,
        peer={"homepage": HOME},
        code=(InboxItem.State.PENDING, ""),
    ),
    "its code waits for the paused peer": Case(
        "On hold",
        NextStep.NOTHING,
        says=[NEEDS_ADMINISTRATOR],
        link=WAITING,
        peer=PAUSED,
        code=(InboxItem.State.PENDING, ""),
    ),
    "its code was given up": Case(
        "Needs your attention",
        NextStep.VISIT,
        "Go to Music",
        [
            "Music did not give the access that it had offered.",
            "Go to Music and connect again there.",
        ],
        WAITING,
        {"homepage": HOME},
        (InboxItem.State.FAILED, Reason.CODE_REFUSED),
    ),
    "switched off": Case(
        "Switched off at this site",
        NextStep.NOTHING,
        says=["An administrator of this site has switched off Music."],
        peer={"enabled": False},
    ),
    "broken and switched off": Case(
        "Switched off at this site",
        NextStep.NOTHING,
        link=cut_off(Reason.EXPIRED),
        peer={"enabled": False},
    ),
}


def make(case: Case, user: Any, peer: Peer) -> Link:
    Peer.objects.filter(pk=peer.pk).update(**case.peer)
    link = Link.objects.create(user=user, peer=peer, **{**BOTH, **case.link})
    if case.code is not None:
        state, reason = case.code
        InboxItem.objects.create(peer=peer, link=link, code_hash="x", state=state, reason=reason)
    return link
