"""The page that an invitation leads to when somebody opens it in a browser."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

pytestmark = pytest.mark.django_db


def test_it_says_what_to_do_and_needs_no_login(client: Client, settings: Settings) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": "https://site.example/o",
    }

    response = client.get(reverse("reciprocal_oauth:pair"))

    assert response.status_code == 200
    page = response.content.decode()
    assert "site.example" in page
    assert "Copy the whole address" in page
    assert "reciprocal_pair accept NAME -" in page


def test_no_part_of_its_address_goes_to_other_sites(client: Client) -> None:
    response = client.get(reverse("reciprocal_oauth:pair"))

    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert "<script" not in response.content.decode()


def test_a_site_where_all_pages_need_a_login_shows_it(client: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    assert client.get(reverse("reciprocal_oauth:pair")).status_code == 200
