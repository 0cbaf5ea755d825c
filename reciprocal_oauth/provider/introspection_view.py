"""DOT's token introspection (RFC 7662, section 2). For the token of a peer, the response also
follows the limits of the peer and its link: for example, it leaves out a scope that the person has
removed."""

import json

from django.http import HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views import IntrospectTokenView as DOTIntrospectTokenView

from ..core.hashing import hash_of
from ..links import incoming_access
from ..redaction.error_reports import holding_secrets
from . import token_use


# never_cache: DOT also accepts GET requests here. A cache could return the response to a caller
# without credentials, or after the token was revoked (RFC 7662, section 4).
@method_decorator([holding_secrets, never_cache], name="dispatch")
class IntrospectTokenView(DOTIntrospectTokenView):
    """Reports a peer's token as active only if the resources of this site would accept the token
    (RFC 7662, section 2.2). DOT checks only whether the token has expired."""

    @staticmethod
    def get_token_response(token_value: str | None = None) -> HttpResponse:
        """Return DOT's response. If the token belongs to a peer, correct the members ``active`` and
        ``scope`` (RFC 7662, section 2.2)."""
        response: HttpResponse = DOTIntrospectTokenView.get_token_response(token_value)
        content = json.loads(response.content)
        if token_value is None or not content.get("active"):
            return response
        tokens = get_access_token_model().objects.select_related("application", "user")
        token = tokens.filter(token_checksum=hash_of(token_value)).first()
        # A registration access token gives no access to a resource (RFC 7592, section 3).
        if token is None or incoming_access.is_registration_token(token):
            return JsonResponse({"active": False})
        if not token_use.narrow_to_current_limits(token):
            return JsonResponse({"active": False})
        return JsonResponse({**content, "scope": token.scope})
