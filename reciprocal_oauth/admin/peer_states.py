"""How each peer is, for the table on the overview page of the admin. The number of queries does not
depend on the number of peers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext

from ..core.local_time import in_words
from ..models import InboxItem, Link, OutboxItem, Peer
from .attempt_statistics import Attempts

State = OutboxItem.State


@dataclass(frozen=True)
class PeerState:
    """The numbers of one peer.

    :ivar links: the number of active links.
    :ivar outgoing_broken: the number of active links with which this site cannot call the peer.
    :ivar incoming_broken: the number of active links with which the peer cannot call this site.
    :ivar last_linked_at: when a link last began to work in both directions.
    :ivar failed_attempts: the number of failed attempts to connect in the last days.
    :ivar setup_failures: how many of these have failed because of the configuration.
    :ivar sent_waiting: the number of unfinished hand-overs from this site to the peer.
    :ivar sent_failed: the number of failed hand-overs from this site to the peer.
    :ivar received_waiting: the number of unfinished hand-overs from the peer to this site.
    :ivar received_failed: the number of failed hand-overs from the peer to this site.
    """

    peer: Peer
    links: int = 0
    outgoing_broken: int = 0
    incoming_broken: int = 0
    last_linked_at: datetime | None = None
    failed_attempts: int = 0
    sent_waiting: int = 0
    sent_failed: int = 0
    received_waiting: int = 0
    received_failed: int = 0
    setup_failures: int = 0

    @property
    def unfinished(self) -> int:
        """Return the number of hand-overs that are pending or have failed."""
        waiting = self.sent_waiting + self.received_waiting
        return waiting + self.sent_failed + self.received_failed

    @property
    def has_failures(self) -> bool:
        """Return whether a hand-over has failed, or people could not connect because of the
        configuration. Broken links do not count, because only the people can connect again."""
        return bool(self.sent_failed or self.received_failed or self.setup_failures)

    @property
    def is_waiting(self) -> bool:
        """Return whether a hand-over waits to be delivered."""
        return bool(self.sent_waiting or self.received_waiting)


def peer_states(attempts: Attempts) -> list[PeerState]:
    """Return all peers, by name, with four queries.

    :param attempts: the attempts to connect, which were counted before.
    """
    handovers = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    links, nothing = _links(), (0, 0)
    sent, received = _unfinished(handovers), _unfinished(InboxItem.objects.all())
    return [
        PeerState(
            peer,
            *links.get(peer.pk, (0, 0, 0, None)),
            attempts.failed_at[peer.pk],
            *sent.get(peer.pk, nothing),
            *received.get(peer.pk, nothing),
            setup_failures=attempts.setup_failed_at[peer.pk],
        )
        for peer in Peer.objects.order_by("name")
    ]


def state_in_words(each: PeerState, *, is_worker_missing: bool) -> str:
    """Return how the peer is, for example “paused since 1 May: the peer refuses the credentials”.

    :param is_worker_missing: whether nothing is delivered, because this site has no worker.
    """
    peer = each.peer
    if not peer.enabled:
        return gettext("disabled")
    if peer.paused_at is not None:
        since = in_words(peer.paused_at, "SHORT_DATE_FORMAT")
        text = gettext("paused since %(date)s: %(reason)s")
        return text % {"date": since, "reason": peer.get_paused_reason_display()}
    if is_worker_missing and each.is_waiting:
        return gettext("waiting: no worker runs at this site")
    if each.has_failures:
        return gettext("needs attention")
    if peer.reverse_refused_at is not None or not peer.sends_codes:
        return gettext("one way only")
    return gettext("working")


def _links() -> dict[Any, tuple[int, int, int, datetime | None]]:
    active = Link.objects.filter(status=Link.Status.ACTIVE).order_by()
    counted = active.values_list("peer").annotate(
        n=Count("pk"),
        outgoing=Count("pk", filter=Q(outgoing_state=Link.Outgoing.BROKEN)),
        incoming=Count("pk", filter=Q(incoming_state=Link.Incoming.BROKEN)),
        last=Max("linked_at"),
    )
    return {peer: (n, outgoing, incoming, last) for peer, n, outgoing, incoming, last in counted}


def _unfinished(rows: QuerySet[Any]) -> dict[Any, tuple[int, int]]:
    """Return a mapping from the primary key of each peer to two numbers: how many of its ``rows``
    are not finished, and how many have failed. Peers without such rows are not in the mapping."""
    of_interest = rows.filter(state__in=(*OutboxItem.LIVE_STATES, State.FAILED)).order_by()
    counted = of_interest.values_list("peer").annotate(
        waiting=Count("pk", filter=Q(state__in=OutboxItem.LIVE_STATES)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
    )
    return {peer: (waiting, failed) for peer, waiting, failed in counted}
