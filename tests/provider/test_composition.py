"""The site's own validator and server classes stay in force, with ours over them, everywhere."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.views.generic import View
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from oauth2_provider.models import get_application_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import OAuth2ProviderSettings, oauth2_settings
from oauth2_provider.views import ProtectedResourceView, ScopedProtectedResourceView
from oauthlib.oauth2 import BackendApplicationServer, Server
from rest_framework.response import Response
from rest_framework.views import APIView

from reciprocal_oauth.compat import SettingsScopes
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import scope_changes
from reciprocal_oauth.provider.composition import composed_server, composed_validator
from reciprocal_oauth.provider.server import ReciprocalServerMixin
from reciprocal_oauth.provider.token_view import TokenView
from reciprocal_oauth.provider.validator import ReciprocalValidatorMixin

from ..dot import get_oauthlib_core, protected_resource
from ..urls import urlpatterns as site_urlpatterns
from .authorization import log_in

pytestmark = pytest.mark.django_db


class SiteValidator(OAuth2Validator):
    """A validator class as sites have it."""

    asked: list[str] = []

    def validate_code(self, client_id: str, code: str, *args: Any, **kwargs: Any) -> bool:
        self.asked.append("code")
        return super().validate_code(client_id, code, *args, **kwargs)

    def validate_bearer_token(self, token: str, *args: Any) -> bool:
        self.asked.append("token")
        return super().validate_bearer_token(token, *args)

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        return {"favourite": "blue"}


class ComposedAlready(ReciprocalValidatorMixin, OAuth2Validator):
    """A validator class whose author has added our mixin himself."""


class SiteServer(Server):
    """A server class as sites have it."""

    built = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        SiteServer.built += 1


class DRFView(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["playback"]

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})


class ClassBased(ProtectedResourceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class ScopedClassBased(ScopedProtectedResourceView):
    required_scopes = ["playback"]

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


@protected_resource(scopes=["playback"])
def decorated(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@protected_resource(scopes=["playback"], validator_cls=SiteValidator)
def decorated_with_own_class(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class ByMiddleware(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=200 if request.user.is_authenticated else 401)


RESOURCES = {
    "drf": DRFView.as_view(),
    "class": ClassBased.as_view(),
    "scoped": ScopedClassBased.as_view(),
    "decorated": decorated,
    "own": decorated_with_own_class,
    "middleware": ByMiddleware.as_view(),
}
urlpatterns = [
    *site_urlpatterns,
    *(path(f"resource/{name}/", view) for name, view in RESOURCES.items()),
    path("dot/", include(("oauth2_provider.urls", "dot"))),
]


@pytest.fixture
def site_classes(dot_settings: Callable[..., None], settings: Any) -> None:
    dot_settings(
        OAUTH2_VALIDATOR_CLASS=f"{__name__}.SiteValidator",
        OAUTH2_SERVER_CLASS=f"{__name__}.SiteServer",
    )
    SiteValidator.asked = []
    SiteServer.built = 0


def call(name: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return Client().get(f"/resource/{name}/", headers=headers).status_code


def deactivate_user(settings: Any) -> None:
    get_user_model().objects.update(is_active=False)


def disable_peer(settings: Any) -> None:
    Peer.objects.update(enabled=False)


def narrow_peer(settings: Any) -> None:
    Peer.objects.update(allowed_scope="profile")


def narrow_link(settings: Any) -> None:
    Link.objects.update(incoming_scope="profile")


def narrow_site(settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"profile": "Your name"}}


def end_link(settings: Any) -> None:
    """By a door that knows nothing of tokens."""
    Link.objects.update(status=Link.Status.ENDED)


@pytest.mark.urls(__name__)
@pytest.mark.rfc("6750", "3.1")
@pytest.mark.threat("C14", "F15", "S4")
@pytest.mark.parametrize(
    "event", [deactivate_user, disable_peer, end_link, narrow_peer, narrow_link, narrow_site]
)
@pytest.mark.parametrize("name", RESOURCES)
def test_every_way_of_protecting_a_resource_asks_our_hooks(
    settings: Any, token_of_a: Any, name: str, event: Callable[[Any], None]
) -> None:
    settings.AUTHENTICATION_BACKENDS = [
        "oauth2_provider.backends.OAuth2Backend",
        *settings.AUTHENTICATION_BACKENDS,
    ]
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "oauth2_provider.middleware.OAuth2TokenMiddleware",
    ]
    assert call(name, token_of_a.raw) == 200

    event(settings)

    assert call(name, token_of_a.raw) in (401, 403)


@pytest.mark.urls(__name__)
@pytest.mark.threat("C14")
@pytest.mark.parametrize("name", sorted(RESOURCES.keys() - {"middleware"}))
def test_tokens_of_other_clients_are_judged_by_dot_alone(
    settings: Any,
    make_application: Callable[..., Any],
    make_token: Callable[..., Any],
    user: Any,
    name: str,
) -> None:
    token = make_token(make_application(), user, "playback history")
    deactivate_user(settings)

    # DRF looks at the user itself.
    assert call(name, token.raw) == 200


def test_the_sites_validator_is_asked_too(
    site_classes: None,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    assert issubclass(oauth2_settings.OAUTH2_VALIDATOR_CLASS, ReciprocalValidatorMixin)
    assert issubclass(oauth2_settings.OAUTH2_VALIDATOR_CLASS, SiteValidator)

    assert redeem(reciprocal_code()).status_code == 200
    assert SiteValidator.asked == ["code"]


def test_the_sites_server_is_built_with_the_grant(
    site_classes: None, hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert SiteServer.built


@pytest.mark.urls(__name__)
def test_the_sites_validator_keeps_its_say_about_tokens(
    site_classes: None, token_of_a: Any
) -> None:
    assert call("drf", token_of_a.raw) == 200
    assert SiteValidator.asked == ["token"]


def test_openid_is_served_with_the_grant(
    openid_connect: None, hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert "id_token" in str(TokenView.get_server().response_types)


def test_settings_that_change_keep_the_composition() -> None:
    names = []
    for path_ in (f"{__name__}.SiteValidator", f"{__name__}.ComposedAlready"):
        with override_settings(OAUTH2_PROVIDER={"OAUTH2_VALIDATOR_CLASS": path_}):
            for _ in range(2):
                names.append(oauth2_settings.OAUTH2_VALIDATOR_CLASS.__name__)
            assert isinstance(
                get_oauthlib_core().server.request_validator, ReciprocalValidatorMixin
            )
    names.append(oauth2_settings.OAUTH2_VALIDATOR_CLASS.__name__)

    own = "ReciprocalSiteValidator"
    assert names == [own, own, "ComposedAlready", "ComposedAlready", "ReciprocalOAuth2Validator"]


def test_what_has_our_part_already_is_not_wrapped_again() -> None:
    assert composed_validator(ComposedAlready) is ComposedAlready
    once = composed_server(SiteServer)
    assert issubclass(once, ReciprocalServerMixin)
    assert composed_server(once) is once
    assert composed_validator(SiteValidator) is composed_validator(SiteValidator)


def test_a_server_of_another_kind_gets_the_grant_as_well(
    dot_settings: Callable[..., None], hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    dot_settings(OAUTH2_SERVER_CLASS=BackendApplicationServer)

    assert hand_over(access_token=token_of_a.raw).status_code == 200


@pytest.mark.urls(__name__)
@pytest.mark.threat("F24", "C14")
@pytest.mark.parametrize("name", ["drf", "scoped"])
def test_an_id_token_of_a_peer_opens_no_resource(
    openid_connect: None,
    browser: Client,
    application: Any,
    make_application: Callable[..., Any],
    name: str,
) -> None:
    """It would outlive the end of the link; DOT takes ID tokens for access tokens."""
    Peer.objects.update(allowed_scope="openid playback")
    other = make_application()
    get_application_model().objects.update(algorithm="RS256")

    of_peer, of_other = (
        log_in(browser, client, "openid playback") for client in (application, other)
    )

    assert call(name, of_other["id_token"]) == 200, "as ever"
    assert call(name, of_peer["access_token"]) == 200
    assert call(name, of_peer["id_token"]) != 200


class SelfContained(OAuth2Validator):
    """A site's validator that knows tokens without a row."""

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        if token == "self-contained":
            request.user = request.client = None
            request.scopes = list(scopes or [])
            return True
        return bool(super().validate_bearer_token(token, scopes, request))


@pytest.mark.urls(__name__)
def test_a_token_that_the_sites_validator_knows_without_a_row_is_its_business(
    dot_settings: Callable[..., None],
) -> None:
    dot_settings(OAUTH2_VALIDATOR_CLASS=f"{__name__}.SelfContained")

    assert call("class", "self-contained") == 200
    assert call("class", "unknown") == 403


class NoPlaybackForMusic(SettingsScopes):
    """A scopes backend that gives each application scopes of its own."""

    def get_available_scopes(self, application: Any = None, *args: Any, **kwargs: Any) -> list[str]:
        available = list(super().get_available_scopes(application, *args, **kwargs))
        if application and application.client_id == "music-here":
            available.remove("playback")
        return available


@pytest.mark.urls(__name__)
@pytest.mark.threat("S1", "I10")
def test_the_scopes_backend_of_the_site_decides_what_a_peer_may_hold(
    dot_settings: Callable[..., None],
    token_of_a: Any,
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    assert call("scoped", token_of_a.raw) == 200
    code = reciprocal_code("profile playback")

    dot_settings(SCOPES_BACKEND_CLASS=f"{__name__}.NoPlaybackForMusic")

    assert call("scoped", token_of_a.raw) == 403
    assert redeem(code).json()["scope"] == "profile"
    link_as_a.refresh_from_db()
    assert [scope for scope, _text in scope_changes.choices(link_as_a)] == ["profile"]


@pytest.mark.threat("F25")
def test_no_thread_ever_finds_the_class_of_the_site_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[type] = []

    def store(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "OAUTH2_VALIDATOR_CLASS":
            with ThreadPoolExecutor(1) as others:
                found.append(others.submit(TokenView.get_validator_class).result())

    monkeypatch.setattr(OAuth2ProviderSettings, "__setattr__", store, raising=False)
    oauth2_settings.reload()

    found.append(TokenView.get_validator_class())
    assert len(found) > 1
    assert all(issubclass(each, ReciprocalValidatorMixin) for each in found)
