"""The address at which peers read the public keys of this site."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from reciprocal_oauth import oauth2_urls
from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.models import SiteKey

pytestmark = pytest.mark.django_db

PATH = "/o/reciprocal/jwks.json"


def test_the_route_is_in_the_namespace_of_the_provider() -> None:
    assert reverse("oauth2_provider:reciprocal-jwks") == PATH
    assert "reciprocal-jwks" in [route.name for route in oauth2_urls.reciprocal_urlpatterns]


@pytest.mark.rfc("7517", "5")
@pytest.mark.threat("JC4")
def test_everybody_reads_the_public_parts_and_nothing_else(client: Client) -> None:
    key = site_keys.signing_key()

    response = client.get(PATH)

    (published,) = response.json()["keys"]
    assert published == {
        "x": published["x"],
        "y": published["y"],
        "kty": "EC",
        "crv": "P-256",
        "kid": key.kid,
        "alg": "ES256",
        "use": "sig",
    }
    assert response["Cache-Control"] == "max-age=3600, public"
    assert response["Content-Type"] == "application/json"
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")


@pytest.mark.threat("JC4")
def test_a_request_makes_no_key(client: Client) -> None:
    assert client.get(PATH).json() == {"keys": []}
    assert not SiteKey.objects.exists()


def test_no_login_is_needed(client: Client, settings: Any) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    assert client.get(PATH).status_code == 200


def test_the_head_alone(client: Client) -> None:
    response = client.head(PATH)

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    response = getattr(client, method)(PATH)

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
