"""DOT's URL patterns, in which the views of this app replace the DOT views that they extend."""

from collections.abc import Callable, Iterable
from typing import Any

from django.urls import URLPattern, path
from oauth2_provider import views

from ..core.database import outside_transactions
from ..pages.headers import protected
from ..redaction.error_reports import holding_secrets
from .application_view import ApplicationDelete, ApplicationUpdate
from .authorization_view import AuthorizationView
from .bodies import refusing_files
from .client_keys import refusing_repeated
from .failure_limit import limits_failures
from .introspection_view import IntrospectTokenView
from .jwks_view import SiteKeysView
from .metadata_view import ConnectDiscoveryInfoView, OAuthServerMetadataView
from .registration_endpoint import ClientConfigurationView, RegistrationView
from .registration_view import RegistrationManagementView
from .token_view import TokenView

View = Callable[..., Any]

#: The views of DOT that this app replaces. Each key is a view of DOT, and its value is the view of
#: this app.
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
#: Names of the routes to which programs send POST requests. Each URL also works without the slash
#: at its end, because many programs remove this slash, and Django cannot redirect a POST request to
#: the URL with the slash.
_POSTED_TO = frozenset(
    {
        "dcr-register",
        "device-authorization",
        "introspect",
        "pushed-authorization-request",
        "reciprocal-register",
        "revoke-token",
        "token",
        "user-info",
    }
)

#: Names of the other routes at which a client authenticates (RFC 7009, section 2.1; RFC 7662,
#: section 2.1; RFC 8628, section 3.1; RFC 9126, section 2).
_AUTHENTICATING = frozenset(
    {"device-authorization", "introspect", "pushed-authorization-request", "revoke-token"}
)

#: Names of the pages on which people manage clients or their access. These pages get security
#: headers and CSRF protection. The authorization page is not in this list, because the class of its
#: view already adds both.
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
    """Return copies of ``patterns`` in which our views replace the DOT views that they extend.

    All views limit how many wrong client secrets a client can send. Views of the site itself are
    not replaced. The order and the names stay the same. After a route to which programs send POST
    requests, there is a copy of it without the slash at the end and without a name.

    :param patterns: URL patterns of DOT, or of the site itself.
    """
    return [ours for pattern in patterns for ours in _routes_for(pattern)]


def reciprocal_routes() -> list[URLPattern]:
    """Return new routes to the views that only this app has."""
    register, client = RegistrationView.as_view(), ClientConfigurationView.as_view()
    return [
        path("reciprocal/jwks.json", SiteKeysView.as_view(), name="reciprocal-jwks"),
        *_with_and_without_slash(
            path("reciprocal/register/", register, name="reciprocal-register")
        ),
        path("reciprocal/register/<str:client_id>/", client, name="reciprocal-client"),
    ]


def _routes_for(pattern: URLPattern) -> list[URLPattern]:
    view = _wrapped_view(pattern)
    return _with_and_without_slash(
        URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)
    )


def _with_and_without_slash(pattern: URLPattern) -> list[URLPattern]:
    routes, route = [pattern], str(pattern.pattern)
    if pattern.name in _POSTED_TO and route.endswith("/"):
        # This copy gets no name, so that reverse() still returns the URL with the slash.
        routes.append(path(route.removesuffix("/"), pattern.callback, pattern.default_args))
    return routes


def _wrapped_view(pattern: URLPattern) -> View:
    # For every view, limit how many wrong client secrets a client can send, and hide secrets in
    # error reports. Do not choose these views by name, because almost every view of DOT handles a
    # token, a code or a secret, and a new release of DOT can add such a view.
    ours = OUR_VIEWS.get(getattr(pattern.callback, "view_class", type(None)))
    view = holding_secrets(_as_view(ours, pattern.callback) if ours else pattern.callback)
    if pattern.name in _AUTHENTICATING:
        # To check an assertion, this site may have to call the peer. No transaction may be open
        # meanwhile.
        view = outside_transactions(refusing_repeated(view))
    view = limits_failures(refusing_files(view) if pattern.name in _POSTED_TO else view)
    return protected(view) if pattern.name in _PAGES else view


def _as_view(ours: Any, callback: Any) -> View:
    """Return a view function of the class ``ours``. Call ``as_view()`` with the same arguments with
    which ``callback`` was created."""
    view: View = ours.as_view(**callback.view_initkwargs)
    return view
