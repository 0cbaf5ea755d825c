"""DOT's token introspection (RFC 7662), which also knows when a peer's token is not in force."""

import json

from django.http import HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views import IntrospectTokenView as DOTIntrospectTokenView

from ..core.hashing import hash_of
from ..links import incoming_access
from ..redaction.error_reports import holding_secrets
from . import token_rules


# It is also served to GET: a cache of the site would answer whoever asks next, without a look at
# their credentials, and for tokens that have been revoked since.
@method_decorator([holding_secrets, never_cache], name="dispatch")
class IntrospectTokenView(DOTIntrospectTokenView):
    """A resource server that asks here is told what our own resources would decide: DOT looks at
    the expiry alone."""

    @staticmethod
    def get_token_response(token_value: str | None = None) -> HttpResponse:
        response: HttpResponse = DOTIntrospectTokenView.get_token_response(token_value)
        answer = json.loads(response.content)
        if token_value is None or not answer.get("active"):
            return response
        tokens = get_access_token_model().objects.select_related("application", "user")
        token = tokens.filter(token_checksum=hash_of(token_value)).first()
        # A registration access token is no credential at a resource.
        if token is None or incoming_access.is_registration_token(token):
            return JsonResponse({"active": False})
        if not token_rules.limit_to_what_is_allowed_now(token):
            return JsonResponse({"active": False})
        return JsonResponse({**answer, "scope": token.scope})
