"""A client that knows only RFC 7591 uses an invitation of this site."""

import json
from typing import Any

from django.test import Client

from reciprocal_oauth.core.protocol import GRANT_TYPE

from .other_site import OtherSite, register

#: The members that such a client does not know.
LEFT_OUT = ("issuer", "allowed_scope", "registration_token")


def plain_registration(other: OtherSite, **changes: Any) -> dict[str, Any]:
    """What such a client sends (RFC 7591, section 2)."""
    members = {f"reciprocal_{name}": ... for name in LEFT_OUT}
    grants = ["authorization_code", "refresh_token"]
    return other.registration(**{**members, "grant_types": grants, **changes})


def register_plain(code: str, other: OtherSite, **changes: Any) -> dict[str, Any]:
    """Register as such a client does, and return the response."""
    response = register(code, plain_registration(other, **changes))
    assert response.status_code == 201, response.content
    assert GRANT_TYPE not in response.json()["grant_types"]
    answer: dict[str, Any] = response.json()
    return answer


def registration_of(answer: dict[str, Any], method: str = "GET", body: Any = None) -> Any:
    """Read, change or delete the registration (RFC 7592, section 2)."""
    path = answer["registration_client_uri"].removeprefix("https://testserver")
    token = answer["registration_access_token"]
    return Client().generic(
        method,
        path,
        json.dumps(body) if body else "",
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
