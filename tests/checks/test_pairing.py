"""The checks of what a site needs to pair with another one."""

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from reciprocal_oauth.checks import Id

ISSUER = "https://testserver/o"


@pytest.fixture(autouse=True)
def _site(settings: Settings) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ISSUER}


def found(check: Id, *, deploy: bool = False) -> list[CheckMessage]:
    return [each for each in run_checks(include_deployment_checks=deploy) if each.id == check]


def change(settings: Settings, **values: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, **values}


def test_a_site_with_an_issuer_and_all_urls_can_pair() -> None:
    assert found(Id.CANNOT_PAIR) == []


def test_an_issuer_without_tls_is_named(settings: Settings) -> None:
    change(settings, HTTP_ALLOW_LOOPBACK=False)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": "http://testserver/o",
    }

    (message,) = found(Id.CANNOT_PAIR)

    assert "does not begin with https://" in message.msg


def test_pages_at_another_address_than_the_issuer_are_named(settings: Settings) -> None:
    change(settings, BASE_URL="https://www.example")

    (message,) = found(Id.CANNOT_PAIR)

    assert "BASE_URL" in message.msg


def test_missing_urls_are_named(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls_of_admin_only"

    (message,) = found(Id.CANNOT_PAIR)

    assert "reciprocal_oauth.urls" in message.msg


def test_a_site_that_does_not_pair_needs_none_of_it(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls_of_admin_only"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    change(settings, ACCEPT_PAIRINGS=False)

    assert found(Id.CANNOT_PAIR) == []


def test_an_invitation_is_valid_for_a_week_at_most(settings: Settings) -> None:
    change(settings, PAIRING_LIFETIME_SECONDS=7 * 24 * 3600)
    assert found(Id.WRONG_VALUE) == []

    change(settings, PAIRING_LIFETIME_SECONDS=7 * 24 * 3600 + 1)
    (message,) = found(Id.WRONG_VALUE)

    assert "604800" in message.msg


@pytest.mark.rfc("7591", "5")
def test_registration_for_anybody_is_named(settings: Settings) -> None:
    classes = ("oauth2_provider.dcr.AllowAllDCRPermission",)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": classes,
    }

    assert found(Id.OPEN_REGISTRATION) == []
    (message,) = found(Id.OPEN_REGISTRATION, deploy=True)

    assert "without a token" in message.msg


def test_registration_with_a_token_is_not_named(settings: Settings) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DCR_ENABLED": True}

    assert found(Id.OPEN_REGISTRATION, deploy=True) == []
