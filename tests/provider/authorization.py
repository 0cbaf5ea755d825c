"""The authorization endpoint as a browser and a client use it (RFC 6749, section 4.1; RFC 7636)."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client
from oauth2_provider.models import get_device_grant_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2 import WebApplicationClient

from ..conftest import PEER_SECRET, basic, post_form

VERIFIER = "verifier-" * 6
CHALLENGE = WebApplicationClient("").create_code_challenge(VERIFIER, "S256")


class DeviceValidator(OAuth2Validator):
    """What a site adds for oauthlib 4, which asks the validator about device codes; DOT 3.4.1
    answers for oauthlib 3, where its view alone decides."""

    def validate_device_code(
        self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any
    ) -> str:
        grant = get_device_grant_model().objects.get(client_id=client_id, device_code=code)
        return grant.status


def ask(browser: Client, application: Any, scope: str = "playback", **more: str) -> Any:
    """The authorization page, with PKCE; an empty value leaves a parameter out."""
    return browser.get(address(application, scope, **more))


def address(application: Any, scope: str = "playback", **more: str) -> str:
    """Where the peer sends the browser to."""
    parameters = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": application.redirect_uris.split()[0],
        "scope": scope,
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return "/o/authorize/?" + urlencode({k: v for k, v in parameters.items() if v})


def allow(browser: Client, application: Any, scope: str = "playback", **more: str) -> str:
    """Where the browser is sent when the person has allowed what is asked."""
    page = ask(browser, application, scope, **more)
    assert page.status_code == 200, page.get("Location", page.content)
    fields = {k: v for k, v in page.context["form"].initial.items() if v}
    return browser.post("/o/authorize/", {**fields, "allow": "Authorize"})["Location"]


def code_in(location: str) -> str:
    return parse_qs(urlsplit(location).query)["code"][0]


def error_in(location: str) -> str:
    parts = urlsplit(location)
    return parse_qs(parts.query + parts.fragment)["error"][0]


def exchange(application: Any, code: str, **more: str) -> Any:
    """The token request for an ordinary code; an empty value leaves a parameter out."""
    parameters = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": application.redirect_uris.split()[0],
        "code_verifier": VERIFIER,
        **more,
    }
    parameters = {k: v for k, v in parameters.items() if v}
    return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))


def log_in(browser: Client, application: Any, scope: str = "playback") -> Any:
    """The whole grant: the token response as JSON."""
    response = exchange(application, code_in(allow(browser, application, scope)))
    assert response.status_code == 200, response.content
    return response.json()
