"""System checks of the API."""

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from reciprocal_oauth.checks.ids import Id
from reciprocal_oauth.compat import SettingsScopes

from ..api.conftest import site

__all__ = ["site"]


class OwnScopes(SettingsScopes):
    pass


class ScopesOfADatabase:
    """Derived from nothing of django-oauth-toolkit's, and not to be asked here."""


@pytest.fixture(autouse=True)
def without_the_rest(site: Settings) -> None:
    site.RECIPROCAL_OAUTH = {}


def found() -> list[CheckMessage]:
    messages = run_checks(databases=[])
    ids = (Id.API_SCOPES, Id.API_RETURN_TO, Id.API_WITHOUT_PAGES)
    return [each for each in messages if each.id in ids]


def test_a_sound_site() -> None:
    assert found() == []


@pytest.mark.parametrize("backend", [None, OwnScopes])
def test_scopes_that_the_site_does_not_have(site: Settings, backend: Any) -> None:
    provider = {**site.OAUTH2_PROVIDER, "SCOPES": {"profile": "See your name"}}
    if backend:
        provider["SCOPES_BACKEND_CLASS"] = backend
    site.OAUTH2_PROVIDER = provider

    read, write = found()

    assert (read.id, write.id) == (Id.API_SCOPES, Id.API_SCOPES)
    assert "API_READ_SCOPE" in read.msg
    assert "reciprocal:read" in read.msg
    assert 'OAUTH2_PROVIDER["SCOPES"]' in str(write.hint)
    assert 'RECIPROCAL_OAUTH["API_WRITE_SCOPE"] = ""' in str(write.hint)


def test_a_site_that_takes_no_tokens_needs_no_scopes(site: Settings) -> None:
    site.OAUTH2_PROVIDER = {"SCOPES": {"profile": "See your name"}}
    site.RECIPROCAL_OAUTH = {"API_READ_SCOPE": "", "API_WRITE_SCOPE": ""}

    assert found() == []


def test_a_site_without_the_api_needs_no_scopes(site: Settings) -> None:
    site.ROOT_URLCONF = "tests.urls"
    site.OAUTH2_PROVIDER = {"SCOPES": {"profile": "See your name"}}

    assert found() == []


def test_without_the_pages_a_visit_to_a_peer_cannot_come_back(site: Settings) -> None:
    site.ROOT_URLCONF = "tests.api.urls_without_pages"

    (message,) = found()

    assert message.id == Id.API_WITHOUT_PAGES
    assert 'include("reciprocal_oauth.urls")' in str(message.hint)


def test_a_backend_that_may_ask_the_database_is_left_alone(site: Settings) -> None:
    site.OAUTH2_PROVIDER = {"SCOPES": {}, "SCOPES_BACKEND_CLASS": ScopesOfADatabase}

    assert found() == []


@pytest.mark.parametrize(
    "entry",
    [
        "https://app.example",
        "https://app.example:8443",
        "https://app.example/done?from=site",
        "http://localhost:3000",
        "http://127.0.0.1/done",
        "http://[::1]:3000",
        "com.example.app:/done",
        "com.example-2.app+x://done?from=site",
    ],
)
def test_places_to_return_to(site: Settings, entry: str) -> None:
    site.RECIPROCAL_OAUTH = {"API_RETURN_TO": [entry]}

    assert found() == []


@pytest.mark.threat("A6")
@pytest.mark.parametrize(
    "entry",
    [
        "app.example",
        "*",
        "https://",
        "https://*.app.example/#",
        "http://app.example",
        "https://App.example",
        "HTTPS://app.example",
        "https://user@app.example",
        "https://app.example/#done",
        "https://app.example:port",
        "https://app.example:0",
        "https://[::1",
        "com.example.app:done",
        "com.example.app:",
        "com.example.App:/done",
        "com.example.app:/done#part",
        ".example:/done",
        "example.:/done",
        "9.example:/done",
        "app:/done",
        "data:/done",
        "intent:/done",
        "javascript:alert(1)",
        "/connections/",
        "//app.example",
        "https://app.example\\",
        " https://app.example",
        "",
    ],
)
def test_a_place_that_is_none(site: Settings, entry: str) -> None:
    site.RECIPROCAL_OAUTH = {"API_RETURN_TO": [entry, "https://app.example"]}

    (message,) = found()

    assert message.id == Id.API_RETURN_TO
    assert repr(entry) in message.msg


@pytest.mark.parametrize("value", ["https://app.example", 3, [1], None])
def test_what_is_no_list_is_said_by_the_check_of_the_settings(site: Settings, value: Any) -> None:
    site.RECIPROCAL_OAUTH = {"API_RETURN_TO": value}

    assert found() == []
    assert Id.WRONG_VALUE in [each.id for each in run_checks(databases=[])]
