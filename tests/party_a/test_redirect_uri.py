"""Steps (A) and (C): one redirect URI for each peer, by whatever way the visitor came."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from django.urls import set_script_prefix
from django.utils import translation
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer

from ..fakes import FakePeer
from .visits import CODE_OF_B, begin

pytestmark = [pytest.mark.django_db, pytest.mark.threat("L102")]

REDIRECT_URI = "https://site.example/connections/music/callback/"


@pytest.fixture
def site(settings: Settings) -> Settings:
    """A site that says where it is."""
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "BASE_URL": "https://site.example"}
    settings.ALLOWED_HOSTS = ["*"]
    return settings


@pytest.fixture
def in_languages(site: Settings) -> Iterator[None]:
    """Its addresses begin with a language."""
    site.ROOT_URLCONF = "tests.urls_in_languages"
    site.MIDDLEWARE = [*site.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    yield
    translation.activate("en")


def redirect_uri_of(browser: Client, **how: Any) -> str:
    """What the authorization request of this visitor names."""
    path = how.pop("path", "/connections/music/connect/")
    response = browser.post(path, **how)
    assert response.status_code == 303, response.content
    (uri,) = parse_qs(urlsplit(response["Location"]).query)["redirect_uri"]
    return uri


WAYS: dict[str, dict[str, Any]] = {
    "plainly": {},
    "www": {"headers": {"Host": "www.site.example"}},
    "another host": {"headers": {"Host": "evil.example"}},
    "a port": {"headers": {"Host": "site.example:8443"}},
    "https": {"secure": True},
    "a proxy that ends TLS": {"headers": {"Host": "10.0.0.7:8000", "X-Forwarded-Proto": "https"}},
    "a proxy that names the host": {"headers": {"X-Forwarded-Host": "evil.example"}},
}


@pytest.mark.rfc("6749", "3.1.2.3")
@pytest.mark.rfc("9700", "2.1")
@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_same_by_whatever_host_and_scheme_a_person_came(
    browser: Client, peer: Peer, site: Settings, way: str
) -> None:
    site.USE_X_FORWARDED_HOST = True

    assert redirect_uri_of(browser, **WAYS[way]) == REDIRECT_URI


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_it_is_the_same_in_whatever_language_a_person_reads(
    browser: Client, peer: Peer, in_languages: None, language: str
) -> None:
    path = f"/{language}/connections/music/connect/"

    uri = redirect_uri_of(browser, path=path)

    assert uri == "https://site.example/en/connections/music/callback/"


def test_who_comes_back_goes_on_in_the_language_of_the_beginning(
    browser: Client, peer: Peer, in_languages: None
) -> None:
    answer = browser.post("/de/connections/music/connect/")
    query = parse_qs(urlsplit(answer["Location"]).query)

    back = browser.get(
        urlsplit(query["redirect_uri"][0]).path, {"code": CODE_OF_B, "state": query["state"][0]}
    )

    assert back["Location"] == f"/de/connections/links/{Link.objects.get().pk}/consent/"
    problem = browser.post("/ar/connections/music/connect/")
    state = parse_qs(urlsplit(problem["Location"]).query)["state"][0]
    back = browser.get(
        "/en/connections/music/callback/", {"error": "access_denied", "state": state}
    )
    assert back["Location"].startswith("/ar/connections/?attempt=")


@pytest.mark.rfc("6749", "4.1.3")
def test_the_token_request_names_the_one_of_the_authorization_request(
    browser: Client, peer: Peer, fake_peer: FakePeer, site: Settings
) -> None:
    visit = begin(browser)
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "BASE_URL": "https://moved.example"}
    visit.come_back()

    assert visit.asked["redirect_uri"] == REDIRECT_URI
    assert fake_peer.to("/token/")[0].form["redirect_uri"] == REDIRECT_URI


@pytest.mark.parametrize(
    ("issuer", "base"),
    [
        ("https://id.example/o", "https://id.example"),
        ("https://id.example/o/", "https://id.example"),
        ("https://id.example", "https://id.example"),
        ("https://id.example:8443/app/o", "https://id.example:8443/app"),
        ("https://id.example/tenant", "https://id.example"),
    ],
)
def test_by_default_the_issuer_tells_where_the_site_is(
    browser: Client, peer: Peer, settings: Settings, issuer: str, base: str
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": issuer}

    assert redirect_uri_of(browser) == f"{base}/connections/music/callback/"


def test_where_nothing_tells_it_is_the_host_by_which_the_person_came(
    browser: Client, peer: Peer
) -> None:
    assert redirect_uri_of(browser) == "http://testserver/connections/music/callback/"


@pytest.mark.parametrize("base", ["https://site.example/app", "https://site.example/app/"])
def test_a_site_below_a_path_has_it_once(
    browser: Client, peer: Peer, site: Settings, base: str
) -> None:
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "BASE_URL": base}
    try:
        uri = redirect_uri_of(browser, SCRIPT_NAME="/app")
    finally:
        set_script_prefix("/")

    assert uri == "https://site.example/app/connections/music/callback/"
    assert redirect_uri_of(browser) == uri


# Whoever tells it to the other site


def test_pages_sheet_and_command_name_the_same_one(
    browser: Client, admin_client: Client, peer: Peer, site: Settings, capsys: Any
) -> None:
    sheet = admin_client.get(
        f"/admin/reciprocal_oauth/peer/{peer.pk}/sheet/", headers={"Host": "evil.example"}
    ).content.decode()
    form = admin_client.get(
        "/admin/reciprocal_oauth/peer/add/?dialect=ietf&by=hand", headers={"Host": "evil.example"}
    ).content.decode()
    call_command("reciprocal_peer", "show", "music", "--json")
    told = json.loads(capsys.readouterr().out)["give_to_peer"]

    assert redirect_uri_of(browser) == REDIRECT_URI == told["redirect_uri"]
    assert f">{REDIRECT_URI}</code>" in sheet
    assert "https://site.example/connections/SHORT-NAME/callback/" in form
    assert "evil.example" not in sheet + form
    assert told["issuer"] == "https://site.example/o"
    assert told["token_endpoint"] == "https://site.example/o/token/"
    call_command("reciprocal_peer", "show", "music")
    text = capsys.readouterr().out
    assert REDIRECT_URI in text
    assert "paths" not in text


def test_the_command_may_be_told_another_place(peer: Peer, site: Settings, capsys: Any) -> None:
    call_command("reciprocal_peer", "show", "music", "--json", "--base-url=https://next.example")

    told = json.loads(capsys.readouterr().out)["give_to_peer"]
    assert told["redirect_uri"] == "https://next.example/connections/music/callback/"


# One site under several hosts


@pytest.mark.parametrize(
    ("origin", "shared", "begins"),
    [
        ("https://site.example", None, True),
        ("http://site.example:8000", None, True),
        ("null", None, True),
        ("https://www.site.example", ".site.example", True),
        ("https://www.site.example", "site.example", True),
        ("https://www.site.example", None, False),
        ("https://other.example", "site.example", False),
        ("https://notsite.example", "site.example", False),
    ],
)
def test_who_begins_where_the_session_cannot_come_back_is_led_to_the_site_first(
    browser: Client,
    peer: Peer,
    site: Settings,
    origin: str,
    shared: str | None,
    begins: bool,
) -> None:
    site.SESSION_COOKIE_DOMAIN = shared
    # Behind a proxy, the host that Django sees need not be that in the browser's address bar.
    headers = {"Host": "10.0.0.7:8000", "Origin": origin}

    response = browser.post("/connections/music/connect/", headers=headers)

    assert response.status_code == 303
    if begins:
        assert response["Location"].startswith(peer.authorization_endpoint)
    else:
        assert response["Location"] == "https://site.example/connections/"
        assert not [name for name in browser.cookies if name.startswith("reciprocal_visit")]


def test_a_site_that_does_not_say_where_it_is_begins_by_every_host(
    browser: Client, peer: Peer
) -> None:
    headers = {"Origin": "http://localhost", "Host": "localhost"}

    assert redirect_uri_of(browser, headers=headers).startswith("http://localhost/")
    assert not django_settings.OAUTH2_PROVIDER.get("OIDC_ISS_ENDPOINT")
