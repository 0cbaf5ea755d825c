"""Names of django-oauth-toolkit that its next release has in another module: the new place first,
since the old one warns."""

try:
    from oauth2_provider.authorization_server.views.mixins import (
        AuthorizationServerViewMixin as AuthorizationServerMixin,
    )
    from oauth2_provider.core.backends_oauthlib import get_oauthlib_core
    from oauth2_provider.core.views import OAuthLibCoreMixin
    from oauth2_provider.resource_server.decorators import protected_resource
except ModuleNotFoundError:
    from oauth2_provider.decorators import protected_resource
    from oauth2_provider.oauth2_backends import get_oauthlib_core
    from oauth2_provider.views.mixins import OAuthLibMixin as AuthorizationServerMixin
    from oauth2_provider.views.mixins import OAuthLibMixin as OAuthLibCoreMixin

__all__ = [
    "AuthorizationServerMixin",
    "OAuthLibCoreMixin",
    "get_oauthlib_core",
    "protected_resource",
]
