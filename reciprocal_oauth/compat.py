"""Imports names of django-oauth-toolkit (DOT) and Django that are in different modules in different
releases.

The next release of DOT moves its modules. In that release, an import from an old module still works
but causes a ``DeprecationWarning``. So the code below first tries to import from the new module.
"""

from django.contrib.auth.decorators import login_not_required
from oauth2_provider.settings import oauth2_settings

try:
    from oauth2_provider.core.scopes import SettingsScopes, get_scopes_backend
except ModuleNotFoundError:
    from oauth2_provider.scopes import SettingsScopes, get_scopes_backend

#: The label of the application model that the site has configured in DOT, such as
#: ``oauth2_provider.Application``. Foreign keys refer to it.
APPLICATION_MODEL: str = oauth2_settings.APPLICATION_MODEL

__all__ = [
    "APPLICATION_MODEL",
    "SettingsScopes",
    "get_scopes_backend",
    "login_not_required",
    "oauth2_settings",
]
