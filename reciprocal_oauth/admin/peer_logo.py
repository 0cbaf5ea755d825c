"""The button “Fetch the logo again” on the admin page of a peer."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext

from ..core.database import outside_transactions
from ..peers import logos
from .peer_to_change import peer_to_change


class PeerLogoMixin(admin.ModelAdmin):
    """Adds the button, and the view that it calls."""

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the button."""
        # The view waits for the response of the peer, so no transaction must be open.
        view = outside_transactions(self.admin_site.admin_view(self.logo_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_logo"
        return [path("<path:object_id>/logo/", view, name=name), *super().get_urls()]

    def logo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Fetch the logo of the peer now, and return to its page. Only POST does it, because this
        site then sends a request.

        :raises PermissionDenied: the user may not change the peer.
        :raises Http404: the peer does not exist.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        peer = peer_to_change(self, request, object_id)
        logo = logos.fetch(peer)
        if logo is None:
            text = gettext("The logo is being fetched already, or the peer has no logo.")
            self.message_user(request, text, messages.WARNING)
        elif logo.error:
            # The page to which this view returns shows the error.
            self.message_user(request, gettext("The logo was not fetched."), messages.ERROR)
        else:
            self.message_user(request, gettext("The logo was fetched."), messages.SUCCESS)
        change = f"{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(f"{self.admin_site.name}:{change}", peer.pk)
