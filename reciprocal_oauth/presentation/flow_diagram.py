"""The newest flow of a link as a sequence diagram: figure 1 of draft-ietf-oauth-reciprocal-04,
with what came of each step.

Computed here and drawn by a template, so that pages and admin show the same.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..models import InboxItem, Link, LinkEvent, Party, Step
from ..models.events import REPLAY, newest_events
from ..models.reasons import Reason
from .reasons import for_people

#: States of a step.
DONE, RUNNING, HELD, FAILED = "done", "running", "held", "failed"
REFUSED, AHEAD = "refused", "ahead"

_ORDER = (Step.A, Step.B, Step.C, Step.D, Step.CONSENT, Step.E, Step.F, Step.G)
_FROM_A_TO_B = (Step.A, Step.C, Step.E, Step.G)
_REVERSE = (Step.E, Step.F, Step.G)

#: Pixels.
_TOP, _LABEL, _LINE, _PADDING = 56, 20, 18, 14
#: Letters of a line that fit between the two parties on a screen of 320 pixels (WCAG 2.2, 1.4.10):
#: what a step is, in bold, and what came of it, which is smaller.
_LETTERS, _SMALL_LETTERS = 26, 32
#: Those of a time, with the mark of a state and what is between them.
_TIME_LETTERS = 28
_NAME_LETTERS = 14
#: Where the two parties stand, in percent of the width.
_LEFT, _RIGHT = 3, 97


@dataclass(frozen=True)
class Row:
    """One step.

    :ivar letter: of the draft's figure; empty for the consent.
    :ivar at: when it happened; ``None`` where that is not known here, or not yet.
    :ivar label: what the step is; ``why`` says what went wrong. Both in lines, each with its
        height in pixels.
    :ivar time_y: the height of ``at``: that of ``said``, or below it where one line is too short.
    :ivar start: where the arrow begins, in percent of the width; ``end`` is its point.
    """

    step: str
    letter: str
    state: str
    said: str
    at: datetime | None
    text: str
    explanation: str
    label: list[tuple[int, str]]
    why: list[tuple[int, str]]
    top: int
    height: int
    arrow_y: int
    said_y: int
    time_y: int
    start: int
    end: int

    @property
    def points_right(self) -> bool:
        return self.end > self.start


@dataclass(frozen=True)
class Diagram:
    """:ivar near: the name of party A, and ``far`` that of party B, short enough for the drawing.
    :ivar there: the name of the other site, as short.
    :ivar near_x: where party A stands, in percent of the width, and ``far_x`` party B.
    :ivar height: in pixels.
    :ivar is_change: whether the steps from (E) on are about a change, while the peer has access
        from before that.
    :ivar is_under_way: whether it moves on without the person who looks at it.
    """

    party: str
    near: str
    far: str
    there: str
    near_x: int
    far_x: int
    rows: list[Row]
    height: int
    is_change: bool
    is_under_way: bool


@dataclass
class _Flow:
    """One run through the figure; ``party`` is the part that this site plays in it."""

    party: str
    events: dict[str, LinkEvent] = field(default_factory=dict)

    def take(self, event: LinkEvent, link: Link) -> None:
        failed = event.outcome == LinkEvent.Outcome.FAILED
        if event.step == Step.F and failed and self.party == Party.A:
            # After a replay, what the code gave is revoked and a new one is sent, unless that is
            # history. Any other refusal leaves the code as it was.
            if event.detail == REPLAY and link.incoming_state != Link.Incoming.ACTIVE:
                self._begin_reverse()
            return
        if event.step == Step.CONSENT or (event.step == Step.E and Step.F in self.events):
            self._begin_reverse()
        self.events[event.step] = event

    def _begin_reverse(self) -> None:
        for step in _REVERSE:
            self.events.pop(step, None)


def of_link(
    link: Link,
    events: Iterable[LinkEvent] | None = None,
    *,
    mirrored: bool = False,
    technical: bool = True,
) -> Diagram | None:
    """The diagram of ``link``, with one query more for its inbox, and one for ``events``, its
    history in the order of time, where the caller does not have it."""
    inbox = link.inbox.order_by("-pk").only("state", "reason").first()
    dead = inbox is not None and inbox.state == InboxItem.State.FAILED
    given_up = (inbox.reason or Reason.CODE_REFUSED) if inbox is not None and dead else ""
    history = newest_events(link) if events is None else events
    return draw(link, history, given_up=given_up, mirrored=mirrored, technical=technical)


def draw(
    link: Link,
    events: Iterable[LinkEvent],
    *,
    given_up: str = "",
    mirrored: bool = False,
    technical: bool = True,
) -> Diagram | None:
    """The newest flow in ``events``, which are in the order of time; ``None`` without any.

    :param given_up: the ``Reason`` for which the newest code of the peer was given up.
    :param mirrored: party A stands on the right, as for who reads from right to left.
    :param technical: say what the other site answered, which is of use to administrators only.
    """
    flow = _newest_flow(link, events)
    if flow is None:
        return None
    here, there = _("This site"), Truncator(link.peer.name).chars(_NAME_LETTERS)
    decided = _("The person decides what this site may do")
    if flow.party == Party.A:
        decided = _("The person decides what %(name)s may do") % {"name": there}
    near, far = (here, there) if flow.party == Party.A else (there, here)
    near_x, far_x = (_RIGHT, _LEFT) if mirrored else (_LEFT, _RIGHT)
    rows, y = [], _TOP
    for step, state, reason, last in _states(link, flow, given_up):
        why = _why(reason, last) if technical else _why_for_people(link, state, reason, last)
        ends = (near_x, far_x) if step in _FROM_A_TO_B else (far_x, near_x)
        if step == Step.CONSENT:
            ends = (near_x, near_x)
        text = decided if step == Step.CONSENT else _label(step)
        row = _row(step, state, why, flow.events.get(step), text, y, ends)
        rows.append(row)
        y += row.height
    return Diagram(
        party=flow.party,
        near=Truncator(near).chars(_NAME_LETTERS),
        far=Truncator(far).chars(_NAME_LETTERS),
        there=there,
        near_x=near_x,
        far_x=far_x,
        rows=rows,
        height=y + _PADDING,
        is_change=flow.party == Party.A and link.is_active and link.keeps_earlier_incoming,
        is_under_way=any(
            row.state == RUNNING and (row.step != Step.CONSENT or flow.party == Party.B)
            for row in rows
        ),
    )


def _newest_flow(link: Link, events: Iterable[LinkEvent]) -> _Flow | None:
    """A visit to the other site begins one; a later decision or code only its second half."""
    flow: _Flow | None = None
    for event in events:
        if event.step == Step.NONE:
            continue
        begins = event.step == Step.A or (event.step == Step.D and event.party == Party.B)
        if flow is None or begins or flow.party != event.party:
            flow = _Flow(event.party or Party.A)
        flow.take(event, link)
    return flow


def _states(link: Link, flow: _Flow, given_up: str) -> Iterator[tuple[Step, str, str, str]]:
    """Each step with its state, the ``Reason`` for that, and what its last attempt came to."""
    good = [place for place, step in enumerate(_ORDER) if _is_ok(flow.events.get(step))]
    # What has no line of its own, such as (A) to (C) at party B, came before what has one.
    current = good[-1] + 1 if good else 0
    for place, step in enumerate(_ORDER):
        if place < current:
            yield step, DONE, "", ""
        elif place > current:
            yield step, AHEAD, "", ""
        else:
            state, reason = _state_of_next(link, flow, step, given_up)
            event = flow.events.get(step)
            tried = event is not None and state in (RUNNING, HELD, FAILED)
            yield step, state, reason, event.detail if event is not None and tried else ""


def _is_ok(event: LinkEvent | None) -> bool:
    return event is not None and event.outcome == LinkEvent.Outcome.OK and not event.is_refusal


def _state_of_next(link: Link, flow: _Flow, step: Step, given_up: str) -> tuple[str, str]:
    event = flow.events.get(step)
    if event is not None and event.is_refusal:
        return REFUSED, ""
    if not link.is_active or not link.peer.enabled:
        return AHEAD, ""
    if flow.party == Party.B:
        return _next_at_b(link, step, given_up)
    match link.incoming_state:
        case Link.Incoming.GRANTED:
            return _running(link)
        case Link.Incoming.OFFERED if step == Step.CONSENT:
            return RUNNING, ""
        case Link.Incoming.BROKEN:
            return FAILED, link.incoming_reason
    return AHEAD, ""


def _next_at_b(link: Link, step: Step, given_up: str) -> tuple[str, str]:
    if step in (Step.F, Step.G):
        return (FAILED, given_up) if given_up else _running(link)
    return (RUNNING, "") if link.outgoing_state == Link.Outgoing.WAITING else (AHEAD, "")


def _running(link: Link) -> tuple[str, str]:
    """Nothing moves while the peer is paused."""
    return (HELD, link.peer.paused_reason) if link.peer.paused_at else (RUNNING, "")


def _why(reason: str, last: str) -> str:
    label = str(Reason(reason).label) if reason in Reason.values and reason else reason
    sentence = _("%s.") % f"{label[:1].upper()}{label[1:]}" if label else ""
    return f"{sentence} {last}".strip()


def _why_for_people(link: Link, state: str, reason: str, last: str) -> str:
    if state == HELD:
        return _("An administrator of this site needs to fix this first.")
    if state == RUNNING and last:
        return _("The last attempt failed. This site tries again by itself.")
    return for_people(reason, link.peer.name)


def _label(step: Step) -> str:
    match step:
        case Step.A:
            return _("asks for access, through the browser")
        case Step.B:
            return _("sends the browser back with a code")
        case Step.C:
            return _("redeems that code")
        case Step.D:
            return _("gives an access token")
        case Step.E:
            return _("hands over a code for the reverse direction")
        case Step.F:
            return _("redeems the code for the reverse direction")
    return _("gives an access token for the reverse direction")


def _said(step: Step, state: str) -> str:
    match state:
        case "done":
            return _("done")
        case "running" if step == Step.CONSENT:
            return _("waiting for an answer")
        case "running":
            return _("in progress")
        case "held":
            return _("on hold")
        case "failed":
            return _("failed")
        case "refused":
            return _("not allowed")
    return _("not yet")


def _row(
    step: Step,
    state: str,
    why: str,
    event: LinkEvent | None,
    text: str,
    top: int,
    ends: tuple[int, int],
) -> Row:
    letter = "" if step == Step.CONSENT else str(step)
    said = _said(step, state)
    at = event.at if event is not None and state != AHEAD else None
    lines = _wrapped(f"({letter}) {text}" if letter else text, _LETTERS)
    label = [(top + _PADDING + _LABEL * number, line) for number, line in enumerate(lines, 1)]
    arrow_y = label[-1][0] + 9
    said_y = arrow_y + _LINE
    is_long = at is not None and _width(said) + _TIME_LETTERS > _SMALL_LETTERS
    time_y = said_y + _LINE if is_long else said_y
    whys = _wrapped(why, _SMALL_LETTERS)
    reasons = [(time_y + _LINE * number, line) for number, line in enumerate(whys, 1)]
    return Row(
        step=step,
        letter=letter,
        state=state,
        said=said,
        at=at,
        text=text,
        explanation=why,
        label=label,
        why=reasons,
        top=top,
        height=time_y + _LINE * len(reasons) + _PADDING // 2 - top,
        arrow_y=arrow_y,
        said_y=said_y,
        time_y=time_y,
        start=ends[0],
        end=ends[1],
    )


def _wrapped(text: str, letters: int) -> list[str]:
    """``text`` in lines that fit: SVG breaks none. East Asian letters need no space to break at."""
    lines, line, width = [], "", 0.0
    for letter in text:
        size = _width(letter)
        if width + size > letters:
            kept, space, rest = line.rpartition(" ")
            breaks_here = letter == " " or size > 1
            full, line = (kept, rest) if space and not breaks_here else (line, "")
            lines.append(full)
            width = _width(line)
        line, width = line + letter, width + size
    return [each.strip() for each in (*lines, line) if each.strip()]


def _width(text: str) -> float:
    """In letters. East Asian ones are wider, 14 pixels to about 8 of others."""
    return sum(1.75 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
