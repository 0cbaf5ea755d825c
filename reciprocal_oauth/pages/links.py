"""The page that lists the connections of the person, and the page of one connection."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.utils import timezone
from django.views.generic import DetailView, ListView

from ..links import incoming_access
from ..models import AuthorizationRequest, Link, Peer
from ..models.events import SHOWN_EVENTS_PER_LINK, newest_events
from ..models.inbox import with_newest_code
from ..presentation import flow_diagram
from ..presentation.link_status import ASKING, BAD, LinkStatus
from ..presentation.next_step import NextStep, knows_accounts
from ..presentation.peer_logo import with_logos
from ..status.waiting import with_waiting_here
from .headers import ProtectedPageMixin

#: For how long the list shows a connection after it has ended.
_SHOWN_ENDED = timedelta(days=30)
#: The largest number of ended connections that the list shows.
_MOST_ENDED = 20
#: With more connections than this, the list folds away what each side may do, where all is well.
_LONG_LIST = 8


@dataclass(frozen=True)
class Offer:
    """A peer that the page offers to connect.

    :ivar is_linked: whether the person has already connected this peer.
    """

    peer: Peer
    is_linked: bool


class OwnLinksMixin(ProtectedPageMixin, LoginRequiredMixin):
    """Base class for pages about links. They show only links of the signed-in person, and respond
    with 404 for the links of other people."""

    def get_queryset(self) -> QuerySet[Link]:
        """Return the links of the signed-in person."""
        links = Link.objects.filter(user=self.request.user)  # type: ignore[attr-defined]
        links = with_logos(links.select_related("peer__application"), "peer__")
        links = with_waiting_here(with_newest_code(links))
        return incoming_access.with_carried_scope(links)


class LinkListView(OwnLinksMixin, ListView):
    """The page that lists a person's connections, and the peers that the person can connect."""

    template_name = "reciprocal_oauth/link_list.html"
    context_object_name = "links"

    def get_queryset(self) -> QuerySet[Link]:
        """Return the active links of the person, sorted by the name of the peer."""
        return (
            super()
            .get_queryset()
            .filter(status=Link.Status.ACTIVE)
            .order_by("peer__name", "created_at")
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status of each link, the peers that can be connected, the links that have ended
        recently, and the failed visit or the ended link that the query names."""
        context = super().get_context_data(**kwargs)
        linked = {link.peer_id for link in context["links"]}
        statuses = [LinkStatus(link) for link in context["links"]]
        # The first of many connections should be those that the person can do something about.
        context["statuses"] = sorted(statuses, key=lambda status: status.tone not in (BAD, ASKING))
        context["is_long"] = len(statuses) > _LONG_LIST
        reconnectable = {x.link.peer_id for x in statuses if x.next_step == NextStep.CONNECT}
        # Do not offer a peer if its link has the button "Connect again", which does the same. But
        # always offer a peer at which the person can connect several accounts.
        context["offers"] = [
            offer
            for offer in self._offers(linked)
            if offer.peer.pk not in reconnectable or knows_accounts(offer.peer)
        ]
        context["linked_peers"] = linked
        context["any_linked"] = any(offer.is_linked for offer in context["offers"])
        context["all_linked"] = all(offer.is_linked for offer in context["offers"])
        context["only_accounts"] = all(knows_accounts(offer.peer) for offer in context["offers"])
        context["starts_over"] = "start-over" in self.request.GET
        context["failed_attempt"] = self._failed_attempt()
        context["just_ended"] = self._just_ended()
        context["ended"] = self._ended()
        return context

    def _offers(self, linked: set[Any]) -> Iterator[Offer]:
        for peer in with_logos(Peer.objects.filter(enabled=True)):
            if peer.can_start:
                yield Offer(peer, peer.pk in linked)

    def _ended(self) -> QuerySet[Link]:
        """Return the links that have ended recently. The link that has ended last is first."""
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        recent = ended.filter(ended_at__gte=timezone.now() - _SHOWN_ENDED)
        return recent.order_by("-ended_at")[:_MOST_ENDED]

    def _failed_attempt(self) -> AuthorizationRequest | None:
        """Return the failed visit (the person's trip to the peer and back) that the query parameter
        ``attempt`` names, or ``None``.

        After a visit has failed, the callback view redirects to this page with that parameter. The
        top of this page says why the visit failed.
        """
        return (
            AuthorizationRequest.objects.select_related("peer")
            .filter(pk__in=self._key_in_query("attempt"), user=self.request.user)  # type: ignore[misc]
            .exclude(problem="")
            .first()
        )

    def _just_ended(self) -> Link | None:
        """Return the ended link that the query parameter ``ended`` names, or ``None``.

        The page on which a person ends a link redirects to this page with that parameter. The top
        of this page says that the link has ended.
        """
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        return ended.filter(
            pk__in=self._key_in_query("ended"), outgoing_reason=Link.Reason.REVOKED_HERE
        ).first()

    def _key_in_query(self, parameter: str) -> list[UUID]:
        """Return the primary key that the query parameter contains, as a list for the lookup
        ``pk__in``. If the parameter is missing or invalid, return an empty list, so that the lookup
        finds no row."""
        try:
            return [UUID(self.request.GET.get(parameter, ""))]
        except ValueError:
            return []


class LinkView(OwnLinksMixin, DetailView):
    """The page of one connection: the status of both directions, the diagram of the protocol steps,
    and the history."""

    template_name = "reciprocal_oauth/link_detail.html"
    context_object_name = "link"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status of the link, the newest events of its history, and its diagram."""
        context = super().get_context_data(**kwargs)
        context["status"] = LinkStatus(self.object)
        events = newest_events(self.object, SHOWN_EVENTS_PER_LINK + 1)
        context["has_older"] = len(events) > SHOWN_EVENTS_PER_LINK
        context["events"] = events[-SHOWN_EVENTS_PER_LINK:]
        context["diagram"] = flow_diagram.of_link(self.object, events, technical=False)
        return context


class StatusView(LinkView):
    """The content of :class:`LinkView` without the base template of the site. A script on that page
    requests this content again and again, and replaces the parts that have changed."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Select a base template that contains nothing but the content block."""
        return super().get_context_data(
            reciprocal_oauth_base="reciprocal_oauth/_fragment.html", **kwargs
        )
