"""The newest flow of a link as a sequence diagram: the figure in draft-ietf-oauth-reciprocal-04,
section 2, with the result of each step. Pages, admin and API show the same steps.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

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


@dataclass(frozen=True)
class FlowStep:
    """One step.

    :ivar letter: its letter in the figure; empty for the consent.
    :ivar sender: the name of the party that does it.
    :ivar arrow: ``forth`` from party A to party B, ``back``, or ``dot`` for the consent.
    :ivar text: what the step is.
    :ivar result: its state in words.
    :ivar at: when it happened; ``None`` where that is not known here, or not yet.
    :ivar explanation: what went wrong; may be empty.
    """

    step: str
    letter: str
    sender: str
    arrow: str
    state: str
    text: str
    result: str
    at: datetime | None
    explanation: str


@dataclass(frozen=True)
class Diagram:
    """The steps of the newest flow.

    :ivar party: the party that this site is.
    :ivar name_a: the name of party A, and ``name_b`` that of party B.
    :ivar is_change: whether the steps from (E) on are about a change, while the peer has access
        from before that.
    :ivar is_under_way: whether it continues without the person who looks at it.
    """

    party: str
    peer_name: str
    name_a: str
    name_b: str
    steps: list[FlowStep]
    is_change: bool
    is_under_way: bool


@dataclass
class _Flow:
    """One run through the figure; ``party`` is the party that this site is."""

    party: str
    events: dict[str, LinkEvent] = field(default_factory=dict)

    def take(self, event: LinkEvent, link: Link) -> None:
        failed = event.outcome == LinkEvent.Outcome.FAILED
        if event.step == Step.F and failed and self.party == Party.A:
            # After a replay, the access from the code is revoked and a new code is sent, unless
            # access works again. Any other refusal leaves the code as it was.
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
    link: Link, events: Iterable[LinkEvent] | None = None, *, technical: bool = True
) -> Diagram | None:
    """Return the diagram of the newest flow of ``link``; ``None`` without any step.

    One query for the inbox of the link, and one for its history unless it is given.

    :param events: the history of the link, oldest first.
    :param technical: say how the other site responded, which only helps administrators.
    """
    inbox = link.inbox.order_by("-pk").only("state", "reason").first()
    failed = inbox is not None and inbox.state == InboxItem.State.FAILED
    code_failure = (inbox.reason or Reason.CODE_REFUSED) if inbox is not None and failed else ""
    flow = _newest_flow(link, newest_events(link) if events is None else events)
    if flow is None:
        return None
    names = [_("This site"), link.peer.name]
    name_a, name_b = names if flow.party == Party.A else reversed(names)
    steps = []
    for step, state, reason, last in _states(link, flow, code_failure):
        explain = _why(reason, last) if technical else _why_for_people(link, state, reason, last)
        event = flow.events.get(step)
        is_sent = step != Step.CONSENT
        goes_forth = step in _FROM_A_TO_B
        steps.append(
            FlowStep(
                step=step,
                letter=str(step) if is_sent else "",
                sender=name_a if goes_forth or not is_sent else name_b,
                arrow=("forth" if goes_forth else "back") if is_sent else "dot",
                state=state,
                text=_text(step, flow, link),
                result=_result(step, state),
                at=event.at if event is not None and state != AHEAD else None,
                explanation=explain,
            )
        )
    return Diagram(
        party=flow.party,
        peer_name=link.peer.name,
        name_a=name_a,
        name_b=name_b,
        steps=steps,
        is_change=flow.party == Party.A and link.is_active and link.keeps_earlier_incoming,
        is_under_way=any(
            each.state == RUNNING and (each.step != Step.CONSENT or flow.party == Party.B)
            for each in steps
        ),
    )


def _newest_flow(link: Link, events: Iterable[LinkEvent]) -> _Flow | None:
    """A visit to the other site begins a flow; a later decision or code begins its second half."""
    flow: _Flow | None = None
    for event in events:
        if event.step == Step.NONE:
            continue
        begins = event.step == Step.A or (event.step == Step.D and event.party == Party.B)
        if flow is None or begins or flow.party != event.party:
            flow = _Flow(event.party or Party.A)
        flow.take(event, link)
    return flow


def _states(link: Link, flow: _Flow, code_failure: str) -> Iterator[tuple[Step, str, str, str]]:
    """Yield each step with its state, the ``Reason`` for it, and the result of its last attempt."""
    good = [place for place, step in enumerate(_ORDER) if _is_ok(flow.events.get(step))]
    # A step without an event, such as (A) to (C) at party B, was done before a step with one.
    current = good[-1] + 1 if good else 0
    for place, step in enumerate(_ORDER):
        if place < current:
            yield step, DONE, "", ""
        elif place > current:
            yield step, AHEAD, "", ""
        else:
            state, reason = _state_of_next(link, flow, step, code_failure)
            event = flow.events.get(step)
            tried = event is not None and state in (RUNNING, HELD, FAILED)
            yield step, state, reason, event.detail if event is not None and tried else ""


def _is_ok(event: LinkEvent | None) -> bool:
    return event is not None and event.outcome == LinkEvent.Outcome.OK and not event.is_refusal


def _state_of_next(link: Link, flow: _Flow, step: Step, code_failure: str) -> tuple[str, str]:
    event = flow.events.get(step)
    if event is not None and event.is_refusal:
        return REFUSED, ""
    if not link.is_active or not link.peer.enabled:
        return AHEAD, ""
    if flow.party == Party.B:
        return _next_at_b(link, step, code_failure)
    match link.incoming_state:
        case Link.Incoming.GRANTED:
            return _running(link)
        case Link.Incoming.OFFERED if step == Step.CONSENT:
            return RUNNING, ""
        case Link.Incoming.BROKEN:
            return FAILED, link.incoming_reason
    return AHEAD, ""


def _next_at_b(link: Link, step: Step, code_failure: str) -> tuple[str, str]:
    if step in (Step.F, Step.G):
        return (FAILED, code_failure) if code_failure else _running(link)
    return (RUNNING, "") if link.outgoing_state == Link.Outgoing.WAITING else (AHEAD, "")


def _running(link: Link) -> tuple[str, str]:
    """A step is on hold while the peer is paused."""
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


def _text(step: Step, flow: _Flow, link: Link) -> str:
    match step:
        case Step.CONSENT if flow.party == Party.A:
            return _("The person decides what %(name)s may do") % {"name": link.peer.name}
        case Step.CONSENT:
            return _("The person decides what this site may do")
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


def _result(step: Step, state: str) -> str:
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
