"""The visits of the users of party A: link, update, end."""

from collections.abc import Callable, Sequence
from functools import partial

from ..bench import each_done
from ..drivers.journeys import Journey, Outcome
from ..verdicts import Broken, NotGiven, Unclear
from ..wire.client import Request, Response
from .redeeming import Redeeming, Tokens
from .serving import Flow, HandOver, Plan


class PartyA(Redeeming):
    """Lets users of the party A under test link their accounts with the tester."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._linked_users: set[str] = set()
        #: Users who allowed once, and whether the visit that runs is that of one of them whose
        #: earlier link could not be ended.
        self._allowed_users: set[str] = set()
        self._may_remember = False
        self._sample: tuple[Flow, str] | None = None
        #: Where the last visit ended, and when.
        self.outcome = Outcome()
        self._visit_ended = 0.0

    # --- A visit ---------------------------------------------------------------------------------

    def link(
        self,
        decision: str = "allow",
        *,
        plan: Plan | None = None,
        user: str = "",
        scopes: Sequence[str] | None = None,
        may_fail: bool = False,
        keeps: bool = False,
    ) -> Flow:
        """Let a user link, after the old link has ended.

        :param decision: ``allow``, ``deny`` or ``look``.
        :param scopes: what the user allows; ``None`` is all.
        :param may_fail: the visit may end at an error page.
        :param keeps: do not end the old link before.
        :raises Unclear: party A sent the browser not to the tester, or the visit failed.
        :raises NotGiven: ``keeps``, and party A offers no second link.
        """
        user = user or self.user
        if keeps:
            self._may_remember = user in self._allowed_users
        else:
            self.fresh(user)
        allowed = None if scopes is None else tuple(scopes)
        journey = Journey("link", user=user, decision=decision, scopes=allowed)
        return self._visit(journey, plan or Plan(), may_fail=may_fail, keeps=keeps)

    def _visit(self, journey: Journey, plan: Plan, *, may_fail: bool, keeps: bool = False) -> Flow:
        known = len(self.flows)
        self.plan = plan

        def is_over() -> bool:
            began = self.flows[known:]
            return journey.decision == "allow" and bool(began) and bool(began[-1].handovers)

        self._linked_users.add(journey.user)
        if journey.decision == "allow":
            self._allowed_users.add(journey.user)
        go = self.try_journey if may_fail else self.journey
        self.outcome = go(journey, is_over)
        self._visit_ended = self.recorder.now()
        self.plan = Plan()
        began = self.flows[known:]
        if not began and keeps:
            raise NotGiven("a subject in which a user who is linked can link again")
        if not began:
            raise Unclear(
                "Party A did not send the browser to the tester's authorization endpoint."
            )
        return began[-1]

    def fresh(self, user: str) -> None:
        """End the link that the user has, so that a new one begins with nothing."""
        can_end = self.driver.supports("end")
        if user in self._linked_users and can_end:
            self.try_journey(Journey("end", user=user), self._is_ended())
        self._may_remember = user in self._allowed_users and not can_end
        self._linked_users.discard(user)
        if self._sample is not None and user == self.user:
            self._sample = None

    def handed_over(
        self,
        *,
        plan: Plan | None = None,
        user: str = "",
        scopes: Sequence[str] | None = None,
    ) -> tuple[Flow, HandOver]:
        """Let a user link and allow, and wait for the hand-over.

        :raises Unclear: it does not come.
        """
        flow = self.link(plan=plan, user=user, scopes=scopes)
        return flow, self.first_handover(flow)

    def first_handover(self, flow: Flow, *, number: int = 1) -> HandOver:
        """Wait for a hand-over of this visit.

        :raises Unclear: it does not come.
        """
        if not self.wait_for(lambda: len(flow.handovers) >= number, self.waits.send):
            since = flow.token_requests[-1].at if flow.token_requests else self._visit_ended
            others = [each for each in self.flows if each is not flow]
            if any(handover.at >= since for each in others for handover in each.handovers):
                raise Unclear("A hand-over came with the access token of another visit (A-E-4).")
            raise Unclear(f"The user allowed, and no hand-over came in {self.waits.send:.0f} s.")
        if number == 1:
            self.showed_delay(flow.handovers[0].at - self._visit_ended)
        return flow.handovers[number - 1]

    def linked(
        self,
        *,
        plan: Plan | None = None,
        user: str = "",
        scopes: Sequence[str] | None = None,
    ) -> tuple[Flow, Tokens]:
        """Let a user link and allow, wait for the hand-over, and redeem it.

        :raises Unclear: there are no tokens.
        """
        flow, handover = self.handed_over(plan=plan, user=user, scopes=scopes)
        return flow, self.redeemed(handover)

    def sample(self) -> tuple[Flow, HandOver]:
        """Return a right visit, for checks that only read it. It is made once: a visit of the
        person is dear."""
        if self._sample is None:
            flow, _ = self.handed_over()
            self._sample = (flow, self.recorder.current)
        else:
            self.recorder.borrow(self._sample[1])
        flow = self._sample[0]
        return flow, flow.handovers[0]

    # --- What must not happen --------------------------------------------------------------------

    def must_not_exchange(self, flow: Flow, what: str) -> None:
        """Wait, and see that the code of the authorization response was not redeemed.

        :raises Broken: it was.
        """
        if not self.stays_quiet(lambda: flow.token_requests):
            raise Broken(f"{what}: the code is not exchanged.", "The code was exchanged.")

    def must_not_send(self, flow: Flow, what: str, *, may_remember: bool = True) -> None:
        """Wait, and see that no code was handed over.

        :param may_remember: the consent of an earlier visit would excuse it.

        :raises Unclear: party A did not get so far.
        :raises Broken: a code was handed over.
        """
        if not self.wait_for(lambda: flow.token_requests, self.waits.send):
            raise Unclear("Party A did not exchange the code of the authorization response.")
        if not self.stays_quiet(lambda: flow.handovers):
            if may_remember and self._may_remember:
                raise Unclear(
                    "A code was handed over. Party A may remember the consent of an earlier visit: "
                    "the driver has no journey end."
                )
            raise Broken(f"{what}: no code is handed over.", "A code was handed over.")

    # --- Other visits ----------------------------------------------------------------------------

    def update(self, scopes: Sequence[str], user: str = "") -> None:
        """Let a user change what is allowed."""
        self.journey(Journey("update", user=user or self.user, scopes=tuple(scopes)))

    def end(self, user: str = "") -> None:
        """Let a user end the link at party A."""
        self.journey(Journey("end", user=user or self.user), self._is_ended())
        self._linked_users.discard(user or self.user)
        self._sample = None

    def forge(self, how: str, other_user: str = "") -> Flow:
        """Let a user come to the question, and let an attacker's page answer it."""
        self.fresh(self.user)
        journey = Journey("forge", user=self.user, how=how, other_user=other_user)
        return self._visit(journey, Plan(), may_fail=True)

    def open_elsewhere(self, url: str) -> Response:
        """Open a URL in a browser that has no cookies."""
        return self.send(Request("GET", url, [("Accept", "text/html")]))

    def scopes(self) -> list[str]:
        """Return the scopes that the tester asks.

        :raises NotGiven: the configuration has none.
        """
        scopes = self.config.tester.scope.split()
        if not scopes:
            raise NotGiven("tester.at_subject.scope")
        return scopes

    def _is_ended(self) -> Callable[[], bool]:
        """Return what says that party A has revoked the tokens of a link that ends."""
        before = sum(len(flow.revoked) for flow in self.flows)
        return lambda: sum(len(flow.revoked) for flow in self.flows) > before

    def leave(self) -> list[str]:
        """End the links that the run has made, where the driver can.

        :returns: what could not be ended.
        """
        return each_done([partial(self.fresh, user) for user in sorted(self._linked_users)])
