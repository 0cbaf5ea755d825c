"""Who may call the API: a person with a session, or an app with a token of theirs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_id_token_model
from pytest_django import Settings

from reciprocal_oauth.models import Link

from ..columns import columns_of
from ..party_a.visits import call_api
from .conftest import BOTH_SCOPES, Api, problem

#: Every route, with a body that would do.
ROUTES = [
    ("get", "/peers/", None),
    ("post", "/peers/music/connect/", {}),
    ("get", "/links/", None),
    ("get", "/links/{pk}/", None),
    ("delete", "/links/{pk}/", None),
    ("post", "/links/{pk}/consent/", {"scopes": ["profile"]}),
    ("put", "/links/{pk}/scopes/", {"scopes": ["profile"]}),
    ("post", "/links/{pk}/retry/", None),
]
CHANGING = [route for route in ROUTES if route[0] != "get"]


def unchanged(link: Link) -> Callable[[], bool]:
    before = columns_of(Link.objects.get(pk=link.pk))
    return lambda: columns_of(Link.objects.get(pk=link.pk)) == before


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_nobody_is_told_anything(method: str, path: str, body: Any, link: Link) -> None:
    is_unchanged = unchanged(link)

    response = Api(Client()).call(method, path.format(pk=link.pk), body)

    assert problem(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer ")
    assert is_unchanged()


@pytest.mark.threat("A4")
@pytest.mark.parametrize(("method", "path", "body"), CHANGING)
def test_a_session_changes_nothing_without_the_csrf_token(
    method: str, path: str, body: Any, link: Link, user: Any
) -> None:
    is_unchanged = unchanged(link)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    response = Api(strict).call(method, path.format(pk=link.pk), body)

    assert problem(response) == (403, "permission_denied")
    assert "CSRF" in response.said["detail"]
    assert is_unchanged()


def test_a_front_end_finds_the_csrf_token_that_it_needs(link: Link, user: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    Api(strict).get("/links/")
    headers = {"X-CSRFToken": strict.cookies["csrftoken"].value}

    assert Api(strict, headers).delete(f"/links/{link.pk}/").status_code == 204


def test_a_token_needs_no_csrf_token(link: Link, api: Api) -> None:
    strict = Api(Client(enforce_csrf_checks=True), api.headers)

    assert strict.delete(f"/links/{link.pk}/").status_code == 204


@pytest.mark.threat("A2")
@pytest.mark.parametrize(
    ("scope", "method", "path", "needed"),
    [
        ("profile playback", "get", "/links/", "reciprocal:read"),
        ("reciprocal:write", "get", "/links/", "reciprocal:read"),
        ("reciprocal:read", "delete", "/links/{pk}/", "reciprocal:write"),
        ("reciprocal:read", "put", "/links/{pk}/scopes/", "reciprocal:write"),
        ("reciprocal:read", "post", "/links/{pk}/consent/", "reciprocal:write"),
        ("reciprocal:read", "post", "/links/{pk}/retry/", "reciprocal:write"),
    ],
)
@pytest.mark.rfc("6750", "3.1")
def test_a_token_without_the_scope_is_refused_and_told_which(
    scope: str,
    method: str,
    path: str,
    needed: str,
    link: Link,
    api_with: Callable[..., Api],
) -> None:
    is_unchanged = unchanged(link)

    response = api_with(scope).call(method, path.format(pk=link.pk), {"scopes": ["profile"]})

    assert problem(response) == (403, "insufficient_scope")
    assert needed in response.said["detail"]
    assert f'error="insufficient_scope", scope="{needed}"' in response["WWW-Authenticate"]
    assert is_unchanged()


def test_the_scopes_are_those_of_the_settings(site: Settings, api_with: Callable[..., Api]) -> None:
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "API_READ_SCOPE": "history"}

    assert api_with("history").get("/links/").status_code == 200
    assert problem(api_with().get("/links/")) == (403, "insufficient_scope")


def test_with_no_scope_set_no_token_will_do(site: Settings, api: Api, front_end: Api) -> None:
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "API_READ_SCOPE": ""}

    assert problem(api.get("/links/")) == (403, "no_tokens")
    assert front_end.get("/links/").status_code == 200


@pytest.mark.threat("A3")
def test_what_a_peer_holds_by_a_link_manages_none(
    link: Link, application: Any, user: Any, api_with: Callable[..., Api]
) -> None:
    peers_own = api_with("profile playback", application=application)

    assert problem(peers_own.get("/links/")) == (403, "insufficient_scope")
    assert problem(peers_own.delete(f"/links/{link.pk}/")) == (403, "insufficient_scope")


@pytest.mark.threat("A3")
def test_a_peer_that_may_manage_links_cannot_give_itself_more(
    link: Link, application: Any, make_token: Callable[..., Any]
) -> None:
    peer = link.peer
    peer.allowed_scope = f"profile playback history {BOTH_SCOPES}"
    peer.save()
    Link.objects.update(incoming_scope=f"profile {BOTH_SCOPES}")
    token = make_token(application, link.user, f"profile {BOTH_SCOPES}")
    peers_own = Api(Client(), {"Authorization": f"Bearer {token.raw}"})

    more = peers_own.choose(link, "profile", "history", *BOTH_SCOPES.split())
    assert problem(more) == (403, "own_access")
    link.refresh_from_db()
    assert "history" not in link.incoming_scope

    less = peers_own.choose(link, *BOTH_SCOPES.split())
    assert less.status_code == 200, less.said
    assert "profile" not in Link.objects.get().incoming_scope


@pytest.mark.threat("A3")
def test_a_peer_cannot_answer_its_own_question(
    link: Link, application: Any, make_token: Callable[..., Any]
) -> None:
    peer = link.peer
    peer.allowed_scope = f"profile playback history {BOTH_SCOPES}"
    peer.save()
    Link.objects.update(
        incoming_scope=BOTH_SCOPES, incoming_state="broken", offered_scope="profile playback"
    )
    token = make_token(application, link.user, BOTH_SCOPES)
    peers_own = Api(Client(), {"Authorization": f"Bearer {token.raw}"})

    response = peers_own.answer(link, "profile")

    assert problem(response) == (403, "own_access")


@pytest.mark.threat("A3")
@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("consent", (403, "own_access")),
        ("scopes", (409, "not_changeable")),
    ],
)
def test_a_peer_cannot_give_itself_again_what_the_person_has_taken_back(
    link: Link,
    application: Any,
    make_token: Callable[..., Any],
    path: str,
    refusal: tuple[int, str],
) -> None:
    """With the token of another account of the person's at the same peer."""
    peer = link.peer
    peer.allowed_scope = f"profile playback {BOTH_SCOPES}"
    peer.save()
    Link.objects.update(
        incoming_scope=f"profile playback {BOTH_SCOPES}",
        offered_scope="profile playback",
        incoming_state="broken",
        incoming_reason="revoked_here",
    )
    token = make_token(application, link.user, BOTH_SCOPES)
    peers_own = Api(Client(), {"Authorization": f"Bearer {token.raw}"})

    choose = peers_own.choose if path == "scopes" else peers_own.answer
    response = choose(link, "profile")

    assert problem(response) == refusal
    assert Link.objects.get().incoming_state == Link.Incoming.BROKEN


def test_a_token_of_nobody_is_refused(app: Any, api_with: Callable[..., Api]) -> None:
    """Such as the client credentials grant gives."""
    of_nobody = api_with(of=None)

    assert problem(of_nobody.get("/links/")) == (403, "no_person")
    assert problem(of_nobody.get("/peers/")) == (403, "no_person")


@pytest.mark.threat("F15")
def test_a_person_who_was_deactivated_is_locked_out(
    front_end: Api, api: Api, user: Any, link: Link
) -> None:
    user.is_active = False
    user.save()

    assert problem(front_end.get("/links/")) == (401, "not_authenticated")
    assert problem(api.get("/links/")) == (401, "invalid_token")


@pytest.mark.rfc("6750", "3.1")
@pytest.mark.parametrize("token", ["no-such-token", "", "a b", "é"])
def test_a_bad_token_is_not_passed_over_for_the_session(front_end: Api, token: str) -> None:
    response = front_end.call("get", "/links/", Authorization=f"Bearer {token}")

    assert problem(response) == (401, "invalid_token")
    assert response["WWW-Authenticate"].startswith("Bearer ")


def test_an_expired_token_is_refused(api: Api) -> None:
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    response = api.get("/links/")

    assert problem(response) == (401, "invalid_token")


def test_other_credentials_than_a_bearer_token_are_not_ours(front_end: Api) -> None:
    """Such as those that a proxy before the site asks for."""
    response = front_end.call("get", "/links/", Authorization="Basic YTpi")

    assert response.status_code == 200


@pytest.mark.threat("A5")
@pytest.mark.rfc("9700", "4.3.2")
def test_a_token_in_the_query_or_the_body_counts_for_nothing(api: Api) -> None:
    token = api.headers["Authorization"].split()[1]
    bare = Api(Client())

    assert problem(bare.get(f"/links/?access_token={token}")) == (401, "not_authenticated")
    posted = bare.client.post("/api/reciprocal/peers/music/connect/", {"access_token": token})
    assert posted.status_code == 401


@pytest.mark.threat("F3")
def test_a_query_that_cannot_be_decoded_is_no_error_of_the_server(api: Api) -> None:
    assert api.get("/links/?a=%zz&b=%ff").status_code == 200


def test_an_id_token_is_no_access_token(
    api: Api, user: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """django-oauth-toolkit takes one for the other where OpenID Connect is on."""
    from oauth2_provider.contrib.rest_framework import OAuth2Authentication

    found = (user, get_id_token_model()(user=user, scope=f"openid {BOTH_SCOPES}"))
    monkeypatch.setattr(OAuth2Authentication, "authenticate", lambda *args: found)

    assert problem(api.get("/links/")) == (401, "invalid_token")


def test_what_a_token_may_is_felt_with_the_next_call(
    link: Link, application: Any, api_with: Callable[..., Api]
) -> None:
    """The link's end, by the API, ends the peer's tokens."""
    peers_own = api_with("profile", application=application)
    raw = peers_own.headers["Authorization"].split()[1]
    assert call_api(raw) == 200

    api_with().delete(f"/links/{link.pk}/")

    assert call_api(raw) != 200
    assert problem(peers_own.get("/links/"))[0] == 401
