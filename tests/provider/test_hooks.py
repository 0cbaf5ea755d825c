"""A release of django-oauth-toolkit that has changed inside does not open anything."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import transaction
from django.test import Client
from oauth2_provider import urls as dot_urls
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import IntrospectTokenView

from reciprocal_oauth.checks.ids import Id
from reciprocal_oauth.models import Link, ReciprocalCode
from reciprocal_oauth.provider import hooks
from reciprocal_oauth.provider.token_view import TokenView

from .authorization import allow, code_in, exchange
from .conftest import forget_servers

pytestmark = [pytest.mark.django_db, pytest.mark.threat("F92")]

LIVE = ReciprocalCode.State.LIVE


@pytest.fixture
def saved_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOT saves tokens by a method of another name."""
    inner = OAuth2Validator._save_bearer_token

    def save_bearer_token(self: Any, token: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            return inner(self, token, request, *args, **kwargs)

    monkeypatch.setattr(OAuth2Validator, "save_bearer_token", save_bearer_token)


def unreached() -> list[str]:
    return [each.msg for each in run_checks() if each.id == Id.UNREACHED]


def test_the_installed_release_calls_all_that_is_relied_on() -> None:
    assert unreached() == []


@pytest.mark.rfc("6749", "4.1.2")
def test_a_redemption_past_our_rules_is_refused_and_leaves_no_token(
    saved_elsewhere: None,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    link_as_a: Link,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = redeem(reciprocal_code("playback"))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.exists()
    assert ReciprocalCode.objects.get().state == LIVE
    assert "were not issued" in caplog.text


def test_no_other_token_of_a_peer_comes_past_them_either(
    saved_elsewhere: None, browser: Client, application: Any, token_of_a: Any, refresh: Any
) -> None:
    tokens = get_access_token_model().objects.count()

    assert exchange(application, code_in(allow(browser, application))).status_code == 400
    assert refresh(token_of_a.raw_refresh).status_code == 400
    assert get_access_token_model().objects.count() == tokens


def test_a_redemption_that_was_not_completed_is_refused(
    monkeypatch: pytest.MonkeyPatch, reciprocal_code: Callable[..., str], redeem: Any
) -> None:
    monkeypatch.setattr("reciprocal_oauth.party_a.redemption.complete", lambda *given: None)

    assert redeem(reciprocal_code()).status_code == 400
    assert not get_access_token_model().objects.exists()
    assert ReciprocalCode.objects.get().state == LIVE


# Said at start


@pytest.mark.parametrize("caller", ["save_bearer_token", "authenticate_client"])
def test_a_method_that_is_no_longer_called_is_an_error(
    monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    monkeypatch.setattr(OAuth2Validator, caller, lambda *args, **kwargs: None)

    assert any("OAuth2Validator._" in message for message in unreached())


def test_a_method_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(OAuth2Validator, "_check_secret")

    assert any("OAuth2Validator._check_secret" in message for message in unreached())


def test_a_view_that_no_longer_calls_its_part_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("get", "post"):
        monkeypatch.setattr(IntrospectTokenView, method, lambda *args, **kwargs: None)

    assert any("IntrospectTokenView.get_token_response" in message for message in unreached())


def test_a_view_that_has_no_route_any_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [each for each in dot_urls.urlpatterns if each.name != "introspect"]
    monkeypatch.setattr(dot_urls, "urlpatterns", kept)

    assert any("IntrospectTokenView by a route" in message for message in unreached())


def test_a_process_that_runs_no_checks_says_it_in_its_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "uncalled_hooks", lambda: ["OAuth2Validator._check_secret"])
    forget_servers()

    Client().post("/o/token/")

    assert [r.levelno for r in caplog.records if "_check_secret" in r.message] == [logging.CRITICAL]
    assert TokenView._oauthlib_core
