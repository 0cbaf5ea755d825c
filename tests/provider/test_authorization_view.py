"""The authorization endpoint, where peers send their people."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.test import Client
from django.urls import NoReverseMatch, include, path, reverse
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
)
from oauth2_provider.views import AuthorizationView as DOTAuthorizationView
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer

from ..conftest import PEER_SECRET, basic, post_form
from .authorization import address, allow, ask, code_in, error_in, exchange, log_in

pytestmark = pytest.mark.django_db

#: A site that has kept the authorization view of django-oauth-toolkit.
urlpatterns = [
    path("o/authorize/", DOTAuthorizationView.as_view()),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
]


@pytest.mark.rfc("6749", "4.1.2.1")
def test_nobody_is_asked_to_consent_to_a_disabled_peer(browser: Client, application: Any) -> None:
    Peer.objects.update(enabled=False)

    response = ask(browser, application)

    assert error_in(response["Location"]) == "unauthorized_client"
    assert not get_grant_model().objects.exists()


Silently = Callable[[Any, Callable[..., None]], dict[str, str]]


def by_the_clients_parameter(application: Any, dot_settings: Any) -> dict[str, str]:
    return {"approval_prompt": "auto"}


def by_the_sites_setting(application: Any, dot_settings: Callable[..., None]) -> dict[str, str]:
    dot_settings(REQUEST_APPROVAL_PROMPT="auto")
    return {}


def by_the_sites_trust(application: Any, dot_settings: Any) -> dict[str, str]:
    get_application_model().objects.update(skip_authorization=True)
    return {}


SILENTLY = [by_the_clients_parameter, by_the_sites_setting, by_the_sites_trust]


@pytest.mark.rfc("6749", "10.2")
@pytest.mark.threat("L16", "F10")
@pytest.mark.parametrize("silently", SILENTLY)
def test_the_person_is_asked_though_the_peer_holds_a_token_for_the_same_scopes(
    browser: Client,
    application: Any,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    dot_settings: Callable[..., None],
    silently: Silently,
) -> None:
    assert redeem(reciprocal_code("playback")).status_code == 200
    more = silently(application, dot_settings)

    page = ask(browser, application, "playback", **more)

    assert page.status_code == 200
    assert "Control what is playing" in page.content.decode()
    assert not get_grant_model().objects.exists()
    assert get_access_token_model().objects.count() == Link.objects.count() == 1


@pytest.mark.threat("L16", "F10")
@pytest.mark.parametrize("silently", SILENTLY)
def test_the_answer_to_the_question_that_was_not_skipped_counts(
    browser: Client, application: Any, dot_settings: Callable[..., None], silently: Silently
) -> None:
    log_in(browser, application)
    more = silently(application, dot_settings)

    location = allow(browser, application, "playback", **more)

    assert exchange(application, code_in(location)).json()["scope"] == "playback"


@pytest.mark.rfc("6749", "4.2.2")
@pytest.mark.threat("L16", "F10")
@pytest.mark.parametrize("silently", SILENTLY)
def test_nor_does_an_implicit_grant_give_a_token_to_who_was_not_asked(
    browser: Client, application: Any, dot_settings: Callable[..., None], silently: Silently
) -> None:
    log_in(browser, application)
    get_application_model().objects.update(authorization_grant_type="implicit")
    more = silently(application, dot_settings)

    page = ask(browser, application, "playback", response_type="token", **more)

    assert page.status_code == 200
    assert get_access_token_model().objects.count() == 1


@pytest.mark.threat("L16")
def test_a_head_request_is_no_answer_either(browser: Client, application: Any) -> None:
    log_in(browser, application)

    browser.head(address(application, approval_prompt="auto"))

    assert not get_grant_model().objects.exists()


@pytest.mark.threat("L16", "F10")
def test_a_view_of_the_site_that_leaves_the_question_out_gets_nothing_for_a_peer(
    browser: Client, application: Any, settings: Settings
) -> None:
    settings.ROOT_URLCONF = __name__
    log_in(browser, application)

    for response_type, grant in [("code", "authorization-code"), ("token", "implicit")]:
        get_application_model().objects.update(authorization_grant_type=grant)
        response = browser.get(
            address(application, response_type=response_type, approval_prompt="auto")
        )
        assert error_in(response["Location"]) == "consent_required"
    assert not get_grant_model().objects.exists()
    assert get_access_token_model().objects.count() == 1


@pytest.mark.rfc("9126", "4")
@pytest.mark.threat("L16", "F10")
def test_nor_does_a_request_that_was_pushed_before_skip_it(
    browser: Client, application: Any
) -> None:
    try:
        par = reverse("oauth2_provider:pushed-authorization-request")
    except NoReverseMatch:
        pytest.skip("This release of django-oauth-toolkit takes no pushed requests.")
    log_in(browser, application)
    parameters = dict(parse_qsl(urlsplit(address(application, approval_prompt="auto")).query))
    headers = basic(application.client_id, PEER_SECRET)
    pushed = post_form(Client(), parameters, headers, par).json()

    page = browser.get(
        "/o/authorize/",
        {"client_id": application.client_id, "request_uri": pushed["request_uri"]},
    )

    assert page.status_code == 200
    assert "Control what is playing" in page.content.decode()
    assert not get_grant_model().objects.exists()


def test_a_template_of_the_site_can_show_what_the_peer_says_of_itself(
    browser: Client, application: Any, make_application: Callable[..., Any]
) -> None:
    assert ask(browser, application).context["peer"] == application.reciprocal_peer
    assert ask(browser, make_application("other")).context["peer"] is None


@pytest.mark.threat("L16")
def test_openid_without_a_question_is_told_that_consent_is_required(
    openid_connect: None, browser: Client, application: Any
) -> None:
    """OpenID Connect Core 1.0, section 3.1.2.6."""
    Peer.objects.update(allowed_scope="openid playback")
    get_application_model().objects.update(algorithm="RS256")
    log_in(browser, application, "openid playback")

    for more in ({}, {"approval_prompt": "auto"}):
        response = ask(browser, application, "openid playback", prompt="none", **more)
        assert error_in(response["Location"]) == "consent_required"
    assert not get_grant_model().objects.exists()


@pytest.mark.threat("L16")
def test_other_clients_may_skip_the_question_as_ever(
    browser: Client, peer: Peer, make_application: Callable[..., Any]
) -> None:
    application = make_application()
    log_in(browser, application)

    response = ask(browser, application, approval_prompt="auto")

    assert exchange(application, code_in(response["Location"])).status_code == 200


def test_people_log_in_first(client: Client, application: Any) -> None:
    response = ask(client, application)

    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_consent_tells_what_the_peer_may_do_in_words(browser: Client, application: Any) -> None:
    page = ask(browser, application, scope="playback").content.decode()

    assert "Control what is playing" in page
    assert "See what you have listened to" not in page


def test_consent_says_of_a_scope_without_words_whose_name_it_is(
    browser: Client, application: Any, settings: Settings
) -> None:
    words = {**settings.OAUTH2_PROVIDER["SCOPES"], "playback": ""}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": words}

    page = ask(browser, application, scope="playback").content.decode()

    assert "<li>Access that this site calls “playback”</li>" in page


@pytest.mark.rfc("6749", "4.1")
def test_a_login_of_somebody_else_in_the_same_browser_gets_a_link_of_its_own(
    client: Client, application: Any, user: Any, other_user: Any
) -> None:
    client.force_login(user)
    log_in(client, application)
    client.force_login(other_user)
    log_in(client, application)

    assert set(Link.objects.values_list("user", flat=True)) == {user.pk, other_user.pk}


# Protection, also where the site's middleware has none


@pytest.fixture
def no_middleware(settings: Settings) -> None:
    unwanted = ("Csrf", "XFrame")
    settings.MIDDLEWARE = [m for m in settings.MIDDLEWARE if not any(u in m for u in unwanted)]


@pytest.mark.rfc("6749", "10.12")
@pytest.mark.threat("W2", "W5", "L31")
def test_the_question_takes_no_form_of_another_site(
    no_middleware: None, user: Any, application: Any
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v} | {"allow": "Authorize"}

    foreign = browser.post("/o/authorize/", fields, headers={"Origin": "https://evil.example"})
    own = browser.post(
        "/o/authorize/",
        {**fields, "csrfmiddlewaretoken": str(page.context["csrf_token"])},
        headers={"Origin": "http://testserver"},
    )

    assert foreign.status_code == 403
    assert not get_grant_model().objects.filter(code="").exists()
    assert code_in(own["Location"])
    assert get_grant_model().objects.count() == 1


@pytest.mark.rfc("9700", "4.16")
@pytest.mark.threat("W2", "W5", "L31")
def test_the_question_is_never_framed_or_kept_and_tells_its_address_to_nobody(
    no_middleware: None, browser: Client, application: Any
) -> None:
    for response in (ask(browser, application), ask(browser, application, scope="history")):
        assert response["X-Frame-Options"] == "DENY"
        assert response["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert response["Referrer-Policy"] == "same-origin"
        assert "no-store" in response["Cache-Control"]


@pytest.mark.rfc("8628", "5.4")
@pytest.mark.threat("W2", "L31")
def test_so_are_the_other_pages_on_which_a_person_lets_a_client_in_or_out(
    no_middleware: None,
    user: Any,
    application: Any,
    make_token: Callable[..., Any],
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    token = make_token(application, user)
    pages = [
        "/o/device/",
        f"/o/authorized_tokens/{token.pk}/delete/",
        f"/o/applications/{application.pk}/update/",
    ]
    application.user = user
    application.save()

    for page in pages:
        response = browser.get(page)
        assert (response.status_code, response["X-Frame-Options"]) == (200, "DENY"), page
        assert browser.post(page, headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.threat("W6")
def test_where_everybody_signs_in_first_the_view_itself_sends_people_there(
    client: Client, application: Any, settings: Settings
) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    response = ask(client, application, prompt="none")

    assert error_in(response["Location"]) == "login_required"


# The issuer in the response


#: As the metadata of this site has it.
ISSUER = "http://testserver/o"


def answer_in(location: str) -> dict[str, list[str]]:
    parts = urlsplit(location)
    return parse_qs(parts.query) | parse_qs(parts.fragment)


@pytest.mark.rfc("9207", "2")
@pytest.mark.parametrize(
    "more",
    [{"scope": "history"}, {"response_type": "odd"}, {"resource": "no-uri"}, {"prompt": "none"}],
    ids=["scope", "response type", "resource", "nobody signed in"],
)
def test_an_error_names_the_issuer_as_a_code_does(
    client: Client, user: Any, application: Any, more: dict[str, str]
) -> None:
    if "prompt" not in more:
        client.force_login(user)

    answer = answer_in(ask(client, application, **more)["Location"])

    metadata = client.get("/o/.well-known/oauth-authorization-server").json()
    assert answer["iss"] == [ISSUER] == [metadata["issuer"]]
    assert answer["error"]
    assert answer["state"] == ["xyz"]


@pytest.mark.rfc("9207", "2")
def test_so_do_a_refusal_of_the_person_and_a_code(browser: Client, application: Any) -> None:
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v}
    refused = answer_in(browser.post("/o/authorize/", fields)["Location"])
    allowed = answer_in(allow(browser, application))

    assert refused["error"] == ["access_denied"]
    assert refused["iss"] == allowed["iss"] == [ISSUER]
    assert allowed["code"]
    assert allowed["reciprocal"] == ["ask-back"]


@pytest.mark.rfc("9207", "2")
def test_a_redirect_uri_with_an_issuer_of_its_own_cannot_name_another(
    browser: Client, application: Any
) -> None:
    uri = "https://music.example/callback/?iss=https%3A%2F%2Fevil.example&keep=a%20b"
    get_application_model().objects.update(redirect_uris=uri)
    application.refresh_from_db()

    answer = answer_in(ask(browser, application, scope="history")["Location"])

    assert answer["iss"] == [ISSUER]
    assert answer["keep"] == ["a b"]


def test_a_site_that_does_not_name_itself_in_a_code_does_not_in_an_error(
    browser: Client, application: Any, dot_settings: Callable[..., None]
) -> None:
    dot_settings(COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS=False)

    assert "iss" not in answer_in(ask(browser, application, scope="history")["Location"])
    assert "iss" not in answer_in(allow(browser, application))
