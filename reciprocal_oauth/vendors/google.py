"""Google Account Linking: the preset.

The words of the Google Home Developer Console are those of "Create a Cloud-to-cloud integration"
(developers.home.google.com/cloud-to-cloud/integration/create), read in November 2026. That page
does not show the names of the inputs for account linking; they are not verified.
"""

from django.utils.translation import gettext_lazy as _

from .preset import ConsoleEntry, Preset, Question

_ISSUED_BY_GOOGLE = _(
    "Google Cloud console, Credentials, the client that Google made, whose name contains “Actions "
    "on Google”. Not the pair that you enter for Google below. Blank: you do not use Linked "
    "Account Sign-In"
)

PRESET = Preset(
    dialect="google",
    name="Google",
    questions=(
        Question(
            "project_id",
            "Project ID",
            _("Google Home Developer Console, list of projects"),
            r"[a-z][a-z0-9:.-]{4,62}",
            "my-project-12345",
        ),
        Question(
            "client_id",
            "Client ID",
            _ISSUED_BY_GOOGLE,
            r"[0-9]+-[a-z0-9]+\.apps\.googleusercontent\.com",
            "123456789012-0a1b2c3d4e5f.apps.googleusercontent.com",
            field="client_id",
            default="",
        ),
        Question(
            "client_secret",
            "Client secret",
            _ISSUED_BY_GOOGLE,
            r"[!-~]{1,1024}",
            "GOCSPX-0123456789abcdef",
            field="client_secret",
            default="",
        ),
    ),
    values={
        "homepage": "https://myaccount.google.com/accountlinking",
        "issuer": "https://accounts.google.com",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "token_endpoint_auth_method": "client_secret_post",
    },
    redirect_uris=(
        "https://oauth-redirect.googleusercontent.com/r/{project_id}",
        "https://oauth-redirect-sandbox.googleusercontent.com/r/{project_id}",
    ),
    console=(
        ConsoleEntry("OAuth Client ID", "{client_id}", _("Section “Account linking”")),
        ConsoleEntry("Client secret", "{client_secret}"),
        ConsoleEntry("Authorization URL", "{authorization_endpoint}"),
        ConsoleEntry("Token URL", "{token_endpoint}"),
        ConsoleEntry("Scopes", "{scope_here}"),
        ConsoleEntry(
            "Cloud fulfillment URL",
            "https://YOUR-SITE/YOUR-FULFILMENT/",
            _("The address of your own view for all intents. It calls take_handover() first"),
        ),
    ),
    limits=(
        _("People begin in an app of Google, not at this site."),
        _("Google sends a code only when a person signs in with Google in your Android app."),
        _("This site cannot tell Google that a link was ended here."),
    ),
    page="google",
)
