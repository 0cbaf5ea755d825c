"""DOT's client configuration endpoint (RFC 7592, section 2), which does not change the registration
of a peer."""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.models import get_application_model
from oauth2_provider.views import (
    DynamicClientRegistrationManagementView as DOTRegistrationManagementView,
)

from ..links import incoming_access


class RegistrationManagementView(DOTRegistrationManagementView):
    """Refuses to update or delete the registration of a peer, because only administrators may do
    that.

    The registration can still be read (RFC 7592, section 2.1).
    """

    def put(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Update a registration (RFC 7592, section 2.2). If the client belongs to a peer, respond
        with status 403 instead."""
        return self._refused(request, client_id) or super().put(request, client_id, *args, **kwargs)

    def delete(
        self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Delete a registration (RFC 7592, section 2.3). If the client belongs to a peer, respond
        with status 403 instead."""
        try:
            refused = self._refused(request, client_id)
            return refused or super().delete(request, client_id, *args, **kwargs)
        except ProtectedError:  # An administrator has just added a peer with this client.
            return _forbidden()

    def _refused(self, request: HttpRequest, client_id: str) -> HttpResponse | None:
        application = get_application_model().objects.filter(client_id=client_id).first()
        if application is None or incoming_access.peer_of(application) is None:
            return None
        # get() checks the registration access token. If get() refuses the token, return its
        # response. So only a client with a valid token can find out that it belongs to a peer.
        allowed: HttpResponse = self.get(request, client_id)
        return allowed if allowed.status_code != 200 else _forbidden()


def _forbidden() -> HttpResponse:
    description = (
        "This client belongs to a peer. Only the administrators of this site can change its "
        "registration."
    )
    return JsonResponse({"error": "access_denied", "error_description": description}, status=403)
