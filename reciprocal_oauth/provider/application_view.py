"""DOT's pages on which owners change or delete their applications.

For the application of a peer, both pages refuse and say why.
"""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from oauth2_provider.views import ApplicationDelete as DOTApplicationDelete
from oauth2_provider.views import ApplicationUpdate as DOTApplicationUpdate

from ..links.incoming_access import peer_of


class ApplicationDelete(DOTApplicationDelete):
    """Refuses to delete the application of a peer: the peer's tokens could not be limited or
    revoked without it."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Delete the application; for that of a peer, show the refusal with status 409."""
        try:
            response: HttpResponse = super().form_valid(form)
        except ProtectedError:
            return _protected_page(self.request, self.object)
        return response


class ApplicationUpdate(DOTApplicationUpdate):
    """Refuses to change the application of a peer: only an administrator may change its client type
    or redirect URI (RFC 6749, section 2)."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the application; for that of a peer, show the refusal with status 409."""
        if peer_of(self.object) is not None:
            return _protected_page(self.request, self.object, was_to_change=True)
        response: HttpResponse = super().form_valid(form)
        return response


def _protected_page(
    request: HttpRequest, application: Any, *, was_to_change: bool = False
) -> HttpResponse:
    context = {"peer": peer_of(application), "was_to_change": was_to_change}
    return render(request, "reciprocal_oauth/application_protected.html", context, status=409)
