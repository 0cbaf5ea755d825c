"""The decisions of the people, made inside of the site where they started, through the services of
its pages. Several such processes share the people.

Prints what came of it as JSON.
"""

import heapq
import json
import sys
import time
from collections import Counter
from collections.abc import Callable

import django

django.setup()

from reciprocal_oauth.links import lifecycle  # noqa: E402
from reciprocal_oauth.models import Link, OutboxItem  # noqa: E402
from reciprocal_oauth.party_a import consent, scope_changes  # noqa: E402

from .plan import Person, person  # noqa: E402

#: While more than so many hand-overs are under way, nobody consents: a queue that only grows would
#: have the codes die in it.
AHEAD = 40
#: After so many consents it is looked how many there are.
LOOK_EVERY = 10
PAUSE_SECONDS = 0.2


class People:
    """Has its share of the people decide, each in their time."""

    def __init__(self) -> None:
        self.did: Counter[str] = Counter()
        self.failed: list[str] = []
        self._later: list[tuple[float, int, Callable[[Person], None], Person]] = []

    def run(self, people: list[Person]) -> None:
        for count, each in enumerate(people):
            while count % LOOK_EVERY == 0 and _under_way() > AHEAD:
                self._do_what_is_due()
                time.sleep(PAUSE_SECONDS)
            self._do(self._consent, each)
            self._do_what_is_due()
        while self._later:
            time.sleep(PAUSE_SECONDS)
            self._do_what_is_due()

    def _consent(self, each: Person) -> None:
        consent.allow(_link(each), each.consents)
        if each.changes:
            self._plan(each.changes_after, self._change, each)
        elif each.cuts:
            self._plan(each.cuts_after, self._cut, each)

    def _change(self, each: Person) -> None:
        scope_changes.change(_link(each), each.changes)
        if each.cuts:
            self._plan(each.cuts_after, self._cut, each)

    def _cut(self, each: Person) -> None:
        lifecycle.end_link(_link(each), Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    def _plan(self, seconds: float, action: Callable[[Person], None], each: Person) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, each.number, action, each))

    def _do_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, action, each = heapq.heappop(self._later)
            self._do(action, each)

    def _do(self, action: Callable[[Person], None], each: Person) -> None:
        name = action.__name__.strip("_")
        try:
            action(each)
            self.did[name] += 1
        except Exception as error:
            # What a person would have seen as an error page.
            self.failed.append(f"{name} of {each.name}: {type(error).__name__}: {error}")


def _link(each: Person) -> Link:
    return Link.objects.select_related("peer").get(user__username=each.name)


def _under_way() -> int:
    rows = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    return rows.filter(state__in=OutboxItem.LIVE_STATES).count()


def main() -> None:
    seed, links, part, parts = map(int, sys.argv[1:])
    people = People()
    people.run([person(seed, number) for number in range(part, links, parts)])
    json.dump({"did": people.did, "failed": people.failed}, sys.stdout)


if __name__ == "__main__":
    main()
