"""The scope that party B asks (section 2.1), and that the user allows (section 2.2.1)."""

from typing import Any

from ..party_a import PartyA
from ..party_a.redeeming import Tokens
from ..party_a.serving import Flow, Plan
from ..registry import check
from ..verdicts import Broken, Severity

_ASKED = "2.1/1 2.1/2 2.1/3"
_UNKNOWN = "conformance_unknown"


@check(
    "A-SCOPE-1",
    Severity.MUST,
    draft="2.2.1/2 2.2.2/1",
    rfc="6749 3.3; 6749 5.1",
    threats="L10",
    needs="scopes",
)
def part_of_the_scope(a: PartyA) -> None:
    """A user can allow a part of what is asked, and party B learns it.

    Does: asks several scopes, and lets the user allow the first one.

    Expects: the token response has scope with this one.
    """
    allowed = a.scopes()[:1]
    _, tokens = a.linked(scopes=allowed)
    if tokens.scope is None:
        raise Broken("A scope: it differs from what was asked.", "The token response has none.")
    if tokens.scopes != set(allowed):
        raise Broken(f"scope={' '.join(allowed)}.", f"scope={tokens.scope}.")


@check("A-SCOPE-2", Severity.SECURITY, draft=_ASKED, threats="S1", negative=True)
def unknown_scope(a: PartyA) -> None:
    """A scope that party B may not have is not granted.

    Does: asks a scope that does not exist, too.

    Expects: the token response does not have it. A refusal is right as well.
    """
    asked = " ".join([*a.scopes(), _UNKNOWN])
    flow = a.link(plan=Plan(reciprocal=asked), may_fail=True)
    tokens = _granted(a, flow)
    if tokens is None:
        return
    if tokens.scope is None:
        # RFC 6749, section 5.1: without scope, it is what was asked.
        raise Broken(f"A scope without {_UNKNOWN}.", "The token response has no scope.")
    if _UNKNOWN in tokens.scopes:
        raise Broken(f"No {_UNKNOWN}.", f"scope={tokens.scope}.")


@check("A-SCOPE-3", Severity.MUST, draft=_ASKED + " 4/2 4/3", needs="other")
def other_scope(a: PartyA) -> None:
    """The scope that the token response asks is the one that is granted.

    Does: asks another scope than usual.

    Expects: a token with that scope.
    """
    other = a.config.tester.other_scope
    _, tokens = a.linked(plan=Plan(reciprocal=other))
    if tokens.scope is not None and tokens.scopes != set(other.split()):
        raise Broken(f"scope={other}.", f"scope={tokens.scope}.")


@check("A-SCOPE-4", Severity.MUST, draft="2/2 2.1/3 2.1/8", needs="agreed")
def agreed_scope(a: PartyA) -> None:
    """Without the parameter reciprocal, the scope is the agreed one.

    Does: asks nothing.

    Expects: a token with the scope that both parties have agreed on.
    """
    flow = a.link(plan=Plan(reciprocal=None), may_fail=True)
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        raise Broken("A hand-over for the agreed scope.", "None came.")
    tokens = a.redeemed(a.first_handover(flow))
    agreed = set(a.config.tester.agreed_scope.split())
    if tokens.scope is not None and tokens.scopes != agreed:
        raise Broken(f"scope={a.config.tester.agreed_scope}.", f"scope={tokens.scope}.")


@check("A-SCOPE-5", Severity.SECURITY, draft=_ASKED, rfc="6749 3.3", threats="S2", negative=True)
def no_scope(a: PartyA) -> None:
    """A value of reciprocal that is no scope does no harm.

    Does: asks with a list, a number, an object, a quoted text, and an empty text.

    Expects: a page below 500 each time, and no more than the usual scope.
    """
    first = a.scopes()[0]
    odd: tuple[Any, ...] = ([first], 7, {"scope": first}, f'"{first}"', "")
    agreed = set(a.config.tester.agreed_scope.split())
    for value in odd:
        flow = a.link(plan=Plan(reciprocal=value), may_fail=True)
        if a.outcome.status is not None and a.outcome.status >= 500:
            raise Broken("A page below 500.", f"{value!r} leads to status {a.outcome.status}.")
        tokens = _granted(a, flow)
        if tokens is None:
            continue
        allowed = set(a.scopes()) | agreed
        if tokens.scope is None:
            a.note(f"{value!r} leads to a token response without scope: it does not say which.")
        elif not agreed:
            a.note(f"{value!r} leads to scope={tokens.scope}; agreed_scope is not given.")
        elif tokens.scopes - allowed:
            raise Broken(f"At most {' '.join(sorted(allowed))}.", f"scope={tokens.scope}.")


def _granted(a: PartyA, flow: Flow) -> Tokens | None:
    """Return the tokens that a visit leads to, or ``None`` if party A refuses the scope."""
    if not flow.handovers and a.stays_quiet(lambda: flow.handovers):
        a.note("No hand-over came.")
        return None
    return a.redeemed(flow.handovers[0])


@check(
    "A-SCOPE-6",
    Severity.INFORMATION,
    draft="2.1/1 2.1/6 2.1/7 2.1/8",
    needs="scopes",
)
def two_requests(a: PartyA) -> None:
    """The authorization response and the token response may ask different scopes.

    Does: asks one scope in the authorization response, and another one in the token response.

    Expects: nothing. The draft does not say which one counts; it reports it.
    """
    first, second = a.scopes()[:2]
    flow = a.link(plan=Plan(in_callback=first, reciprocal=second), may_fail=True)
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        a.note("No hand-over came.")
        return
    a.note(f"The token response has scope={a.redeemed(flow.handovers[0]).scope}.")
