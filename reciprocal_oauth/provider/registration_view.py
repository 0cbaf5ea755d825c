"""DOT's client configuration endpoint (RFC 7592), closed to what makes a peer another client."""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.models import get_application_model
from oauth2_provider.views import (
    DynamicClientRegistrationManagementView as DOTRegistrationManagementView,
)

from ..links import incoming_access


class RegistrationManagementView(DOTRegistrationManagementView):
    """Whoever registered the client may read its registration, as before. Once it is a peer's, an
    administrator has decided what it is: nobody else moves its redirect URI, takes its secret away
    or deletes it (RFC 7592, sections 2.2 and 2.3: 403)."""

    def put(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._refused(request, client_id) or super().put(request, client_id, *args, **kwargs)

    def delete(
        self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            refused = self._refused(request, client_id)
            return refused or super().delete(request, client_id, *args, **kwargs)
        except ProtectedError:  # It has become a peer's at this very moment.
            return _forbidden()

    def _refused(self, request: HttpRequest, client_id: str) -> HttpResponse | None:
        application = get_application_model().objects.filter(client_id=client_id).first()
        if application is None or incoming_access.peer_of(application) is None:
            return None
        # Who has no registration access token for it is told nothing else than elsewhere.
        allowed: HttpResponse = self.get(request, client_id)
        return allowed if allowed.status_code != 200 else _forbidden()


def _forbidden() -> HttpResponse:
    description = "This client is a peer of this site: its administrators change the registration."
    return JsonResponse({"error": "access_denied", "error_description": description}, status=403)
