"""The sheet of another site, as it arrives in a file."""

import json
from typing import Any

SHEET: dict[str, Any] = {
    "reciprocal_sheet": 1,
    "authorization_server": {
        "issuer": "https://music.example/o",
        "authorization_endpoint": "https://music.example/o/authorize/",
        "token_endpoint": "https://music.example/o/token/",
        "revocation_endpoint": "https://music.example/o/revoke_token/",
        "reciprocal_endpoint": "https://music.example/o/token/",
    },
    "client": {
        "client_name": "Music service",
        "client_uri": "https://music.example/",
        "redirect_uris": ["https://music.example/connections/us/callback/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "profile speak openid",
    },
    "registration": {
        "client_id": "us-at-music",
        "scope": "play openid",
        "token_endpoint_auth_method": "client_secret_post",
    },
}

#: What that site says of itself to people, by the name of the peer's field.
DISPLAY = {
    "description": "Plays music.",
    "logo_uri": "https://music.example/logo.png",
    "policy_uri": "https://music.example/privacy/",
    "tos_uri": "https://music.example/terms/",
    "account_endpoint": "https://music.example/api/whoami/",
    "account_member": "user.name",
}
#: The same, by the name of the member in the sheet.
SAID = {
    "reciprocal_description": DISPLAY["description"],
    "logo_uri": DISPLAY["logo_uri"],
    "policy_uri": DISPLAY["policy_uri"],
    "tos_uri": DISPLAY["tos_uri"],
    "reciprocal_account_endpoint": DISPLAY["account_endpoint"],
    "reciprocal_account_member": DISPLAY["account_member"],
}


def sheet_that_says(**said: Any) -> str:
    """The sheet with what the site says of itself, as the text of a file."""
    return json.dumps({**SHEET, "client": {**SHEET["client"], **SAID, **said}})
