"""Sber Smart Home: the preset for an integration of the kind Cloud-to-Cloud.

The words of the console are those of "Step 1. Creating an integration project"
(developers.sber.ru/docs/en/smarthome/c2c/create-c2c-integration-project), and the redirect URI is
the one of "Account linking and getting tokens process" (…/c2c/link-accounts), read in November
2026.
"""

from django.utils.translation import gettext_lazy as _

from .preset import ConsoleEntry, Preset

PRESET = Preset(
    dialect="sber",
    name="Sber",
    questions=(),
    values={},
    redirect_uris=("https://gateway.iot.sberdevices.ru/gateway/v1/binder/backward",),
    console=(
        ConsoleEntry(
            "Settings transfer type",
            "header",
            _("Choose that the access token is sent in the header, not in the parameters"),
        ),
        ConsoleEntry(
            "Project API server URL",
            "https://YOUR-SITE/YOUR-PREFIX",
            _("Your own views are below it. The one at /v1/unlink calls take_handover()"),
        ),
        ConsoleEntry("Authorization URL", "{authorization_endpoint}"),
        ConsoleEntry("URL to get token", "{token_endpoint}"),
        ConsoleEntry("Client ID", "{client_id}"),
        ConsoleEntry("Client secret", "{client_secret}"),
        ConsoleEntry("OAuth2 Scopes", "{scope_here}"),
    ),
    limits=(
        _("People begin in an app of Sber, not at this site."),
        _("Sber gives this site no access, so a link works one way."),
        _("This site does not tell Sber that a link was ended here."),
    ),
    page="sber",
)
