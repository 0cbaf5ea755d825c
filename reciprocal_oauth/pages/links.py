"""The list of connections, and the page of one connection."""

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
from ..presentation.link_status import LinkStatus
from ..presentation.next_step import NextStep, knows_accounts
from .headers import ProtectedPageMixin

#: How long the list shows a connection that has ended.
_SHOWN_ENDED = timedelta(days=30)
#: How many of those it shows.
_MOST_ENDED = 20


@dataclass(frozen=True)
class Offer:
    """A peer that can be connected.

    :ivar is_linked: whether it is connected already.
    """

    peer: Peer
    is_linked: bool


class OwnLinksMixin(ProtectedPageMixin, LoginRequiredMixin):
    """Limits a page to the links of the signed-in person; for links of others it responds 404."""

    def get_queryset(self) -> QuerySet[Link]:
        """Return the links of the signed-in person."""
        links = Link.objects.filter(user=self.request.user)  # type: ignore[attr-defined]
        links = links.select_related("peer__application")
        return incoming_access.with_carried_scope(with_newest_code(links))


class LinkListView(OwnLinksMixin, ListView):
    """The connections of the person, and the peers that can be connected."""

    template_name = "reciprocal_oauth/link_list.html"
    context_object_name = "links"

    def get_queryset(self) -> QuerySet[Link]:
        """Return the active links of the person, by the name of the peer."""
        return (
            super()
            .get_queryset()
            .filter(status=Link.Status.ACTIVE)
            .order_by("peer__name", "created_at")
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status of each link, the peers to connect, and what failed or ended recently."""
        context = super().get_context_data(**kwargs)
        linked = {link.peer_id for link in context["links"]}
        statuses = context["statuses"] = [LinkStatus(link) for link in context["links"]]
        reconnectable = {x.link.peer_id for x in statuses if x.next_step == NextStep.CONNECT}
        # The card of such a link has the same button.
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
        for peer in Peer.objects.filter(enabled=True):
            yield Offer(peer, peer.pk in linked)

    def _ended(self) -> QuerySet[Link]:
        """Return the links that have ended recently, newest first, whoever ended them."""
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        recent = ended.filter(ended_at__gte=timezone.now() - _SHOWN_ENDED)
        return recent.order_by("-ended_at")[:_MOST_ENDED]

    def _failed_attempt(self) -> AuthorizationRequest | None:
        """Return the visit that has just failed; the page explains it at the top."""
        return (
            AuthorizationRequest.objects.select_related("peer")
            .filter(pk__in=self._key_in_query("attempt"), user=self.request.user)  # type: ignore[misc]
            .exclude(problem="")
            .first()
        )

    def _just_ended(self) -> Link | None:
        """Return the link that the person has just ended; the page confirms it at the top."""
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        return ended.filter(
            pk__in=self._key_in_query("ended"), outgoing_reason=Link.Reason.REVOKED_HERE
        ).first()

    def _key_in_query(self, parameter: str) -> list[UUID]:
        """Return the key in the query parameter, as a list: empty without a valid one."""
        try:
            return [UUID(self.request.GET.get(parameter, ""))]
        except ValueError:
            return []


class LinkView(OwnLinksMixin, DetailView):
    """One connection: the status of both directions, the steps and the history."""

    template_name = "reciprocal_oauth/link_detail.html"
    context_object_name = "link"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status, the newest events and the diagram of the link."""
        context = super().get_context_data(**kwargs)
        context["status"] = LinkStatus(self.object)
        events = newest_events(self.object, SHOWN_EVENTS_PER_LINK + 1)
        context["has_older"] = len(events) > SHOWN_EVENTS_PER_LINK
        context["events"] = events[-SHOWN_EVENTS_PER_LINK:]
        context["diagram"] = flow_diagram.of_link(self.object, events, technical=False)
        return context


class StatusView(LinkView):
    """The content of the same page without its frame, for the script that keeps it up to date."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Replace the base template by one without a frame."""
        return super().get_context_data(
            reciprocal_oauth_base="reciprocal_oauth/_fragment.html", **kwargs
        )
