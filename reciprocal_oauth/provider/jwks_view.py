"""The public keys with which this site signs as a client (RFC 7517, section 5).

These keys are not the ones with which django-oauth-toolkit signs ID tokens: each key has one
purpose, and the two sets have different URLs.
"""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View

from ..compat import login_not_required
from ..keys import key_set


@method_decorator(login_not_required, name="dispatch")
class SiteKeysView(View):
    """The address ``o/reciprocal/jwks.json``, which peers read without credentials."""

    http_method_names = ("get", "head")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
        """Return the key set. A peer may keep a copy of it for one hour."""
        headers = {
            "Cache-Control": f"max-age={key_set.MAX_AGE_SECONDS}, public",
            # A page of another site can only read what everybody can read.
            "Access-Control-Allow-Origin": "*",
        }
        # The media type is application/json, because not every client knows the one of RFC 7517,
        # section 8.5. Servers of OpenID Connect do the same.
        return JsonResponse(key_set.public_set(), headers=headers)
