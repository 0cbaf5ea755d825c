"""A client that knows only RFC 7591 uses an invitation of this site."""

from typing import Any

from django.test import Client

from reciprocal_oauth.core.protocol import GRANT_TYPE

from .other_site import OtherSite, register

#: The members that such a client does not know.
LEFT_OUT = ("issuer", "allowed_scope", "registration_token")


def register_plain(code: str, other: OtherSite, **changes: Any) -> dict[str, Any]:
    """Register as such a client does, and return the response."""
    members = {f"reciprocal_{name}": ... for name in LEFT_OUT}
    grants = ["authorization_code", "refresh_token"]
    body = other.registration(**{**members, "grant_types": grants, **changes})
    response = register(code, body)
    assert response.status_code == 201, response.content
    assert GRANT_TYPE not in response.json()["grant_types"]
    answer: dict[str, Any] = response.json()
    return answer


def registration_of(answer: dict[str, Any]) -> Any:
    """Read the registration (RFC 7592, section 2.1)."""
    path = answer["registration_client_uri"].removeprefix("https://testserver")
    token = answer["registration_access_token"]
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})
