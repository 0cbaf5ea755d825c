"""The other site of a pairing: it publishes metadata, registers here, and answers registrations."""

import json
import secrets
from typing import Any

from django.test import Client

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.pairing import inviting
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply

#: The issuer of the site under test, and the address of its registration endpoint.
OUR_ISSUER = "https://testserver/o"
REGISTER = "/o/reciprocal/register/"
METADATA = "/.well-known/oauth-authorization-server/o"


class OtherSite(FakePeer):
    """``sent`` are the registrations that it has received. ``reverse_token`` is what it sends with
    its own registration."""

    def __init__(self) -> None:
        super().__init__()
        self.reverse_token = secrets.token_urlsafe(32)
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/o/authorize/",
            "token_endpoint": f"{self.url}/o/token/",
            "revocation_endpoint": f"{self.url}/o/revoke_token/",
            "reciprocal_registration_endpoint": f"{self.url}{REGISTER}",
            "grant_types_supported": ["authorization_code", GRANT_TYPE],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": ["play", "queue"],
        }
        self.answer: dict[str, Any] = {
            "client_id": "us-there",
            "client_secret": "our-secret-at-the-other-site",
            "client_secret_expires_at": 0,
            "registration_access_token": "our-registration-token-there",
            "registration_client_uri": f"{self.url}{REGISTER}us-there/",
            "token_endpoint_auth_method": "client_secret_basic",
            "reciprocal_client_name": "Other",
            "reciprocal_allowed_scope": "play queue",
            "reciprocal_state": "waiting",
        }
        self.answers[METADATA] = lambda received: Reply.json(200, **self.metadata)
        self.answers[REGISTER] = lambda received: Reply.json(201, **self.answer)
        self.answers[f"{REGISTER}us-there/"] = lambda received: Reply.json(
            200, **{**self.answer, "reciprocal_state": "complete"}
        )

    @property
    def issuer(self) -> str:
        return f"{self.url}/o"

    @property
    def received(self) -> list[Received]:
        """The registrations that it has received."""
        return self.to(REGISTER)

    def registration(self, **changes: Any) -> dict[str, Any]:
        """What it sends to register here. A value ``...`` leaves the member out."""
        members = {
            "client_name": "Other",
            "client_uri": f"{self.url}/",
            "redirect_uris": [f"{self.url}/connections/us/callback/"],
            "grant_types": ["authorization_code", "refresh_token", GRANT_TYPE],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": "playback",
            "reciprocal_issuer": self.issuer,
            "reciprocal_allowed_scope": "play",
            "reciprocal_registration_token": self.reverse_token,
            **changes,
        }
        return {name: value for name, value in members.items() if value is not ...}

    def invitation(self, **parts: str) -> str:
        """A string that invites this site."""
        code = secrets.token_urlsafe(32)
        values = {"page": f"{self.url}/connections/pair/", "iss": self.issuer, "code": code}
        values |= parts
        return f"{values['page']}#v=1&iss={values['iss']}&code={values['code']}"


def register(token: object, body: object, client: Client | None = None, **headers: str) -> Any:
    """Send a registration to the site under test (RFC 7591, section 3.1)."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = headers.pop("content_type", "application/json")
    if token is not None:
        value = token.reveal() if isinstance(token, Secret) else token
        headers = {"Authorization": f"Bearer {value}", **headers}
    return (client or Client()).post(REGISTER, content, content_type=kind, headers=headers)


def code_in(text: Secret) -> str:
    return text.reveal().rpartition("code=")[2]


def terms(slug: str = "other", **values: Any) -> inviting.Terms:
    return inviting.Terms(
        **{"slug": slug, "allowed_scope": "playback history", "asked_scope": "play", **values}
    )
