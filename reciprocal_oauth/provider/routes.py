"""DOT's URL patterns with the views of this app in place of those that they extend."""

from collections.abc import Callable, Iterable
from typing import Any

from django.urls import URLPattern, path
from oauth2_provider import views

from ..pages.headers import protected
from ..redaction.error_reports import holding_secrets
from .application_view import ApplicationDelete, ApplicationUpdate
from .authorization_view import AuthorizationView
from .bodies import refusing_files
from .failure_limit import limits_failures
from .introspection_view import IntrospectTokenView
from .metadata_view import ConnectDiscoveryInfoView, OAuthServerMetadataView
from .registration_view import RegistrationManagementView
from .token_view import TokenView

View = Callable[..., Any]

#: Each view of DOT that this app replaces, with its replacement.
OUR_VIEWS: dict[type, type] = {
    views.ApplicationDelete: ApplicationDelete,
    views.ApplicationUpdate: ApplicationUpdate,
    views.AuthorizationView: AuthorizationView,
    views.ConnectDiscoveryInfoView: ConnectDiscoveryInfoView,
    views.DynamicClientRegistrationManagementView: RegistrationManagementView,
    views.IntrospectTokenView: IntrospectTokenView,
    views.OAuthServerMetadataView: OAuthServerMetadataView,
    views.TokenView: TokenView,
}
#: Names of the routes to which programs send POST requests. Many programs strip the last slash of
#: an endpoint, and Django cannot redirect a POST to the URL with the slash.
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

#: Names of the pages on which people manage clients or their access. The authorization page is not
#: listed, because its view protects itself.
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
    """Copy ``patterns`` with our views in place of the views of DOT that they extend.

    Order and names stay the same, and so do the site's own views.

    :param patterns: a list of DOT's, or of the site's own.
    """
    return [ours for pattern in patterns for ours in _routes_for(pattern)]


def _routes_for(pattern: URLPattern) -> list[URLPattern]:
    view = _wrapped_view(pattern)
    routes = [URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)]
    route = str(pattern.pattern)
    if pattern.name in _POSTED_TO and route.endswith("/"):
        # Without a name, so that reverse() still returns DOT's route.
        routes.append(path(route.removesuffix("/"), view, pattern.default_args))
    return routes


def _wrapped_view(pattern: URLPattern) -> View:
    # Every view is wrapped, because almost every view of DOT handles a token, a code or a secret,
    # and each release of DOT has more views at which clients authenticate.
    ours = OUR_VIEWS.get(getattr(pattern.callback, "view_class", type(None)))
    view = _as_view(ours, pattern.callback) if ours else holding_secrets(pattern.callback)
    view = limits_failures(refusing_files(view) if pattern.name in _POSTED_TO else view)
    return protected(view) if pattern.name in _PAGES else view


def _as_view(ours: Any, callback: Any) -> View:
    """``ours`` as a view function, with the arguments of ``as_view()`` that ``callback`` has."""
    view: View = ours.as_view(**callback.view_initkwargs)
    return view
