"""Names of django-oauth-toolkit (DOT) and Django whose module differs between releases.

The next release of DOT moves its modules. Imports from the old modules still work there, but cause
a ``DeprecationWarning``, so this module tries the new ones first.
"""

from django.contrib.auth.decorators import login_not_required
from oauth2_provider.settings import oauth2_settings

try:
    from oauth2_provider.core.scopes import SettingsScopes, get_scopes_backend
except ModuleNotFoundError:
    from oauth2_provider.scopes import SettingsScopes, get_scopes_backend

#: Label of the DOT application model that the site uses, for foreign keys.
APPLICATION_MODEL: str = oauth2_settings.APPLICATION_MODEL

__all__ = [
    "APPLICATION_MODEL",
    "SettingsScopes",
    "get_scopes_backend",
    "login_not_required",
    "oauth2_settings",
]
