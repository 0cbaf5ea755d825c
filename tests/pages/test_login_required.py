"""A site with LoginRequiredMiddleware: pages need a login, endpoints for peers do not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model
from pytest_django import Settings

from reciprocal_oauth.models import InboxItem, Link, Peer

from ..conftest import basic, post_form
from ..fakes import FakePeer
from ..party_a.visits import begin, link_both_ways
from ..provider.postbox import DIALECTS

pytestmark = pytest.mark.threat("W6")


@pytest.fixture(autouse=True)
def _login_required(settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]


@pytest.mark.parametrize(
    "page", ["", "links/{0.pk}/", "links/{0.pk}/consent/", "links/{0.pk}/disconnect/"]
)
def test_the_pages_are_closed(client: Client, link_as_a: Link, page: str) -> None:
    path = "/connections/" + page.format(link_as_a)

    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


def test_connecting_is_closed_and_leads_on_to_a_page_that_is_served(
    client: Client, user: Any, peer: Peer
) -> None:
    response = client.post("/connections/music/connect/")

    address = response["Location"]
    assert address.startswith("/accounts/login/?next=")
    assert address.endswith("/connections/")


def test_the_callback_says_what_to_do_and_does_not_carry_the_code_to_the_login_page(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    response = begin(browser).come_back(browser=Client())

    assert response.status_code == 400
    assert "start again" in response.content.decode()
    assert "/connections/" in response.content.decode()
    assert fake_peer.requests == []


def test_the_token_endpoint_answers_peers(client: Client, application: Any) -> None:
    response = post_form(
        client,
        {"grant_type": "authorization_code", "code": "none"},
        basic(application.client_id, "wrong"),
        "/o/token/",
    )

    assert response.status_code == 401
    assert response["Content-Type"].startswith("application/json")


def test_a_hand_over_is_taken(hand_over: Callable[..., Any], token_of_a: Any) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert InboxItem.objects.count() == 1


def test_the_address_of_a_peer_alone_is_open(
    client: Client, settings: Settings, peer: Peer
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}
    Peer.objects.update(dialect="postbox")

    response = client.post("/connections/handover/music/", {}, "application/json")

    assert (response.status_code, response.json()) == (400, {"cause": "SHAPE"})


def test_the_whole_flow_works_for_who_is_signed_in(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)

    assert Link.objects.get().is_two_way
    assert get_access_token_model().objects.count() == 1


def test_the_metadata_is_open(client: Client, db: None) -> None:
    response = client.get("/.well-known/oauth-authorization-server")

    assert response.status_code == 200
    assert "urn:ietf:params:oauth:grant-type:reciprocal" in response.json()["grant_types_supported"]
