"""DOT's dynamic client registration (RFC 7591, RFC 7592) beside peers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model

from reciprocal_oauth.links import incoming_access
from reciprocal_oauth.models import InboxItem, Link, Peer

from ..conftest import basic, post_form
from .conftest import call_api

pytestmark = pytest.mark.django_db

REDIRECT_URI = "https://registered.example/callback/"
METADATA = {"client_name": "registered", "redirect_uris": [REDIRECT_URI]}


@pytest.fixture
def registered(browser: Client, dot_settings: Callable[..., None]) -> dict[str, Any]:
    """Alice has registered a client with DOT: what she was answered."""
    dot_settings(DCR_ENABLED=True)
    response = browser.post("/o/register/", METADATA, content_type="application/json")
    assert response.status_code == 201
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture
def of_peer(registered: dict[str, Any], peer: Peer) -> dict[str, Any]:
    """An administrator has made that client a peer."""
    peer.application = get_application_model().objects.get(client_id=registered["client_id"])
    # Its owner is who registered it; nothing else about the peer is new.
    Peer.objects.filter(pk=peer.pk).update(application=peer.application)
    return registered


def manage(method: str, client: dict[str, Any], **metadata: Any) -> Any:
    """Use the client configuration endpoint as RFC 7592 says."""
    return Client().generic(
        method,
        client["registration_client_uri"].removeprefix("http://testserver"),
        json.dumps({**METADATA, **metadata}) if method == "PUT" else b"",
        content_type="application/json",
        headers={"Authorization": f"Bearer {client['registration_access_token']}"},
    )


def update(application: Any, **changes: str) -> tuple[str, dict[str, str]]:
    """Where, and what, DOT's page for the owner of an application posts."""
    fields = {
        name: getattr(application, name)
        for name in ("name", "client_id", "client_secret", "client_type", "redirect_uris")
    }
    fields["authorization_grant_type"] = application.authorization_grant_type
    return f"/o/applications/{application.pk}/update/", {**fields, **changes}


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.threat("F91")
def test_a_peers_registration_is_not_changed_by_who_registered_it(of_peer: dict[str, Any]) -> None:
    moved = manage(
        "PUT",
        of_peer,
        token_endpoint_auth_method="none",
        redirect_uris=["https://elsewhere.example/"],
    )

    assert (moved.status_code, moved.json()["error"]) == (403, "access_denied")
    application = get_application_model().objects.get(client_id=of_peer["client_id"])
    assert (application.client_type, application.redirect_uris) == ("confidential", REDIRECT_URI)


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.threat("F91")
def test_a_peers_registration_is_not_deleted_by_who_registered_it(of_peer: dict[str, Any]) -> None:
    assert manage("DELETE", of_peer).status_code == 403
    assert get_application_model().objects.exists()


@pytest.mark.threat("F91")
def test_a_disabled_peers_is_not_either(of_peer: dict[str, Any]) -> None:
    Peer.objects.update(enabled=False)

    assert manage("PUT", of_peer).status_code == manage("DELETE", of_peer).status_code == 403


@pytest.mark.threat("F91")
def test_its_owner_does_not_change_it_on_a_page_either(
    of_peer: dict[str, Any], peer: Peer, browser: Client
) -> None:
    application = get_application_model().objects.get(client_id=of_peer["client_id"])
    elsewhere = update(
        application, redirect_uris="https://elsewhere.example/", client_type="public"
    )

    response = browser.post(*elsewhere)

    assert response.status_code == 409
    assert "This application was not changed" in response.content.decode()
    assert peer.name in response.content.decode()
    application.refresh_from_db()
    assert (application.client_type, application.redirect_uris) == ("confidential", REDIRECT_URI)


def test_the_owner_of_another_application_changes_it(
    registered: dict[str, Any], browser: Client
) -> None:
    application = get_application_model().objects.get(client_id=registered["client_id"])

    assert browser.post(*update(application, name="renamed")).status_code == 302
    application.refresh_from_db()
    assert application.name == "renamed"


@pytest.mark.rfc("7592", "2.1")
def test_a_peers_registration_may_be_read(of_peer: dict[str, Any]) -> None:
    answer = manage("GET", of_peer)

    assert (answer.status_code, answer.json()["redirect_uris"]) == (200, [REDIRECT_URI])


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stranger_is_not_told_that_a_client_is_a_peer(
    of_peer: dict[str, Any], method: str
) -> None:
    stranger = {**of_peer, "registration_access_token": "of-somebody-else"}

    assert manage(method, stranger).status_code == 401


def test_what_is_no_peer_is_managed_as_django_oauth_toolkit_has_it(
    registered: dict[str, Any],
) -> None:
    moved = manage("PUT", registered, redirect_uris=["https://elsewhere.example/"])
    registered["registration_access_token"] = moved.json()["registration_access_token"]

    assert moved.json()["redirect_uris"] == ["https://elsewhere.example/"]
    assert manage("DELETE", registered).status_code == 204
    assert not get_application_model().objects.exists()


# The token for all this is no access token of the person who registered the client


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("7592", "3")
@pytest.mark.threat("F91")
def test_a_registration_access_token_is_none_of_a_person_in_a_hand_over(
    of_peer: dict[str, Any],
) -> None:
    response = post_form(
        Client(),
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:reciprocal",
            "code": "code-of-the-peer",
            "client_id": of_peer["client_id"],
            "access_token": of_peer["registration_access_token"],
        },
        basic(of_peer["client_id"], of_peer["client_secret"]),
    )

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert not InboxItem.objects.exists()
    assert not Link.objects.exists()


@pytest.mark.rfc("7592", "3")
@pytest.mark.threat("F91")
@pytest.mark.parametrize("whose", ["registered", "of_peer"])
@pytest.mark.parametrize("path", ["/api/playback/", "/api/whoami/", "/api/reciprocal/links/"])
def test_a_registration_access_token_opens_nothing_of_the_person(
    settings: Any, request: Any, whose: str, path: str
) -> None:
    settings.ROOT_URLCONF = "tests.api.urls" if "reciprocal" in path else settings.ROOT_URLCONF
    token = request.getfixturevalue(whose)["registration_access_token"]

    assert call_api(token, path).status_code == (403 if "whoami" in path else 401)


@pytest.mark.rfc("7662", "2.2")
@pytest.mark.threat("F91")
def test_a_registration_access_token_is_not_active_for_resource_servers(
    registered: dict[str, Any], make_application: Callable[..., Any]
) -> None:
    make_application("resource-server")
    response = post_form(
        Client(),
        {"token": registered["registration_access_token"]},
        basic("resource-server", "secret-of-the-peer-here"),
        "/o/introspect/",
    )

    assert response.json() == {"active": False}


@pytest.mark.threat("F91")
def test_a_registration_access_token_keeps_no_link_alive_and_does_not_go_with_one(
    of_peer: dict[str, Any], peer: Peer, link_as_a: Link
) -> None:
    link_as_a.peer = Peer.objects.get()

    assert not incoming_access.has_live_tokens(link_as_a)
    incoming_access.revoke_incoming(link_as_a)
    assert get_access_token_model().objects.count() == 1
