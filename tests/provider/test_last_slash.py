"""Endpoints that programs post to are there without the last slash, which many clients strip."""

from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from ..conftest import PEER_SECRET, basic, post_form

pytestmark = [pytest.mark.django_db, pytest.mark.rfc("6749", "3.2")]

ENDPOINTS = ["token", "revoke_token", "introspect", "device-authorization", "register"]


# Both answers in one second: ``Expires`` is one of the headers.
@time_machine.travel("2026-01-01T12:00:00Z", tick=False)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("append_slash", [False, True])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_post_without_the_last_slash_is_answered_as_with_it(
    settings: Settings, application: Any, endpoint: str, append_slash: bool, debug: bool
) -> None:
    settings.APPEND_SLASH, settings.DEBUG = append_slash, debug
    parameters = {"grant_type": "refresh_token", "refresh_token": "none", "token": "none"}
    headers = basic(application.client_id, PEER_SECRET)

    with_it, without = (
        post_form(Client(), parameters, headers, path)
        for path in (f"/o/{endpoint}/", f"/o/{endpoint}")
    )

    assert without.status_code == with_it.status_code
    assert without.content == with_it.content
    assert without.headers == with_it.headers


def test_a_code_is_redeemed_without_the_last_slash(
    application: Any, reciprocal_code: Any, client: Client
) -> None:
    parameters = {"grant_type": "authorization_code", "code": reciprocal_code()}
    headers = basic(application.client_id, PEER_SECRET)

    assert post_form(client, parameters, headers, "/o/token").status_code == 200


@pytest.mark.parametrize("name", ["token", "revoke-token", "introspect"])
def test_links_lead_to_the_route_with_the_slash(name: str) -> None:
    assert reverse(f"oauth2_provider:{name}").endswith("/")
