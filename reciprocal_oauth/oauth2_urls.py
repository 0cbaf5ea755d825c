"""DOT's own routes, with the views that this app extends put in place.

Same names, same ``oauth2_provider`` namespace; every DOT view is still there::

    path("o/", include("reciprocal_oauth.oauth2_urls"))
"""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern
from oauth2_provider import urls as dot_urls

from .error_reports import holding_secrets
from .pages.protection import protected
from .provider import client_secrets
from .provider.application_view import ApplicationDelete
from .provider.authorization_view import AuthorizationView
from .provider.introspection_view import IntrospectTokenView
from .provider.metadata_view import OAuthServerMetadataView
from .provider.token_view import TokenView

app_name = "oauth2_provider"

_OURS: dict[str, Callable[..., Any]] = {
    "authorize": AuthorizationView.as_view(),
    "token": TokenView.as_view(),
    "delete": ApplicationDelete.as_view(),
    "introspect": IntrospectTokenView.as_view(),
    "oauth-server-metadata": OAuthServerMetadataView.as_view(),
    "oauth-server-metadata-issuer": OAuthServerMetadataView.as_view(),
}


#: Beside the token endpoint, which answers in its own way: clients authenticate here as well.
_AUTHENTICATING = {
    "device-authorization",
    "introspect",
    "pushed-authorization-request",
    "revoke-token",
}


#: Pages on which a person decides what a client may do, or an owner what it is. The authorization
#: page protects itself.
_PAGES = {
    "authorized-token-delete",
    "authorized-token-list",
    "delete",
    "detail",
    "device",
    "device-confirm",
    "device-grant-status",
    "list",
    "register",
    "rp-initiated-logout",
    "update",
}


def _view_of(pattern: URLPattern) -> Callable[..., Any]:
    name = pattern.name or ""
    # Almost every view of DOT gets, makes or reads a token, a code or a secret.
    view = _OURS.get(name) or holding_secrets(pattern.callback)
    if name in _PAGES:
        view = protected(view)
    return client_secrets.guarded(view) if name in _AUTHENTICATING else view


def _with_ours(patterns: list[URLPattern]) -> list[URLPattern]:
    return [
        URLPattern(
            pattern.pattern,
            _view_of(pattern),
            pattern.default_args,
            pattern.name,
        )
        for pattern in patterns
    ]


#: For the root of the site, where RFC 8414 and RFC 9728 look for these documents.
metadata_urlpatterns = _with_ours(dot_urls.metadata_urlpatterns)
urlpatterns = _with_ours(dot_urls.urlpatterns)
