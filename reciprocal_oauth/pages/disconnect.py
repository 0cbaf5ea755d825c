"""The page that ends a connection. It first says what will stop working, and asks to confirm."""

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

#: The values of ``Link.incoming_state`` in which the peer will soon get access at this site
#: (``GRANTED``), has access (``ACTIVE``), or may still have earlier access (``BROKEN``).
_HELD = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE, Link.Incoming.BROKEN)


class DisconnectView(OwnLinksMixin, DetailView):
    """GET asks the person to confirm; POST ends the link.

    The access of the peer at this site ends immediately. The access of this site at the peer ends
    when this site has sent a revocation request to the peer (RFC 7009, section 2).
    """

    template_name = "reciprocal_oauth/disconnect.html"
    context_object_name = "link"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Ask the person to confirm. If the link has already ended, redirect to its page."""
        if not (link := self.get_object()).is_active:
            return redirect("reciprocal_oauth:link", link.pk)
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the status of the link, and the scopes that the peer loses at this site."""
        status = LinkStatus(self.object)
        return {
            **super().get_context_data(**kwargs),
            "status": status,
            "loses": status.incoming.may if self.object.incoming_state in _HELD else [],
            "nothing_ticked": "nothing-ticked" in self.request.GET,
            "starts_over": "start-over" in self.request.GET,
        }

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """End the link, and redirect to the list of connections, which says that it has ended."""
        link = self.get_object()
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        query = {"ended": link.pk, **({"start-over": ""} if "start-over" in request.GET else {})}
        return redirect(f"{reverse('reciprocal_oauth:list')}?{urlencode(query)}")
