"""DOT's client configuration endpoint (RFC 7592, section 2), which leaves peers alone."""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.models import get_application_model
from oauth2_provider.views import (
    DynamicClientRegistrationManagementView as DOTRegistrationManagementView,
)

from ..links import incoming_access


class RegistrationManagementView(DOTRegistrationManagementView):
    """Refuses to update or delete the registration of a peer: only administrators may do that.

    The registration can still be read (RFC 7592, section 2.1).
    """

    def put(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Update a registration; 403 for a peer's (RFC 7592, section 2.2)."""
        return self._refused(request, client_id) or super().put(request, client_id, *args, **kwargs)

    def delete(
        self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Delete a registration; 403 for a peer's (RFC 7592, section 2.3)."""
        try:
            refused = self._refused(request, client_id)
            return refused or super().delete(request, client_id, *args, **kwargs)
        except ProtectedError:  # An administrator has just made the client a peer.
            return _forbidden()

    def _refused(self, request: HttpRequest, client_id: str) -> HttpResponse | None:
        application = get_application_model().objects.filter(client_id=client_id).first()
        if application is None or incoming_access.peer_of(application) is None:
            return None
        # Without a valid registration access token, the response is the same as for other clients.
        allowed: HttpResponse = self.get(request, client_id)
        return allowed if allowed.status_code != 200 else _forbidden()


def _forbidden() -> HttpResponse:
    description = "This client is a peer of this site: its administrators change the registration."
    return JsonResponse({"error": "access_denied", "error_description": description}, status=403)
