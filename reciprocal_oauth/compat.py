"""The only module that imports names of django-oauth-toolkit and Django that move between
releases."""

from django.contrib.auth.decorators import login_not_required
from oauth2_provider.settings import oauth2_settings

#: Label of the DOT application model in force, for foreign keys. DOT reads it once, at import.
APPLICATION_MODEL: str = oauth2_settings.APPLICATION_MODEL

__all__ = ["APPLICATION_MODEL", "login_not_required", "oauth2_settings"]
