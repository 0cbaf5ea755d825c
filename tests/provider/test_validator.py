"""Which codes are redeemed without ``redirect_uri`` and PKCE verifier, and that no others are."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.models import Link, Peer, ReciprocalCode

from ..conftest import PEER_SECRET, basic, post_form
from .authorization import VERIFIER, allow, ask, code_in, exchange
from .conftest import call_api

pytestmark = pytest.mark.django_db

INVALID_GRANT = (400, {"error": "invalid_grant"})
#: Where the peer takes the answers of its people.
OWN_URI = "https://music.example/connections/site/callback/"


def outcome(response: Any) -> tuple[int, Any]:
    return response.status_code, {"error": response.json().get("error")}


def use_redirect_uris(application: Any, *uris: str) -> None:
    get_application_model().objects.filter(pk=application.pk).update(redirect_uris=" ".join(uris))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "4.1.3")
@pytest.mark.threat("C1")
@pytest.mark.parametrize(
    "uris", [(), ("https://a.example/",), ("https://a.example/", "https://b.example/")]
)
@pytest.mark.parametrize("server", ["plain", "openid"])
def test_a_reciprocal_code_needs_no_redirect_uri_and_no_verifier(
    request: pytest.FixtureRequest,
    application: Any,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    uris: tuple[str, ...],
    server: str,
) -> None:
    if server == "openid":
        request.getfixturevalue("openid_connect")
    use_redirect_uris(application, *uris)

    response = redeem(reciprocal_code())

    assert response.status_code == 200, response.content
    assert response.json()["scope"] == "playback"
    assert "id_token" not in response.json()
    assert call_api(response.json()["access_token"]).json() == {"playing": True}


@pytest.mark.rfc("7636", "4.6")
@pytest.mark.threat("C2")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"redirect_uri": "https://music.example/other/"}, "invalid_request"),
    ],
    ids=["no verifier", "wrong verifier", "no redirect_uri", "wrong redirect_uri"],
)
@pytest.mark.parametrize("reciprocal_code_lives", [False, True])
def test_a_normal_code_of_the_same_client_needs_both(
    request: pytest.FixtureRequest,
    browser: Client,
    application: Any,
    change: dict[str, str],
    error: str,
    reciprocal_code_lives: bool,
) -> None:
    if reciprocal_code_lives:
        request.getfixturevalue("reciprocal_code")()
    use_redirect_uris(application, application.redirect_uris, "https://music.example/other/")
    application.refresh_from_db()
    code = code_in(allow(browser, application))

    assert outcome(exchange(application, code, **change)) == (400, {"error": error})
    assert not get_access_token_model().objects.exists()


@pytest.mark.threat("C2")
def test_a_normal_code_of_a_peer_is_redeemed_with_both(browser: Client, application: Any) -> None:
    assert exchange(application, code_in(allow(browser, application))).status_code == 200


@pytest.mark.rfc("9700", "4.8")
@pytest.mark.threat("C5")
@pytest.mark.parametrize(
    "injected",
    [
        {"code_verifier": VERIFIER},
        {"code_verifier": VERIFIER, "redirect_uri": OWN_URI},
        {"redirect_uri": "https://elsewhere.example/"},
        {"redirect_uri": f"{OWN_URI}more"},
        {"redirect_uri": "https://["},
        {"redirect_uri": ""},
        {"code_verifier": ""},
    ],
)
def test_a_reciprocal_code_that_was_injected_into_a_redirect_is_refused(
    reciprocal_code: Callable[..., str], redeem: Callable[..., Any], injected: dict[str, str]
) -> None:
    code = reciprocal_code()

    assert outcome(redeem(code, **injected)) == INVALID_GRANT
    assert redeem(code).status_code == 200, "the right client can still use it"


@pytest.mark.rfc("9700", "4.8")
@pytest.mark.threat("C5", "F1")
@pytest.mark.parametrize("parameter", ["code_verifier", "redirect_uri"])
def test_a_site_without_pkce_refuses_an_injected_code_as_well(
    dot_settings: Callable[..., None],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    parameter: str,
) -> None:
    dot_settings(PKCE_REQUIRED=False)

    assert outcome(redeem(reciprocal_code(), **{parameter: "x" * 43})) == INVALID_GRANT


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "4.1.3")
@pytest.mark.threat("C32")
@pytest.mark.parametrize("pkce", [True, False])
@pytest.mark.parametrize("uris", [OWN_URI, f"https://music.example/other/ {OWN_URI}"])
def test_a_client_library_may_send_a_redirect_uri_of_its_client(
    dot_settings: Callable[..., None],
    application: Any,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    uris: str,
    pkce: bool,
) -> None:
    dot_settings(PKCE_REQUIRED=pkce)
    get_application_model().objects.filter(pk=application.pk).update(redirect_uris=uris)

    assert redeem(reciprocal_code(), redirect_uri=OWN_URI).status_code == 200
    assert Link.objects.get().is_two_way


@pytest.mark.rfc("9700", "4.5")
@pytest.mark.threat("C5")
def test_the_text_that_stands_for_a_redirect_uri_redeems_nothing(
    dot_settings: Callable[..., None],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    dot_settings(PKCE_REQUIRED=False)
    code = reciprocal_code()
    stored = get_grant_model().objects.get().redirect_uri

    assert outcome(redeem(code, redirect_uri=stored)) == INVALID_GRANT


@pytest.mark.rfc("6749", "4.1.3")
@pytest.mark.threat("C6")
def test_another_client_that_sends_a_redeemed_code_revokes_nothing(
    make_peer: Callable[..., Peer],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    stranger = make_peer("stranger").application
    code = reciprocal_code()
    right = redeem(code)
    again = redeem(code, headers=basic(stranger.client_id, PEER_SECRET))

    assert right.status_code == 200
    assert outcome(again) == INVALID_GRANT
    assert call_api(right.json()["access_token"]).status_code == 200, "nothing was revoked"


@pytest.mark.threat("C6")
def test_a_code_that_another_client_tried_is_still_good(
    make_peer: Callable[..., Peer],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    stranger = make_peer("stranger").application
    code = reciprocal_code()

    assert outcome(redeem(code, headers=basic(stranger.client_id, PEER_SECRET))) == INVALID_GRANT
    assert redeem(code).status_code == 200


@pytest.mark.threat("C6")
@pytest.mark.parametrize("credentials", [{}, basic("music-here", "wrong")])
def test_a_client_that_does_not_authenticate_cannot_redeem_the_code(
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    application: Any,
    credentials: dict[str, str],
) -> None:
    code = reciprocal_code()
    response = redeem(code, headers=credentials, client_id=application.client_id)

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert redeem(code).status_code == 200


@pytest.mark.rfc("6749", "4.1.3")
@pytest.mark.threat("C15")
@pytest.mark.parametrize("scope", ["history", "profile playback history", "no such scope"])
def test_a_scope_at_redemption_changes_nothing(
    reciprocal_code: Callable[..., str], redeem: Callable[..., Any], scope: str
) -> None:
    response = redeem(reciprocal_code("playback"), scope=scope)

    assert response.status_code == 200
    assert response.json()["scope"] == "playback"
    assert get_access_token_model().objects.get().scope == "playback"


@pytest.mark.rfc("8707", "2.2")
@pytest.mark.threat("C15")
def test_a_reciprocal_code_gives_no_token_for_another_server(
    reciprocal_code: Callable[..., str], redeem: Callable[..., Any]
) -> None:
    code = reciprocal_code()

    for resource in ("https://other.example/api/", ["https://a.example/", "https://b.example/"]):
        response = redeem(code, resource=resource)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_target")
    response = redeem(code)
    assert response.status_code == 200, "the code is still good"
    assert call_api(response.json()["access_token"]).json() == {"playing": True}


@pytest.mark.rfc("9700", "2.1.1")
@pytest.mark.threat("F4")
def test_the_parameters_of_a_redemption_in_an_authorization_request_do_not_switch_pkce_off(
    browser: Client, application: Any, reciprocal_code: Callable[..., str]
) -> None:
    trick = {"grant_type": "authorization_code", "code": reciprocal_code()}

    response = ask(browser, application, code_challenge="", code_challenge_method="", **trick)

    answer = parse_qs(urlsplit(response["Location"]).query)
    assert answer["error"] == ["invalid_request"]
    assert "code" not in answer
    assert get_grant_model().objects.count() == 1, "the reciprocal code's own"


MARKS = ["reciprocal", "_reciprocal_redemption", "_rec", "redemption"]


@pytest.mark.rfc("9700", "2.1.1")
@pytest.mark.threat("F4")
@pytest.mark.parametrize("mark", MARKS)
def test_a_parameter_at_the_authorization_endpoint_cannot_stand_in_for_the_mark(
    browser: Client, application: Any, mark: str
) -> None:
    response = ask(browser, application, code_challenge="", code_challenge_method="", **{mark: "1"})

    assert parse_qs(urlsplit(response["Location"]).query)["error"] == ["invalid_request"]
    assert not get_grant_model().objects.exists()


@pytest.mark.rfc("9700", "2.1.1")
@pytest.mark.threat("F4")
@pytest.mark.parametrize("mark", MARKS)
def test_a_parameter_at_the_token_endpoint_cannot_stand_in_for_the_mark(
    browser: Client, application: Any, reciprocal_code: Callable[..., str], mark: str
) -> None:
    reciprocal_code()
    code = code_in(allow(browser, application))

    response = exchange(application, code, code_verifier="", **{mark: "1"})

    assert outcome(response) == (400, {"error": "invalid_request"})


@pytest.mark.threat("F4")
@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_in_the_query_of_a_token_request_is_refused(
    client: Client, browser: Client, application: Any, mark: str
) -> None:
    code = code_in(allow(browser, application))

    response = post_form(
        client,
        {"grant_type": "authorization_code", "code": code},
        basic(application.client_id, PEER_SECRET),
        f"/o/token/?{mark}=1",
    )

    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    assert not get_access_token_model().objects.exists()


@pytest.mark.rfc("6749", "10.10")
@pytest.mark.threat("F11")
@pytest.mark.parametrize("spoil", [str.swapcase, lambda code: code + " ", lambda code: " " + code])
@pytest.mark.parametrize("pkce_required", [True, False])
def test_a_code_in_other_letter_case_or_with_a_space_is_another_code(
    dot_settings: Callable[..., None],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    spoil: Callable[[str], str],
    pkce_required: bool,
) -> None:
    dot_settings(PKCE_REQUIRED=pkce_required)
    code = reciprocal_code()

    assert redeem(spoil(code)).status_code == 400
    assert not get_refresh_token_model().objects.exists()
    assert ReciprocalCode.objects.get().state == ReciprocalCode.State.LIVE
    assert redeem(code).status_code == 200


@pytest.mark.rfc("9700", "2.1.1")
@pytest.mark.threat("F7")
def test_without_pkce_a_client_that_proves_nothing_redeems_nothing(
    application: Any, reciprocal_code: Callable[..., str]
) -> None:
    """DOT's own pages let an application be made public after its peer was saved."""
    code = reciprocal_code()
    get_application_model().objects.update(client_type="public")

    response = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": code, "client_id": application.client_id},
        {},
    )

    assert outcome(response) == INVALID_GRANT
    assert not get_access_token_model().objects.exists()


@pytest.mark.rfc("9700", "2.1.1")
@pytest.mark.threat("F7")
def test_a_stored_secret_that_is_the_hash_of_nothing_redeems_nothing(
    application: Any, reciprocal_code: Callable[..., str]
) -> None:
    code = reciprocal_code()
    get_application_model().objects.update(client_secret=make_password(""))
    parameters = {"grant_type": "authorization_code", "code": code}

    for more in ({}, {"client_secret": ""}):
        sent = {**parameters, "client_id": application.client_id, **more}
        assert outcome(post_form(Client(), sent, {})) == INVALID_GRANT
