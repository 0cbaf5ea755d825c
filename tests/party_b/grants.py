"""Access tokens that a client gets by each grant of RFC 6749."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.test import Client
from oauth2_provider.models import get_application_model

from ..conftest import PEER_SECRET, basic, post_form
from ..provider.authorization import allow, log_in


def use_grant(application: Any, grant: str) -> Any:
    get_application_model().objects.filter(pk=application.pk).update(authorization_grant_type=grant)
    application.refresh_from_db()
    return application


def by_code(browser: Client, application: Any) -> dict[str, Any]:
    return log_in(browser, application)


def by_implicit_grant(browser: Client, application: Any) -> dict[str, Any]:
    use_grant(application, "implicit")
    return dict(parse_qsl(urlsplit(allow(browser, application, response_type="token")).fragment))


def by_password(browser: Client, application: Any) -> dict[str, Any]:
    use_grant(application, "password")
    parameters = {
        "grant_type": "password",
        "username": "alice",
        "password": "alice",
        "scope": "playback",
    }
    return token_request(application, parameters)


def by_client_credentials(browser: Client, application: Any) -> dict[str, Any]:
    use_grant(application, "client-credentials")
    return token_request(application, {"grant_type": "client_credentials", "scope": "playback"})


def token_request(application: Any, parameters: dict[str, str]) -> dict[str, Any]:
    response = post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))
    assert response.status_code == 200, response.content
    return response.json()
