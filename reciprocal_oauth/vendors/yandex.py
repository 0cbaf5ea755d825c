"""Yandex Smart Home: the preset.

The words of the console are those of "Linking accounts in the developer console"
(yandex.ru/dev/dialogs/smart-home/doc/en/auth/add-skill-to-console), read in November 2026.
"""

from django.utils.translation import gettext_lazy as _

from .preset import ConsoleEntry, Preset

PRESET = Preset(
    dialect="yandex",
    name="Yandex",
    questions=(),
    values={},
    redirect_uris=("https://social.yandex.net/broker/redirect",),
    console=(
        ConsoleEntry(
            "Endpoint URL",
            "https://YOUR-SITE/YOUR-PREFIX",
            _("Your own views are below it. The one at /v1.0/user/unlink calls take_handover()"),
        ),
        ConsoleEntry(
            "Идентификатор приложения", "{client_id}", _("App ID, on the tab for account linking")
        ),
        ConsoleEntry("Секрет приложения", "{client_secret}", _("App secret")),
        ConsoleEntry("URL авторизации", "{authorization_endpoint}", _("Authorization URL")),
        ConsoleEntry("URL для получения токена", "{token_endpoint}", _("URL for getting a token")),
        ConsoleEntry(
            "URL для обновления токена", "{token_endpoint}", _("URL for updating a token")
        ),
        ConsoleEntry(
            "Идентификатор группы действий",
            "{scope_here}",
            _("Action group ID. Write & between the names of several scopes"),
        ),
    ),
    limits=(
        _("People begin in an app of Yandex, not at this site."),
        _("Yandex gives this site no access, so a link works one way."),
    ),
    page="yandex",
)
