"""A site that mounts some of the views of django-oauth-toolkit, or its own, keeps it so."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import include, path
from oauth2_provider import urls as dot_urls
from oauth2_provider import views as dot
from pytest_django import Settings

from reciprocal_oauth import oauth2_urls
from reciprocal_oauth.oauth2_urls import with_ours
from reciprocal_oauth.provider.authorization_view import AuthorizationView
from reciprocal_oauth.provider.token_view import TokenView

from ..conftest import PEER_SECRET, basic, post_form

pytestmark = [pytest.mark.django_db, pytest.mark.threat("W90")]

CLOSED = ["applications/", "applications/register/", "device/", "authorized_tokens/", "userinfo/"]


class OwnAuthorizationView(AuthorizationView):
    """One of the site's own, as the documentation has it."""


@pytest.fixture
def mount(settings: Settings) -> Iterator[Callable[..., None]]:
    """Makes its arguments the routes below ``o/``, and nothing else of the site."""
    module = ModuleType("tests.own_urlconf")

    def use(*patterns: Any) -> None:
        module.urlpatterns = [  # type: ignore[attr-defined]
            path("o/", include((list(patterns), "oauth2_provider"))),
            path("connections/", include("reciprocal_oauth.urls")),
        ]
        sys.modules[module.__name__] = module
        settings.ROOT_URLCONF = module.__name__

    yield use
    sys.modules.pop(module.__name__, None)


def redeem(application: Any, code: str) -> int:
    parameters = {"grant_type": "authorization_code", "code": code}
    headers = basic(application.client_id, PEER_SECRET)
    return int(post_form(Client(), parameters, headers).status_code)


def view_of(patterns: Any, name: str) -> Any:
    return next(each.callback for each in patterns if each.name == name).view_class


@pytest.mark.parametrize("part", ["metadata", "base", "management", "oidc", "dcr"])
def test_the_lists_have_the_routes_of_django_oauth_toolkit(part: str) -> None:
    ours, dots = (getattr(module, f"{part}_urlpatterns") for module in (oauth2_urls, dot_urls))

    assert [(str(p.pattern), p.name) for p in ours if p.name] == [
        (str(p.pattern), p.name) for p in dots
    ]


def test_the_core_alone_links_and_opens_nothing_else(
    mount: Callable[..., None],
    browser: Client,
    application: Any,
    reciprocal_code: Callable[..., str],
) -> None:
    mount(*oauth2_urls.core_urlpatterns)

    assert redeem(application, reciprocal_code()) == 200
    assert {browser.get(f"/o/{closed}").status_code for closed in CLOSED} == {404}


def test_a_list_of_the_sites_own_gets_our_views_and_keeps_its_own(
    mount: Callable[..., None], application: Any, reciprocal_code: Callable[..., str]
) -> None:
    own = with_ours(
        [
            path("authorize/", OwnAuthorizationView.as_view(), name="authorize"),
            path("t/", dot.TokenView.as_view(), name="token"),
            path("token/", dot.TokenView.as_view(), name="another"),
            path("list/", dot.ApplicationList.as_view(template_name="own.html"), name="list"),
        ]
    )
    mount(*own)

    assert view_of(own, "authorize") is OwnAuthorizationView
    assert view_of(own, "token") is view_of(own, "another") is TokenView
    assert view_of(own, "list") is dot.ApplicationList
    assert redeem(application, reciprocal_code()) == 200


def test_a_view_of_the_sites_own_stands_before_the_list(
    mount: Callable[..., None], browser: Client
) -> None:
    mount(
        path("authorize/", OwnAuthorizationView.as_view(), name="authorize"),
        *oauth2_urls.core_urlpatterns,
    )

    response = browser.get("/o/authorize/")

    assert response.resolver_match.func.view_class is OwnAuthorizationView


def test_our_views_are_made_with_the_arguments_of_the_sites() -> None:
    route = path("authorize/", dot.AuthorizationView.as_view(template_name="own.html"))

    (ours,) = with_ours([route])

    assert ours.callback.view_class is AuthorizationView
    assert ours.callback.view_initkwargs == {"template_name": "own.html"}
