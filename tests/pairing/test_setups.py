"""A pairing does not depend on how the site is set up."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import sending

from ..fakes import Received, Reply
from .other_site import METADATA, REGISTER, OtherSite, register

pytestmark = pytest.mark.django_db(transaction=True)

State = Pairing.State


@pytest.fixture(params=["ATOMIC_REQUESTS", "LoginRequiredMiddleware", "DCR", "CSRF checks"])
def setup(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> str:
    name: str = request.param
    if name == "ATOMIC_REQUESTS":
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    elif name == "LoginRequiredMiddleware":
        middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    elif name == "DCR":
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DCR_ENABLED": True}
    return name


@pytest.mark.usefixtures("setup")
def test_a_site_can_be_invited_and_reads_its_registration(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    client = Client(enforce_csrf_checks=True)

    refused = register(code, {}, client)
    answer = register(code, other.registration(), client)
    sending.send(pairing)
    path = answer.json()["registration_client_uri"].removeprefix("https://testserver")
    token = answer.json()["registration_access_token"]
    read = client.get(path, headers={"Authorization": f"Bearer {token}"})

    assert (refused.status_code, answer.status_code, read.status_code) == (400, 201, 200)
    assert read.json()["reciprocal_state"] == "complete"
    assert not client.cookies


@pytest.mark.usefixtures("setup")
def test_a_site_that_invites_registers_here(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = register(reverse_token, other.registration(), client)

    assert answer.json()["reciprocal_state"] == "complete"
    assert Peer.objects.get().application.client_id == answer.json()["client_id"]


@pytest.mark.rfc("8414", "2")
@pytest.mark.parametrize("is_on", [False, True])
def test_dynamic_registration_of_dot_stays_apart(
    invited: tuple[Pairing, str], other: OtherSite, settings: Settings, is_on: bool
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DCR_ENABLED": is_on}
    client = Client()

    metadata = client.get(METADATA, secure=True).json()
    at_dot = client.post(
        "/o/register/",
        other.registration(),
        content_type="application/json",
        headers={"Authorization": f"Bearer {invited[1]}"},
    )

    assert metadata.get("registration_endpoint", "").endswith("/o/register/") == is_on
    assert metadata["reciprocal_registration_endpoint"] == f"https://testserver{REGISTER}"
    assert at_dot.status_code in (401, 403, 404)
    assert not get_application_model().objects.exists()
    assert register(invited[1], other.registration()).status_code == 201


@pytest.mark.parametrize("words", ["accepter draft", "inviter confirmed"])
def test_a_site_that_hangs_holds_nobody_up_for_ever(
    in_state: Callable[[str], tuple[Pairing, Any]],
    other: OtherSite,
    settings: Settings,
    words: str,
) -> None:
    pairing, _token = in_state(words)
    state = pairing.state
    over = threading.Event()

    def hang(received: Received) -> Reply:
        over.wait(20)
        return Reply.json(201, **other.answer)

    other.answers[REGISTER] = hang
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_TOTAL_TIMEOUT_SECONDS": 0.3}
    try:
        sending.send(pairing)
    finally:
        over.set()

    assert (pairing.state, bool(pairing.last_error)) == (state, True)
    assert pairing.lease_until is None
