from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReciprocalOAuthConfig(AppConfig):
    name = "reciprocal_oauth"
    verbose_name = _("Reciprocal OAuth")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .checks import require_toolkit

        require_toolkit()
        from . import wiring

        wiring.connect()
