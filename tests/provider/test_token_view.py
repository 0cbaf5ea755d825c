"""The token endpoint as HTTP sees it: always JSON, never 500, and open without a session."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test import Client
from django.urls import include, path
from oauth2_provider.models import get_application_model
from oauth2_provider.views import TokenView as DOTTokenView

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import InboxItem, Peer

from ..conftest import PEER_SECRET, basic, post_form
from ..urls import urlpatterns as site_urlpatterns
from .conftest import forget_servers

urlpatterns = [*site_urlpatterns, path("dot/", include(("oauth2_provider.urls", "dot")))]

HandOver = Callable[..., Any]

FORM = "application/x-www-form-urlencoded"


def handover_form(application: Any, access_token: str) -> str:
    return urlencode(
        {
            "grant_type": GRANT_TYPE,
            "code": "code-of-party-a",
            "client_id": application.client_id,
            "access_token": access_token,
        }
    )


@pytest.mark.django_db
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.1")
def test_a_right_hand_over_is_answered_with_an_empty_object(
    hand_over: HandOver, token_of_a: Any
) -> None:
    for _time in range(2):
        response = hand_over(access_token=token_of_a.raw)

        assert (response.status_code, response.content) == (200, b"{}")
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        assert response["Pragma"] == "no-cache"
    assert InboxItem.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize(("colon", "status"), [("%3A", 200), ("%3", 400)])
def test_the_drafts_example_of_a_request_is_taken_with_its_misprint_mended(
    client: Client, token_of_a: Any, colon: str, status: int
) -> None:
    response = client.post(
        "/o/token/",
        f"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type{colon}reciprocal"
        f"&code=hasdyubasdjahsbdkjbasd&client_id=music-here&access_token={token_of_a.raw}",
        content_type="application/x-www-form-urlencoded",
        headers=basic("music-here", PEER_SECRET),
    )

    assert response.status_code == status
    assert InboxItem.objects.count() == (status == 200)


@pytest.mark.django_db
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    "misspelt",
    ["urn:ietf:params:oauth:grant-type:Reciprocal", "urn:ietf:params:oauth:grant-type3reciprocal",
     "reciprocal", GRANT_TYPE + " "],
)  # fmt: skip
def test_a_misspelt_grant_type_is_unsupported(
    hand_over: HandOver, token_of_a: Any, misspelt: str
) -> None:
    response = hand_over(access_token=token_of_a.raw, grant_type=misspelt)

    assert (response.status_code, response.json()) == (400, {"error": "unsupported_grant_type"})
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db
@pytest.mark.rfc("9110", "15.5.6")
@pytest.mark.threat("P7")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
def test_only_post_hands_over(
    client: Client, application: Any, token_of_a: Any, method: str
) -> None:
    response = client.generic(
        method,
        "/o/token/",
        handover_form(application, token_of_a.raw),
        content_type=FORM,
        headers=basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code == 405
    assert response["Allow"] == "POST, OPTIONS"
    assert not InboxItem.objects.exists()


@pytest.mark.django_db
@pytest.mark.threat("P7", "P9")
def test_options_says_what_is_allowed_and_invites_no_other_origin(client: Client) -> None:
    response = client.options("/o/token/", headers={"Origin": "https://music.example"})

    assert (response.status_code, response["Allow"]) == (200, "POST, OPTIONS")
    assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.django_db
@pytest.mark.threat("P9")
@pytest.mark.parametrize("origin", ["https://allowed.example", "https://evil.example", "null"])
def test_no_answer_to_a_hand_over_may_be_read_by_a_script(
    hand_over: HandOver, application: Any, token_of_a: Any, origin: str
) -> None:
    get_application_model().objects.update(allowed_origins="https://allowed.example")
    right = basic(application.client_id, PEER_SECRET)
    answers = [
        hand_over(access_token=token_of_a.raw, headers={"Origin": origin, **right}),
        hand_over(access_token=None, headers={"Origin": origin, **right}),
        hand_over(headers={"Origin": origin, **right}),
        hand_over(headers={"Origin": origin}),
        hand_over(grant_type="misspelt", headers={"Origin": origin, **right}),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 400, 401, 400]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.django_db
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("P10")
@pytest.mark.parametrize(
    "fault",
    [
        {"code": None},
        {"code": "CANARY" * 1000},
        {"client_id": "CANARY"},
        {"access_token": "CANARY"},
        {"headers": {"Authorization": "Basic CANARY"}},
        {"headers": basic("CANARY", "CANARY")},
        {"headers": {}, "client_secret": "CANARY"},
        {"grant_type": "CANARY"},
        {"error": "CANARY\u202e", "code": "\x00"},
    ],
)
def test_an_error_is_json_that_repeats_nothing_of_the_request(
    hand_over: HandOver, token_of_a: Any, fault: dict[str, Any]
) -> None:
    response = hand_over(**{"access_token": "at-CANARY", **fault})

    assert response.status_code in (400, 401)
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert b"CANARY" not in response.content
    assert set(json.loads(response.content)) == {"error"}


@pytest.mark.django_db
def test_the_reason_of_a_refusal_stands_in_the_log(
    hand_over: HandOver, token_of_a: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "reciprocal_oauth"):
        assert hand_over(access_token=token_of_a.raw, grant_type=None).status_code == 400

    assert "A token request was refused: " in caplog.text


@pytest.mark.django_db
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("F3", "P10", "I13")
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?a=%zz", "grant_type=authorization_code&code=x"),
        ("?a", "grant_type=authorization_code&code=x"),
        ("?a=b", "grant_type=authorization_code&code=x"),
        ("?%", "grant_type=refresh_token&refresh_token=x"),
        ("?%ff%fe=%C3", "grant_type=refresh_token&refresh_token=x"),
        ("?%00", "grant_type=refresh_token&refresh_token=x"),
        ("?a=%F0%9F%8E%B5&\u00e9", "grant_type=refresh_token&refresh_token=x"),
        ("", "grant_type=authorization_code&code=%00"),
        ("", "grant_type=refresh_token&refresh_token=%ff%00"),
        ("", "grant_type=password&username=%00&password=%00"),
        ("", "grant_type=authorization_code&code=x&encoding=nonsense"),
        ("", "grant_type=%00"),
        ("", "%00=%00"),
        ("", "&&=&=="),
        ("", ""),
        ("", "grant_type=refresh_token&refresh_token=%ed%a0%80"),
    ],
)
def test_what_cannot_be_read_is_answered_in_json_whatever_the_grant(
    client: Client, application: Any, query: str, body: str
) -> None:
    response = client.post(
        f"/o/token/{query}",
        body,
        content_type=FORM,
        headers=basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code in (400, 401)
    assert response["Content-Type"] == "application/json"
    assert "error" in response.json()


@pytest.mark.django_db
@pytest.mark.threat("P5", "F8")
@pytest.mark.parametrize("spoilt", ["\x00", "music-here\x00", "\x01", "\u00e9", "\U0001f3b5"])
@pytest.mark.parametrize("place", ["client_id", "secret"])
def test_odd_characters_in_basic_credentials_fail_to_authenticate(
    hand_over: HandOver, token_of_a: Any, spoilt: str, place: str
) -> None:
    credentials = (spoilt, PEER_SECRET) if place == "client_id" else ("music-here", spoilt)

    response = hand_over(access_token=token_of_a.raw, headers=basic(*credentials))

    assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})


@pytest.mark.django_db
@pytest.mark.threat("W6")
def test_the_endpoint_is_open_to_machines(settings: Any, peer: Peer, token_of_a: Any) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    response = Client(enforce_csrf_checks=True).post(
        "/o/token/",
        handover_form(peer.application, token_of_a.raw),
        content_type=FORM,
        headers=basic(peer.application.client_id, PEER_SECRET),
    )

    assert (response.status_code, response.content) == (200, b"{}")


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_a_request_to_dots_own_view_before_does_not_take_the_grant_away(
    client: Client, application: Any, hand_over: HandOver, token_of_a: Any
) -> None:
    forget_servers()
    client.post("/dot/token/", {"grant_type": "authorization_code"})
    assert "_oauthlib_core" in vars(DOTTokenView)

    assert hand_over(access_token=token_of_a.raw).status_code == 200


# When the database is down


@pytest.mark.django_db(transaction=True)
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("B17")
@pytest.mark.parametrize("failure", [OperationalError, DatabaseError])
def test_a_commit_that_fails_is_answered_with_come_again_and_the_next_try_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    hand_over: HandOver,
    token_of_a: Any,
    failure: type[Exception],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connection, "_commit", _failing(failure))
        response = hand_over(access_token=token_of_a.raw)

    assert response.status_code == 503
    assert response["Retry-After"] == "30"
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert not InboxItem.objects.exists()
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert InboxItem.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("B17", "R20")
def test_with_atomic_requests_a_commit_that_fails_is_answered_alike(
    monkeypatch: pytest.MonkeyPatch, hand_over: HandOver, token_of_a: Any
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "_commit", _failing(OperationalError))
        response = hand_over(access_token=token_of_a.raw)

    assert (response.status_code, response["Retry-After"]) == (503, "30")
    assert not InboxItem.objects.exists()
    assert hand_over(access_token=token_of_a.raw).status_code == 200


@pytest.mark.django_db
@pytest.mark.threat("B17")
@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
def test_a_database_that_is_gone_is_answered_with_come_again(
    monkeypatch: pytest.MonkeyPatch,
    hand_over: HandOver,
    token_of_a: Any,
    failure: type[Exception],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", _failing(failure))
        response = hand_over(access_token=token_of_a.raw)

    assert (response.status_code, response["Retry-After"]) == (503, "30")
    assert response.json() == {"error": "temporarily_unavailable"}


def _failing(failure: type[Exception]) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise failure("the server closed the connection unexpectedly")

    return fail


@pytest.mark.django_db
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("F8", "P5")
@pytest.mark.parametrize("client_id", ["a\x00b", "a%00b", "\u00e9"])
@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", GRANT_TYPE])
def test_credentials_that_no_database_can_look_up_fail_to_authenticate(
    peer: Peer, client_id: str, grant: str
) -> None:
    parameters = {
        "grant_type": grant,
        "code": "x",
        "refresh_token": "x",
        "client_id": "x",
        "access_token": "x",
    }

    for headers in (basic(client_id, "x"), {"Authorization": "Basic \x80"}):
        response = post_form(Client(), parameters, headers)
        assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})


@pytest.mark.django_db
@pytest.mark.threat("P9")
def test_an_origin_that_is_no_url_is_refused(application: Any) -> None:
    headers = {**basic(application.client_id, PEER_SECRET), "Origin": "https://["}

    response = post_form(Client(), {"grant_type": "authorization_code", "code": "x"}, headers)

    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


@pytest.mark.django_db
@pytest.mark.threat("P3")
def test_a_backend_that_reads_json_does_not_let_an_unchecked_hand_over_in(
    dot_settings: Callable[..., None], application: Any, token_of_a: Any
) -> None:
    dot_settings(OAUTH2_BACKEND_CLASS="oauth2_provider.oauth2_backends.JSONOAuthLibCore")
    body = json.dumps(
        {
            "grant_type": "URN",
            "code": 5,
            "client_id": application.client_id,
            "access_token": token_of_a.raw,
        }
    ).replace("URN", "\\u0075" + GRANT_TYPE[1:])

    response = Client().post(
        "/o/token/",
        body,
        content_type="application/json",
        headers=basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code == 400
    assert not InboxItem.objects.exists()


@pytest.mark.django_db
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("F16", "I13")
def test_a_grant_that_oauthlib_knows_and_dot_does_not_is_refused(application: Any) -> None:
    response = post_form(
        Client(),
        {"grant_type": "openid", "code": "x", "client_id": application.client_id},
        basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code == 400
    assert response.json()["error"] in ("unauthorized_client", "unsupported_grant_type")
