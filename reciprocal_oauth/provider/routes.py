"""DOT's routes, with the views that this app extends put in place."""

from collections.abc import Callable, Iterable
from typing import Any

from django.urls import URLPattern, path

from ..error_reports import holding_secrets
from ..pages.protection import protected
from .application_view import ApplicationDelete
from .authorization_view import AuthorizationView
from .client_secrets import guarded
from .introspection_view import IntrospectTokenView
from .metadata_view import ConnectDiscoveryInfoView, OAuthServerMetadataView
from .registration_view import RegistrationManagementView
from .token_view import TokenView

View = Callable[..., Any]

#: Our views by the names of the routes that lead to them.
OURS: dict[str, View] = {
    "authorize": AuthorizationView.as_view(),
    "token": TokenView.as_view(),
    "delete": ApplicationDelete.as_view(),
    "dcr-register-management": RegistrationManagementView.as_view(),
    "introspect": IntrospectTokenView.as_view(),
    "oauth-server-metadata": OAuthServerMetadataView.as_view(),
    "oauth-server-metadata-issuer": OAuthServerMetadataView.as_view(),
    "oidc-connect-discovery-info": ConnectDiscoveryInfoView.as_view(),
}
#: Routes that programs post to. Many strip the last slash of an endpoint, and Django cannot lead a
#: POST on to where the slash is.
_POSTED_TO = frozenset(
    {
        "dcr-register",
        "device-authorization",
        "introspect",
        "pushed-authorization-request",
        "revoke-token",
        "token",
        "user-info",
    }
)


#: Pages on which a person decides what a client may do, or an owner what it is. The authorization
#: page protects itself.
_PAGES = frozenset(
    {
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
)


def with_ours(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    """``patterns`` of DOT's, in their order and under their names, with our views."""
    return [ours for pattern in patterns for ours in _of(pattern)]


def _of(pattern: URLPattern) -> list[URLPattern]:
    view = _view_of(pattern)
    routes = [URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)]
    route = str(pattern.pattern)
    if pattern.name in _POSTED_TO and route.endswith("/"):
        # Without a name: links lead to the route as DOT has it.
        routes.append(path(route.removesuffix("/"), view, pattern.default_args))
    return routes


def _view_of(pattern: URLPattern) -> View:
    name = pattern.name or ""
    # Almost every view of DOT gets, makes or reads a token, a code or a secret; and clients
    # authenticate at more of them with each release.
    view = guarded(OURS.get(name) or holding_secrets(pattern.callback))
    return protected(view) if name in _PAGES else view
