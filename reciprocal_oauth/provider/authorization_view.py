"""DOT's authorization endpoint, which also asks peers for the reverse."""

from typing import Any

from django.http import HttpRequest
from django.utils.decorators import method_decorator
from oauth2_provider.models import get_application_model
from oauth2_provider.views import AuthorizationView as DOTAuthorizationView

from ..error_reports import holding_secrets
from ..party_b import scope_request


# The frames of DOT and oauthlib below hold the code that they mint as a plain variable.
@method_decorator(holding_secrets, name="dispatch")
class AuthorizationView(DOTAuthorizationView):
    """Everything that DOT's view does; authorization responses of a peer's application carry
    ``reciprocal`` (draft, "Reciprocal Scope Request")."""

    def create_authorization_response(
        self, request: HttpRequest, scopes: str, credentials: dict[str, Any], allow: bool
    ) -> tuple[str, Any, Any, int]:
        uri, headers, body, status = super().create_authorization_response(
            request, scopes, credentials, allow
        )
        client = get_application_model().objects.filter(client_id=credentials["client_id"]).first()
        return scope_request.add_to_redirect(uri, client), headers, body, status
