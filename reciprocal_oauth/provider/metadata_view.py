"""DOT's authorization server metadata (RFC 8414), which also lists the reciprocal grant."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import OAuthServerMetadataView as DOTOAuthServerMetadataView

from .. import protocol
from ..conf import settings


class OAuthServerMetadataView(DOTOAuthServerMetadataView):
    """The same document, with our grant type in ``grant_types_supported``."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().get(request, *args, **kwargs)
        if not settings.ACCEPT_HANDOVERS:
            return response
        metadata = json.loads(response.content)
        grant_types = metadata.setdefault("grant_types_supported", [])
        if protocol.GRANT_TYPE not in grant_types:
            grant_types.append(protocol.GRANT_TYPE)
        extended = JsonResponse(metadata)
        for name, value in response.items():
            extended[name] = value
        return extended
