"""What a browser sends to the pages of a peer in the admin, and what they say."""

from typing import Any

from reciprocal_oauth.models import Peer

#: The text fields of the form.
FIELDS = (
    "name",
    "slug",
    "homepage",
    "dialect",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
    "description",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "account_endpoint",
    "account_member",
    "client_id",
    "token_endpoint_auth_method",
    "assertion_audience",
    "assertion_algorithm",
    "authenticates_here_by",
    "jwks_uri",
    "scope",
    "reciprocal_scope",
    "allowed_scope",
    "preconfigured_scope",
)


def filled_in(application: Any, /, **changes: Any) -> dict[str, Any]:
    """What the browser sends for a new peer whose application here is ``application``."""
    return {
        "name": "Television",
        "slug": "tv",
        "enabled": "on",
        "dialect": "ietf",
        "authorization_endpoint": "https://tv.example/authorize/",
        "token_endpoint": "https://tv.example/token/",
        "client_id": "us-at-tv",
        "client_secret": "canary-client-secret",
        "token_endpoint_auth_method": "client_secret_basic",
        "assertion_algorithm": "ES256",
        "authenticates_here_by": "secret",
        "application": application.pk,
        "allowed_scope": "profile",
        **changes,
    }


def values_of(peer: Peer, **changes: Any) -> dict[str, Any]:
    """What the browser sends when the page of ``peer`` is saved unchanged, or with ``changes``."""
    values = {name: getattr(peer, name) for name in FIELDS}
    enabled = {"enabled": "on"} if peer.enabled else {}
    return {**values, **enabled, "application": peer.application_id, **changes}


def errors(response: Any) -> dict[str, list[str]]:
    """The errors of the form, by field. The page was shown again, so nothing was saved."""
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def messages_of(response: Any) -> list[str]:
    """The messages at the top of the page."""
    return [str(message) for message in response.context["messages"]]
