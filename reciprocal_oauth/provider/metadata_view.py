"""DOT's two documents about this site as an authorization server, which also list what it does for
peers (RFC 8414; OpenID Connect Discovery 1.0)."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import ConnectDiscoveryInfoView as DOTConnectDiscoveryInfoView
from oauth2_provider.views import OAuthServerMetadataView as DOTOAuthServerMetadataView

from ..conf import settings
from ..core import protocol


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
        return _with_document(response, metadata)


class ConnectDiscoveryInfoView(DOTConnectDiscoveryInfoView):
    """The same document, with all members of the other one that it lacks: a client that only looks
    here would take this site for one without revocation, without our grant, and with the implicit
    one, which is what a document says that leaves the list out (section 3)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().get(request, *args, **kwargs)
        other = OAuthServerMetadataView()
        other.setup(request)
        metadata = {**json.loads(other.get(request).content), **json.loads(response.content)}
        return _with_document(response, metadata)


def _with_document(response: HttpResponse, metadata: Mapping[str, Any]) -> HttpResponse:
    """An answer with the headers of ``response`` and this document."""
    extended = JsonResponse(metadata)
    for name, value in response.items():
        extended[name] = value
    return extended
