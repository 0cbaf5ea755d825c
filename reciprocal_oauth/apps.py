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
        # Check this here, because ready() is too late: Django usually calls the ready() of the
        # admin first, and it imports the admin modules of this app, which need DOT.
        from .checks import require_toolkit

        require_toolkit()
        super().import_models()

    def ready(self) -> None:
        """Register the system checks, signal receivers and queue handlers of the app, and install
        its log filter and its extensions of DOT."""
        from . import startup

        startup.connect()
