"""DOT's two metadata documents of the authorization server, with the reciprocal grant added.

RFC 8414, section 3; OpenID Connect Discovery 1.0, section 4.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import ConnectDiscoveryInfoView as DOTConnectDiscoveryInfoView
from oauth2_provider.views import OAuthServerMetadataView as DOTOAuthServerMetadataView

from ..conf import settings
from ..core import protocol


class OAuthServerMetadataView(DOTOAuthServerMetadataView):
    """DOT's document with our grant type in ``grant_types_supported`` (RFC 8414, section 2)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The document; the grant is listed only while the site accepts hand-overs."""
        response: HttpResponse = super().get(request, *args, **kwargs)
        if not settings.ACCEPT_HANDOVERS:
            return response
        metadata = json.loads(response.content)
        grant_types = metadata.setdefault("grant_types_supported", [])
        if protocol.GRANT_TYPE not in grant_types:
            grant_types.append(protocol.GRANT_TYPE)
        return _replace_document(response, metadata)


class ConnectDiscoveryInfoView(DOTConnectDiscoveryInfoView):
    """DOT's document plus all members that only the other document has.

    Some clients read only this document. They would find no revocation endpoint and no reciprocal
    grant, and would assume the implicit grant: the default of ``grant_types_supported`` where it is
    left out (OpenID Connect Discovery 1.0, section 3).
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The merged document; on a conflict, the value of DOT's document is used."""
        response: HttpResponse = super().get(request, *args, **kwargs)
        other = OAuthServerMetadataView()
        other.setup(request)
        metadata = {**json.loads(other.get(request).content), **json.loads(response.content)}
        return _replace_document(response, metadata)


def _replace_document(response: HttpResponse, metadata: Mapping[str, Any]) -> HttpResponse:
    """A response with the headers of ``response`` and the document ``metadata``."""
    extended = JsonResponse(metadata)
    for name, value in response.items():
        extended[name] = value
    return extended
