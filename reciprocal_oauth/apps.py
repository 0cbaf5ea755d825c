from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReciprocalOAuthConfig(AppConfig):
    """The app configuration that Django uses for ``reciprocal_oauth``."""

    name = "reciprocal_oauth"
    verbose_name = _("Reciprocal OAuth")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Load the models of this app, after making sure that DOT is installed.

        :raises ImproperlyConfigured: ``oauth2_provider`` is not in ``INSTALLED_APPS``.
        """
        # Do not wait with this check until ready() of this app. Django usually calls ready() of
        # django.contrib.admin first, which imports the admin modules of this app. If DOT is not
        # installed, this import fails with a less clear error.
        from .checks import require_toolkit

        require_toolkit()
        super().import_models()

    def ready(self) -> None:
        """Register the system checks, signal receivers and queue handlers of the app, and install
        its log filter and its extensions of DOT."""
        from . import startup

        startup.connect()
