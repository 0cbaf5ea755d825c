"""The button “Test the connection” on the admin page of a peer, and the page with the results."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext

from ..core import site_address
from ..core.database import outside_transactions
from ..peers import connection_check
from ..peers.findings import summary
from .peer_to_change import peer_to_change


class PeerConnectionCheckMixin(admin.ModelAdmin):
    """Adds the button “Test the connection” to the page of a peer, and the page that shows the
    results of the test."""

    change_form_template = "reciprocal_oauth/admin/peer_change_form.html"

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the page with the results."""
        # The view waits for responses of the peer. Do not keep a database transaction open during
        # this time, so exempt the view from Django's setting ATOMIC_REQUESTS.
        view = outside_transactions(self.admin_site.admin_view(self.test_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_test"
        return [path("<path:object_id>/test/", view, name=name), *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Test the connection to the peer and render the results.

        Only POST is allowed, because Django requires a CSRF token for it. If GET were allowed,
        another website could make the browser of an administrator start the test. The test sends
        the client credentials of this site to the peer.

        :raises PermissionDenied: the user may not change the peer.
        :raises Http404: the peer does not exist.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        peer = peer_to_change(self, request, object_id)
        findings = [
            *connection_check.run(peer, site_address.base_url(request)),
            *connection_check.run_for_site(),
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Test of the connection to %s") % peer,
            "opts": self.opts,
            "original": peer,
            "findings": findings,
            "summary": summary(findings),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "reciprocal_oauth/admin/peer_test.html", context)
