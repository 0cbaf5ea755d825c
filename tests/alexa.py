"""The messages of Alexa, as its pages and its samples show them, with made-up tokens."""

from collections.abc import Callable
from typing import Any

from reciprocal_oauth.models import Peer

from .fakes import Reply

SKILL = "amzn1.ask.skill.01234567-89ab-cdef-0123-456789abcdef"
ENABLEMENT = f"/v1/users/~current/skills/{SKILL}/enablement"
CODE = "ANUbUKCJqlBOpMhwYWxU"

#: What Login with Amazon responds. An example of Amazon has the number as a text.
LWA_TOKENS = Reply.json(
    access_token="Atza|token-of-amazon",
    expires_in="3600",
    refresh_token="Atzr|refresh-of-amazon",
    token_type="bearer",
)
LWA_REFUSAL = Reply.json(
    400, error="invalid_grant", error_description="The authorization code is invalid."
)


def accept_grant(token: str, code: str = CODE) -> dict[str, Any]:
    return {
        "directive": {
            "header": {
                "namespace": "Alexa.Authorization",
                "name": "AcceptGrant",
                "payloadVersion": "3",
                "messageId": "5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4",
            },
            "payload": {
                "grant": {"type": "OAuth2.AuthorizationCode", "code": code},
                "grantee": {"type": "BearerToken", "token": token},
            },
        }
    }


def make_alexa(make_peer: Callable[..., Peer], url: str, slug: str = "alexa", **values: Any) -> Any:
    """A skill that people can enable at Alexa only, whose LWA is at ``url``."""
    return make_peer(
        slug,
        url,
        **{
            "dialect": "alexa",
            "issuer": "",
            "authorization_endpoint": "",
            "revocation_endpoint": "",
            "scope": "",
            "reciprocal_scope": "",
            "token_endpoint_auth_method": "client_secret_post",
            **values,
        },
    )
