"""Statistics about the attempts of people to connect, for the overview page of the admin."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from ..models import AuthorizationRequest
from ..party_a.attempts import FAILED, Outcome, with_outcome
from ..status.problems import OF_SETUP

#: The figures of the site are about this number of days.
DAYS = 30
#: The figures of a peer are about this number of days.
DAYS_OF_PEER = 7


@dataclass(frozen=True)
class Attempts:
    """The attempts of the last :data:`DAYS` days.

    :ivar by_outcome: the number of attempts for each outcome (:func:`.attempts.with_outcome`).
    :ivar failed_at: how many attempts have failed in the last :data:`DAYS_OF_PEER` days, by the
        primary key of the peer.
    :ivar setup_failed_at: how many of these have failed because of the configuration.
    """

    by_outcome: Counter[str] = field(default_factory=Counter)
    failed_at: Counter[Any] = field(default_factory=Counter)
    setup_failed_at: Counter[Any] = field(default_factory=Counter)

    @property
    def started(self) -> int:
        """Return the number of all attempts."""
        return self.by_outcome.total()

    @property
    def connected(self) -> int:
        """Return the number of attempts that led to a link."""
        return self.by_outcome[Outcome.CONNECTED]

    @property
    def failed(self) -> int:
        """Return the number of attempts that ended without a link."""
        return sum(self.by_outcome[outcome] for outcome in FAILED)

    @property
    def failures(self) -> list[tuple[str, int]]:
        """Return the outcomes without a link and their numbers, the most frequent first."""
        found = [(outcome, self.by_outcome[outcome]) for outcome in FAILED]
        return sorted(((name, n) for name, n in found if n), key=lambda each: -each[1])


def attempts_of_site() -> Attempts:
    """Count the attempts with one query."""
    now = timezone.now()
    rows = AuthorizationRequest.objects.filter(created_at__gte=now - timedelta(days=DAYS))
    is_recent = Q(created_at__gte=now - timedelta(days=DAYS_OF_PEER))
    counted = (
        with_outcome(rows)
        .order_by()
        .values_list("peer", "outcome")
        .annotate(n=Count("pk"), recent=Count("pk", filter=is_recent))
    )
    found = Attempts()
    for peer, outcome, n, recent in counted:
        found.by_outcome[outcome] += n
        if outcome in FAILED:
            found.failed_at[peer] += recent
        if outcome in OF_SETUP:
            found.setup_failed_at[peer] += recent
    return found
