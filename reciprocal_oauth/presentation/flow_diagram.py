"""Shows the newest flow of a link as a sequence diagram.

A flow is one run through the steps (A) to (G) of the figure in draft-ietf-oauth-reciprocal-04,
section 2. The diagram shows these steps with their results, and one more step between (D) and (E):
the person's consent to the reverse direction. The pages, the admin and the API show the diagram.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from ..models import InboxItem, Link, LinkEvent, Party, Step
from ..models.events import REPLAY, newest_events
from ..models.reasons import Reason
from ..status import waiting
from .next_step import waits_for_approval
from .reasons import for_people

#: The states of a step: done, in progress, on hold while delivery to the peer is paused, failed,
#: refused by the person, and not yet begun.
DONE, RUNNING, HELD, FAILED = "done", "running", "held", "failed"
REFUSED, AHEAD = "refused", "ahead"

_ORDER = (Step.A, Step.B, Step.C, Step.D, Step.CONSENT, Step.E, Step.F, Step.G)
_FROM_A_TO_B = (Step.A, Step.C, Step.E, Step.G)
#: The steps of a flow with a peer that sends no reciprocal codes.
_ONE_WAY = _ORDER[:4]
_REVERSE = (Step.E, Step.F, Step.G)


@dataclass(frozen=True)
class FlowStep:
    """One step of the diagram.

    :ivar letter: the letter of the step in the figure; empty for the consent.
    :ivar sender: the name of the party that performs the step.
    :ivar arrow: the direction of the arrow: ``forth`` from party A to party B, ``back`` from party
        B to party A, or ``dot`` (no arrow) for the consent.
    :ivar state: the state of the step, such as ``DONE``, ``RUNNING`` or ``FAILED``.
    :ivar text: what the party does in the step.
    :ivar result: the state in words.
    :ivar at: the time at which the step happened; ``None`` if it has not happened yet, or if this
        site did not record the time.
    :ivar explanation: what went wrong; empty if nothing did.
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
    """The steps of the newest flow of a link.

    :ivar party: the role of this site: party A or party B.
    :ivar name_a: the name of party A.
    :ivar name_b: the name of party B.
    :ivar is_change: whether the steps (E) to (G) deliver a newer decision of the person, while the
        peer still has the access of an earlier decision.
    :ivar is_under_way: whether a step is in progress, and needs no action of the person at this
        site. In this case, the page updates itself.
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
    """One flow, as recorded in the history of the link.

    :ivar party: the role of this site in the flow: party A or party B.
    :ivar events: the newest recorded event of each step.
    """

    party: str
    events: dict[str, LinkEvent] = field(default_factory=dict)

    def take(self, event: LinkEvent, link: Link) -> None:
        failed = event.outcome == LinkEvent.Outcome.FAILED
        if event.step == Step.F and failed and self.party == Party.A:
            # Of all failures of step (F), only a replay matters here: the peer tried to redeem a
            # reciprocal code a second time. Then this site revokes the access from that code and
            # sends a new one. So forget the events of the steps (E) to (G), except if the access of
            # the peer works now.
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
    """Return the diagram of the newest flow of ``link``, or ``None`` if no step is recorded.

    This needs one query for the codes that the peer has handed over, and one query for the history
    of the link if ``events`` is not given.

    :param events: the history of the link, the oldest event first.
    :param technical: whether the explanations contain technical details for administrators, such
        as the response of the peer.
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
        waits_here = state == RUNNING and step in (Step.E, Step.F) and waiting.waits_here(link)
        goes_forth = step in _FROM_A_TO_B
        steps.append(
            FlowStep(
                step=step,
                letter=str(step) if is_sent else "",
                sender=name_a if goes_forth or not is_sent else name_b,
                arrow=("forth" if goes_forth else "back") if is_sent else "dot",
                state=state,
                text=_text(step, flow, link),
                result=_("waiting at this site") if waits_here else _result(step, state),
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
    """Return the newest flow in ``events``, or ``None`` if no step is recorded.

    A flow begins at the first recorded step; at step (A); at step (D), if this site is party B in
    it; and at a step in which this site has another role than in the step before. A later decision
    of the person, or a later reciprocal code, begins no new flow. Only steps (E) to (G) begin
    again.
    """
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
    """Yield four values for each step: the step, its state, the ``Reason`` for the state, and the
    recorded detail of the last attempt. The reason and the detail are empty strings if there is
    nothing to say."""
    order = _order_of(link, flow)
    good = [place for place, step in enumerate(order) if _is_ok(flow.events.get(step))]
    # If a step succeeded, show all earlier steps as done, even those without an event. For example,
    # party B records no event for (A), (B) and (C), but they must have happened before (D).
    current = good[-1] + 1 if good else 0
    for place, step in enumerate(order):
        if place < current:
            yield step, DONE, "", ""
        elif place > current:
            yield step, AHEAD, "", ""
        else:
            state, reason = _state_of_next(link, flow, step, code_failure)
            event = flow.events.get(step)
            tried = event is not None and state in (RUNNING, HELD, FAILED)
            yield step, state, reason, event.detail if event is not None and tried else ""


def _order_of(link: Link, flow: _Flow) -> Sequence[Step]:
    """Return the steps that the flow has or can have."""
    goes_back = any(step not in _ONE_WAY for step in flow.events)
    return _ORDER if link.peer.sends_codes or flow.party == Party.A or goes_back else _ONE_WAY


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
    return (RUNNING, "") if waits_for_approval(link) else (AHEAD, "")


def _running(link: Link) -> tuple[str, str]:
    """Return the state and the reason of a step that is in progress. The state is ``HELD`` while
    delivery to the peer is paused."""
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
