"""DOT's pages on which people change or delete their OAuth applications.

If an application belongs to a peer, the pages neither change nor delete it, but show the reason.
"""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from oauth2_provider.views import ApplicationDelete as DOTApplicationDelete
from oauth2_provider.views import ApplicationUpdate as DOTApplicationUpdate

from ..links.incoming_access import peer_of


class ApplicationDelete(DOTApplicationDelete):
    """Refuses to delete the application of a peer, because without the application this site could
    not limit or revoke the tokens of the peer."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Delete the application. If it belongs to a peer, do not delete it, but show a page with
        status 409 that says why."""
        try:
            response: HttpResponse = super().form_valid(form)
        except ProtectedError:
            return _protected_page(self.request, self.object)
        return response


class ApplicationUpdate(DOTApplicationUpdate):
    """Refuses to change the application of a peer, because only an administrator may change the
    client type or the redirect URI of a peer (RFC 6749, section 2)."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the application. If it belongs to a peer, do not save it, but show a page with
        status 409 that says why."""
        if peer_of(self.object) is not None:
            return _protected_page(self.request, self.object, was_to_change=True)
        response: HttpResponse = super().form_valid(form)
        return response


def _protected_page(
    request: HttpRequest, application: Any, *, was_to_change: bool = False
) -> HttpResponse:
    context = {"peer": peer_of(application), "was_to_change": was_to_change}
    return render(request, "reciprocal_oauth/application_protected.html", context, status=409)
