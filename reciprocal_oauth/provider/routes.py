"""DOT's routes, with the views that this app extends put in place."""

from collections.abc import Callable, Iterable
from typing import Any

from django.urls import URLPattern, path
from oauth2_provider import views

from ..pages.headers import protected
from ..redaction.error_reports import holding_secrets
from .application_view import ApplicationDelete, ApplicationUpdate
from .authorization_view import AuthorizationView
from .bodies import without_files
from .failure_limit import limits_failures
from .introspection_view import IntrospectTokenView
from .metadata_view import ConnectDiscoveryInfoView, OAuthServerMetadataView
from .registration_view import RegistrationManagementView
from .token_view import TokenView

View = Callable[..., Any]

#: Our views by the views of DOT that they take the place of.
OURS: dict[type, type] = {
    views.ApplicationDelete: ApplicationDelete,
    views.ApplicationUpdate: ApplicationUpdate,
    views.AuthorizationView: AuthorizationView,
    views.ConnectDiscoveryInfoView: ConnectDiscoveryInfoView,
    views.DynamicClientRegistrationManagementView: RegistrationManagementView,
    views.IntrospectTokenView: IntrospectTokenView,
    views.OAuthServerMetadataView: OAuthServerMetadataView,
    views.TokenView: TokenView,
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
    """``patterns``, DOT's or a list of the site's own, in their order and under their names: where
    one leads to a view of DOT's that this app extends, it leads to ours. A view of the site's own
    stays what it is."""
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
    # Almost every view of DOT gets, makes or reads a token, a code or a secret; and clients
    # authenticate at more of them with each release.
    ours = OURS.get(getattr(pattern.callback, "view_class", type(None)))
    view = _like(ours, pattern.callback) if ours else holding_secrets(pattern.callback)
    view = limits_failures(without_files(view) if pattern.name in _POSTED_TO else view)
    return protected(view) if pattern.name in _PAGES else view


def _like(ours: Any, callback: Any) -> View:
    """``ours`` as a view, with the arguments that ``callback`` was made with."""
    view: View = ours.as_view(**callback.view_initkwargs)
    return view
