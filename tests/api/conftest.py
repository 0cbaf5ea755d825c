"""Fixtures: the API, as a front end of the person's and as an app of theirs use it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.models import Link
from reciprocal_oauth.party_a import consent, scope_changes

from ..fakes import FakePeer
from ..party_a.visits import link_both_ways

ROOT = "/api/reciprocal"
BOTH_SCOPES = "reciprocal:read reciprocal:write"


@dataclass
class Api:
    """Calls the API. ``call("get", "/links/")`` gives the response, whose body, if it has one, is
    ``response.said``."""

    client: Client
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        response: Any = self.client.generic(
            method.upper(),
            ROOT + path,
            "" if body is None else json.dumps(body),
            "" if body is None else "application/json",
            headers={**self.headers, **headers},
        )
        response.said = json.loads(response.content) if response.content else None
        return response

    def get(self, path: str) -> Any:
        return self.call("get", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("post", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("put", path, body)

    def choose(self, link: Link, *names: str) -> Any:
        """Change what the peer of ``link`` may do, as a person who is shown it as it is now."""
        return self.put(f"/links/{link.pk}/scopes/", {"scopes": names, "shown": shown(link)})

    def answer(self, link: Link, *names: str) -> Any:
        """Answer the question of ``link``, as a person who is shown it as it is now."""
        asked = consent.snapshot_of(Link.objects.get(pk=link.pk))
        return self.post(f"/links/{link.pk}/consent/", {"scopes": names, "shown": asked})

    def delete(self, path: str) -> Any:
        return self.call("delete", path)


def shown(link: Link) -> str:
    """What a person is shown now who may change something."""
    return scope_changes.snapshot_of(Link.objects.get(pk=link.pk))


@pytest.fixture(autouse=True)
def site(settings: Settings) -> Settings:
    """A site that has the API and its scopes."""
    settings.ROOT_URLCONF = "tests.api.urls"
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "SCOPES": {
            **settings.OAUTH2_PROVIDER["SCOPES"],
            "reciprocal:read": "See your connections",
            "reciprocal:write": "Change your connections",
        },
    }
    return settings


@pytest.fixture
def front_end(browser: Client) -> Api:
    """Alice's browser, with a front end of the site's in it. Its CSRF token is not asked for."""
    return Api(browser)


@pytest.fixture
def app(db: None) -> Any:
    """The registration of an app of other people's; it is no peer."""
    return get_application_model().objects.create(
        name="app",
        client_id="app",
        client_type="public",
        authorization_grant_type="authorization-code",
        redirect_uris="https://app.example/back",
    )


@pytest.fixture
def api_with(app: Any, user: Any, make_token: Callable[..., Any]) -> Callable[..., Api]:
    """The app, with an access token of Alice's for these scopes."""

    def make(scope: str = BOTH_SCOPES, *, of: Any = user, application: Any = app) -> Api:
        token = make_token(application, of, scope)
        return Api(Client(), {"Authorization": f"Bearer {token.raw}"})

    return make


@pytest.fixture
def api(api_with: Callable[..., Api]) -> Api:
    """The app, which may read and write."""
    return api_with()


@pytest.fixture
def link(browser: Client, fake_peer: FakePeer, application: Any) -> Link:
    """Alice's link; it works both ways, and the peer may do all that it can be allowed."""
    link_both_ways(browser, fake_peer, application)
    return Link.objects.get()


def problem(response: Any) -> tuple[int, str]:
    """Status and code of an error, which has the form of RFC 9457."""
    assert response["Content-Type"] == "application/problem+json", response.content
    said = response.said
    assert set(said) - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert said["status"] == response.status_code
    assert said["type"] == "about:blank"
    assert said["title"]
    assert said["detail"]
    return response.status_code, said["code"]
