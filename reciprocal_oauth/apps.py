from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReciprocalOAuthConfig(AppConfig):
    """The Django app."""

    name = "reciprocal_oauth"
    verbose_name = _("Reciprocal OAuth")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Load the models.

        :raises ImproperlyConfigured: ``oauth2_provider`` is not in ``INSTALLED_APPS``.
        """
        # Not in ready(): the ready() of the admin, which often comes first, imports the models.
        from .checks import require_toolkit

        require_toolkit()
        super().import_models()

    def ready(self) -> None:
        """Connect the parts of the app."""
        from . import startup

        startup.connect()
