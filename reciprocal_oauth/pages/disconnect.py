"""Ends a connection, after a question that says what will stop."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import DetailView

from ..links import lifecycle
from ..models import Link
from ..presentation.link_status import LinkStatus
from .links import OwnLinksMixin

#: States in which the peer has access here, or is about to get it.
_HELD = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE, Link.Incoming.BROKEN)


class DisconnectView(OwnLinksMixin, DetailView):
    """Asks on GET; ends the link on POST. The access here ends at once, the access at the peer when
    its revocation is delivered (RFC 7009, section 2)."""

    template_name = "reciprocal_oauth/disconnect.html"
    context_object_name = "link"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Ask, or redirect to the link if it has already ended."""
        if not (link := self.get_object()).is_active:
            return redirect("reciprocal_oauth:link", link.pk)
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status of the link and what the peer loses."""
        status = LinkStatus(self.object)
        return {
            **super().get_context_data(**kwargs),
            "status": status,
            "loses": status.incoming.may if self.object.incoming_state in _HELD else [],
            "nothing_ticked": "nothing-ticked" in self.request.GET,
            "starts_over": "start-over" in self.request.GET,
        }

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """End the link, and redirect to the list, which confirms it."""
        link = self.get_object()
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        query = {"ended": link.pk, **({"start-over": ""} if "start-over" in request.GET else {})}
        return redirect(f"{reverse('reciprocal_oauth:list')}?{urlencode(query)}")
