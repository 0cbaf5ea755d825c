"""The command ``create_demo_app``. It registers the app of the module ``phone_app``."""

from typing import Any

from django.core.management.base import BaseCommand
from oauth2_provider.models import get_application_model

from ...phone_app import CLIENT_ID, SIGNED_IN


class Command(BaseCommand):
    help = "Registers the example of an app, which example_project.phone_app plays."

    def handle(self, *args: Any, **options: Any) -> None:
        applications = get_application_model().objects
        if applications.filter(client_id=CLIENT_ID).exists():
            return
        applications.create(
            name="Example app",
            client_id=CLIENT_ID,
            client_type="public",
            authorization_grant_type="authorization-code",
            # Without a port: the app may use any (RFC 8252, section 7.3).
            redirect_uris=f"http://127.0.0.1{SIGNED_IN}",
        )
        self.stdout.write(f"Registered the app {CLIENT_ID}.")
