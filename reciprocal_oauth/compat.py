"""The only module that imports names of django-oauth-toolkit and Django that move between
releases.

The next release of django-oauth-toolkit sorts its modules by role. The old places go on working
there for a while, with a warning each, so the new one is tried first.
"""

from django.contrib.auth.decorators import login_not_required
from oauth2_provider.settings import oauth2_settings

try:
    from oauth2_provider.core.scopes import SettingsScopes, get_scopes_backend
except ModuleNotFoundError:
    from oauth2_provider.scopes import SettingsScopes, get_scopes_backend

#: Label of the DOT application model in force, for foreign keys. DOT reads it once, at import.
APPLICATION_MODEL: str = oauth2_settings.APPLICATION_MODEL

__all__ = [
    "APPLICATION_MODEL",
    "SettingsScopes",
    "get_scopes_backend",
    "login_not_required",
    "oauth2_settings",
]
