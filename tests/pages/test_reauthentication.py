"""Asking for the password again before a link is made (the setting ``REAUTHENTICATE``)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import Client
from oauth2_provider.models import get_grant_model
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Peer

pytestmark = pytest.mark.django_db


def reauthenticate(request: HttpRequest, next_url: str) -> HttpResponse | None:
    """The function of the site: it asks until the session says that the person has answered."""
    if request.session.get("answered"):
        return None
    return HttpResponseRedirect(f"/password/?{urlencode({'next': next_url})}")


@pytest.fixture(autouse=True)
def site_asks(settings: Settings) -> None:
    path = f"{__name__}.{reauthenticate.__name__}"
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "REAUTHENTICATE": path}


@pytest.fixture
def answer(browser: Client) -> Callable[[], None]:
    def give() -> None:
        session = browser.session
        session["answered"] = True
        session.save()

    return give


def test_connect_asks_first_and_goes_on_afterwards(
    browser: Client, peer: Peer, answer: Callable[[], None]
) -> None:
    asked = browser.post(f"/connections/{peer.slug}/connect/")

    assert asked["Location"] == "/password/?next=%2Fconnections%2F"
    assert not AuthorizationRequest.objects.exists()

    answer()
    assert browser.post(f"/connections/{peer.slug}/connect/").status_code == 303
    assert AuthorizationRequest.objects.exists()


class TestAtTheAuthorizationPage:
    @pytest.fixture
    def query(self, application: Any) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": application.client_id,
            "redirect_uri": application.redirect_uris.split()[0],
            "scope": "playback",
            "state": "s",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }

    def test_a_person_whom_a_peer_has_sent_is_asked(
        self, browser: Client, query: dict[str, str], answer: Callable[[], None]
    ) -> None:
        asked = browser.get("/o/authorize/", query)

        assert asked["Location"].startswith("/password/?next=%2Fo%2Fauthorize%2F%3F")
        answer()
        assert browser.get("/o/authorize/", query).status_code == 200

    def test_the_form_is_no_way_around_the_question(
        self, browser: Client, query: dict[str, str]
    ) -> None:
        response = browser.post("/o/authorize/", {**query, "allow": "Authorize"})

        assert response["Location"].startswith("/password/?next=")
        assert not get_grant_model().objects.exists()

    def test_other_applications_are_left_alone(
        self, browser: Client, query: dict[str, str]
    ) -> None:
        Peer.objects.all().delete()

        assert browser.get("/o/authorize/", query).status_code == 200

    def test_nobody_is_signed_in_the_login_page_comes_first(
        self, client: Client, query: dict[str, str]
    ) -> None:
        assert "/login/" in client.get("/o/authorize/", query)["Location"]
