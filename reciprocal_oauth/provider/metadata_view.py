"""DOT's two documents with metadata of the authorization server. This app adds the reciprocal
grant, what the scopes of this site mean, and authentication with a key.

RFC 8414, section 3; OpenID Connect Discovery 1.0, section 4.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import ConnectDiscoveryInfoView as DOTConnectDiscoveryInfoView
from oauth2_provider.views import OAuthServerMetadataView as DOTOAuthServerMetadataView

from ..conf import settings
from ..core import protocol, site_address, site_metadata
from ..keys.public_keys import ALGORITHMS
from .scope_descriptions import descriptions

#: The endpoints at which clients authenticate, by the first word of their members in the metadata.
_AUTHENTICATING = ("token", "revocation", "introspection")
#: Members of the metadata (RFC 8414, section 2), each with its key in ``SITE_METADATA``.
_PAGES = {"op_policy_uri": "policy_uri", "op_tos_uri": "tos_uri"}


class OAuthServerMetadataView(DOTOAuthServerMetadataView):
    """DOT's metadata document of RFC 8414, with the reciprocal grant in ``grant_types_supported``
    (RFC 8414, section 2), the pages in ``SITE_METADATA``, and the additional members
    ``reciprocal_description``, ``reciprocal_scope_descriptions`` and
    ``reciprocal_registration_endpoint``."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the document. It lists the reciprocal grant only while the site accepts reciprocal
        codes (the setting ``ACCEPT_HANDOVERS``), and the additional members only while the site
        accepts pairings (the setting ``ACCEPT_PAIRINGS``)."""
        response: HttpResponse = super().get(request, *args, **kwargs)
        metadata = json.loads(response.content)
        if settings.ACCEPT_HANDOVERS:
            _add(metadata, "grant_types_supported", protocol.GRANT_TYPE)
        about = site_metadata.values(site_address.base_url(request))
        metadata |= {name: about[key] for name, key in _PAGES.items() if key in about}
        if settings.ACCEPT_PAIRINGS:
            if "description" in about:
                metadata["reciprocal_description"] = about["description"]
            if described := descriptions():
                metadata["reciprocal_scope_descriptions"] = described
            if endpoint := _pairing_endpoint():
                metadata["reciprocal_registration_endpoint"] = endpoint
        _add_keys(metadata)
        return _replace_document(response, metadata)


class ConnectDiscoveryInfoView(DOTConnectDiscoveryInfoView):
    """DOT's OpenID Connect discovery document, to which this view adds all members that only the
    metadata document of RFC 8414 has.

    Some clients read only the discovery document. Without the added members, they would find no
    revocation endpoint and no reciprocal grant. They would also assume that this site has the
    implicit grant, because ``grant_types_supported`` includes it by default (OpenID Connect
    Discovery 1.0, section 3).
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the merged document. If both documents have the same member, use the value of the
        OpenID Connect discovery document."""
        response: HttpResponse = super().get(request, *args, **kwargs)
        other = OAuthServerMetadataView.as_view()(request)
        metadata = {**json.loads(other.content), **json.loads(response.content)}
        _add_keys(metadata)
        return _replace_document(response, metadata)


def _pairing_endpoint() -> str:
    """Return the URL at which other sites register with the token of an invitation; ``""`` if this
    site cannot pair, because it has no fixed issuer or no route for it."""
    if not site_address.configured_issuer():
        return ""
    return site_address.url_of(
        "oauth2_provider:reciprocal-register", base=site_address.configured_base_url()
    )


def _add_keys(metadata: dict[str, Any]) -> None:
    """Add that a client can authenticate with a key (RFC 8414, section 2), at each endpoint that
    the document names.

    Add it only if the document names the issuer that the settings fix: an assertion for another
    issuer is refused.
    """
    issuer = site_address.configured_issuer()
    if not issuer or metadata.get("issuer") != issuer:
        return
    for endpoint in _AUTHENTICATING:
        if f"{endpoint}_endpoint" in metadata:
            _add(metadata, f"{endpoint}_endpoint_auth_methods_supported", protocol.PRIVATE_KEY_JWT)
            _add(metadata, f"{endpoint}_endpoint_auth_signing_alg_values_supported", *ALGORITHMS)


def _add(metadata: dict[str, Any], name: str, *values: str) -> None:
    """Add ``values`` to the list ``name`` of ``metadata``, if they are not in it."""
    present = metadata.setdefault(name, [])
    present.extend(value for value in values if value not in present)


def _replace_document(response: HttpResponse, metadata: Mapping[str, Any]) -> HttpResponse:
    """Return ``metadata`` as a JSON response that has the headers of ``response``."""
    extended = JsonResponse(metadata)
    for name, value in response.items():
        extended[name] = value
    return extended
