from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReciprocalOAuthConfig(AppConfig):
    name = "reciprocal_oauth"
    verbose_name = _("Reciprocal OAuth")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        # Before any ready(): that of the admin, which often stands first, imports the models.
        from .checks import require_toolkit

        require_toolkit()
        super().import_models()

    def ready(self) -> None:
        from . import startup

        startup.connect()
