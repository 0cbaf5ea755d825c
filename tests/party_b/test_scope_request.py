"""The ``reciprocal`` parameter: in which responses it stands, and for which clients.

draft-ietf-oauth-reciprocal-04, section 2.1.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer

from ..provider.authorization import VERIFIER, allow, ask, code_in, exchange, log_in
from .grants import (
    by_client_credentials,
    by_code,
    by_implicit_grant,
    by_password,
    token_request,
    use_grant,
)

pytestmark = [pytest.mark.django_db, pytest.mark.draft("Reciprocal Scope Request")]

MakeApplication = Callable[..., Any]


Flow = Callable[[Client, Any], dict[str, Any]]

GRANTS = [
    pytest.param(by_code, marks=pytest.mark.rfc("6749", "4.1.4"), id="code"),
    pytest.param(by_implicit_grant, marks=pytest.mark.rfc("6749", "4.2.2"), id="implicit"),
    pytest.param(by_password, marks=pytest.mark.rfc("6749", "4.3.3"), id="password"),
    pytest.param(by_client_credentials, marks=pytest.mark.rfc("6749", "4.4.3"), id="client"),
]


@pytest.mark.draft("IANA Considerations")
@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.parametrize("flow", GRANTS)
def test_a_token_response_asks_the_peer_for_the_reverse(
    browser: Client, application: Any, flow: Flow
) -> None:
    response = flow(browser, application)

    assert response["reciprocal"] == "ask-back"
    assert response["access_token"]


@pytest.mark.rfc("6749", "5.1")
def test_the_token_response_has_the_form_of_the_drafts_example(
    browser: Client, application: Any
) -> None:
    Peer.objects.update(reciprocal_scope="example_scope")

    response = exchange(application, code_in(allow(browser, application)))

    assert response.status_code == 200
    assert response["Content-Type"].startswith("application/json")
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")
    answer = response.json()
    assert answer["reciprocal"] == "example_scope"
    assert answer.keys() >= {"access_token", "token_type", "expires_in", "refresh_token"}


@pytest.mark.parametrize("flow", GRANTS)
def test_a_token_response_to_another_client_asks_for_nothing(
    browser: Client, peer: Peer, make_application: MakeApplication, flow: Flow
) -> None:
    assert "reciprocal" not in flow(browser, make_application())


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.parametrize("flow", GRANTS)
def test_a_peer_of_which_nothing_is_asked_gets_no_parameter(
    browser: Client, application: Any, flow: Flow
) -> None:
    Peer.objects.update(reciprocal_scope="")

    assert "reciprocal" not in flow(browser, application)


@pytest.mark.rfc("6749", "4.2.2")
def test_an_implicit_grant_asks_in_the_fragment_and_without_quotation_marks(
    browser: Client, application: Any
) -> None:
    use_grant(application, "implicit")

    location = urlsplit(allow(browser, application, response_type="token"))

    assert "reciprocal=ask-back" in location.fragment.split("&")
    assert "reciprocal" not in location.query


def test_each_peer_is_asked_for_its_own_scope(
    browser: Client, application: Any, make_peer: Callable[..., Peer]
) -> None:
    other = make_peer("other", reciprocal_scope="lights doors")

    assert by_code(browser, other.application)["reciprocal"] == "lights doors"
    assert by_code(browser, application)["reciprocal"] == "ask-back"


@pytest.mark.draft("IANA Considerations")
@pytest.mark.rfc("6749", "4.1.2")
def test_an_authorization_response_asks_the_peer_for_the_reverse(
    browser: Client, application: Any
) -> None:
    Peer.objects.update(reciprocal_scope="ask-back more&more")

    location = allow(browser, application)

    answer = parse_qs(urlsplit(location).query)
    assert answer["reciprocal"] == ["ask-back more&more"]
    assert answer["state"] == ["xyz"]
    assert len(answer["code"]) == len(answer["iss"]) == 1
    assert exchange(application, code_in(location)).status_code == 200


@pytest.mark.rfc("6749", "4.1.2")
def test_an_authorization_response_to_another_client_asks_for_nothing(
    browser: Client, peer: Peer, make_application: MakeApplication
) -> None:
    assert "reciprocal" not in allow(browser, make_application())


@pytest.mark.rfc("6749", "3.1.2")
def test_the_redirect_uri_keeps_its_own_query(browser: Client, application: Any) -> None:
    own = "https://music.example/back?flag&a=1%202&b=x+y"
    get_application_model().objects.update(redirect_uris=own)
    application.refresh_from_db()

    location = allow(browser, application, redirect_uri=own)

    answer = dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))
    assert answer["flag"] == ""
    assert (answer["a"], answer["b"]) == ("1 2", "x y")
    assert answer["reciprocal"] == "ask-back"


@pytest.mark.rfc("6749", "3.1")
@pytest.mark.parametrize("own", ["reciprocal=own", "reciprocal="])
def test_a_redirect_uri_with_a_parameter_of_that_name_gets_no_second_one(
    browser: Client, application: Any, own: str
) -> None:
    uri = f"https://music.example/back?{own}"
    get_application_model().objects.update(redirect_uris=uri)
    application.refresh_from_db()

    location = allow(browser, application, redirect_uri=uri)

    query = urlsplit(location).query
    assert query.count("reciprocal=") == 1
    assert own in query.split("&")


@pytest.mark.rfc("6749", "4.1.2.1")
def test_a_refusal_asks_for_nothing(browser: Client, application: Any) -> None:
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v}

    location = browser.post("/o/authorize/", fields)["Location"]

    assert "error=access_denied" in location
    assert "reciprocal" not in location


@pytest.mark.rfc("6749", "6")
def test_a_refresh_response_asks_for_nothing(browser: Client, application: Any) -> None:
    tokens = log_in(browser, application)

    renewed = token_request(
        application, {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    )

    assert "reciprocal" not in renewed


@pytest.mark.rfc("6749", "4.1.4")
def test_the_response_to_a_redeemed_reciprocal_code_asks_for_nothing(
    reciprocal_code: Callable[..., str], redeem: Callable[..., Any]
) -> None:
    tokens = redeem(reciprocal_code("playback")).json()

    assert tokens["access_token"]
    assert "reciprocal" not in tokens


def test_a_disabled_peer_gets_no_token_response(browser: Client, application: Any) -> None:
    code = code_in(allow(browser, application))
    Peer.objects.update(enabled=False)

    response = exchange(application, code)

    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})


def test_a_client_cannot_put_words_into_our_mouth(browser: Client, application: Any) -> None:
    code = code_in(allow(browser, application, reciprocal="everything"))

    tokens = exchange(application, code, reciprocal="everything", code_verifier=VERIFIER).json()

    assert tokens["reciprocal"] == "ask-back"
