"""The sheet of another site, as it arrives in a file."""

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
