"""A peer that gives up its tokens (RFC 7009), and what resource servers are told (RFC 7662)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_b.link_opening import open_link

from ..conftest import PEER_SECRET, basic, post_form
from .authorization import log_in
from .conftest import call_api

pytestmark = pytest.mark.django_db

Post = Callable[..., Any]


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.threat("T3")
@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
def test_a_peer_that_revokes_its_token_ends_the_link(
    client: Client, token_of_a: Any, application: Any, which: str, hint: str
) -> None:
    token = token_of_a.raw if which == "access_token" else token_of_a.raw_refresh

    response = post_form(
        client,
        {"token": token, "token_type_hint": hint},
        basic(application.client_id, PEER_SECRET),
        "/o/revoke_token/",
    )

    assert response.status_code == 200
    link = Link.objects.get()
    assert link.status == Link.Status.ENDED
    assert link.incoming_reason == link.outgoing_reason == Link.Reason.REVOKED_BY_PEER
    assert not link.access_token
    assert not link.outbox.exists(), "it knows: nothing is revoked there"
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


@pytest.mark.rfc("7009", "2.1")
def test_a_peer_that_revokes_a_token_it_has_renewed_ends_nothing(
    client: Client, token_of_a: Any, application: Any, refresh: Post
) -> None:
    refresh(token_of_a.raw_refresh)

    post_form(
        client,
        {"token": token_of_a.raw_refresh},
        basic(application.client_id, PEER_SECRET),
        "/o/revoke_token/",
    )

    assert Link.objects.get().is_active


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.threat("T2", "K12")
@pytest.mark.parametrize(("seconds", "status"), [(60, "ended"), (180, "active")])
def test_a_peer_that_lost_the_answer_to_a_refresh_revokes_the_only_token_it_knows(
    client: Client,
    dot_settings: Callable[..., None],
    token_of_a: Any,
    application: Any,
    refresh: Post,
    seconds: int,
    status: str,
) -> None:
    dot_settings(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=120)
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        renewed = refresh(token_of_a.raw_refresh).json()
        clock.shift(seconds)

        post_form(
            client,
            {"token": token_of_a.raw_refresh},
            basic(application.client_id, PEER_SECRET),
            "/o/revoke_token/",
        )

        assert Link.objects.get().status == status
        works = call_api(renewed["access_token"]).status_code == 200
        assert works is (status == "active")


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.threat("B6")
def test_another_peer_cannot_revoke_the_token(
    client: Client, token_of_a: Any, make_peer: Callable[..., Peer]
) -> None:
    stranger = make_peer("stranger").application

    post_form(
        client,
        {"token": token_of_a.raw},
        basic(stranger.client_id, PEER_SECRET),
        "/o/revoke_token/",
    )

    assert Link.objects.get().is_active
    assert call_api(token_of_a.raw).status_code == 200


# Introspection


@pytest.fixture
def introspect(client: Client, make_application: Callable[..., Any]) -> Callable[[str], Any]:
    """Asks the introspection endpoint as a resource server would."""
    make_application("resource-server")

    def ask(token: str) -> Any:
        response = post_form(
            client, {"token": token}, basic("resource-server", PEER_SECRET), "/o/introspect/"
        )
        assert response.status_code == 200
        return response.json()

    return ask


@pytest.mark.rfc("7662", "4")
def test_no_cache_of_the_site_answers_for_the_introspection(
    client: Client,
    token_of_a: Any,
    settings: Settings,
    introspect: Callable[[str], Any],
) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    url = f"/o/introspect/?token={token_of_a.raw}"
    asked = client.get(url, headers=basic("resource-server", PEER_SECRET))
    assert asked.json()["active"] is True
    assert {"no-store", "private"} <= set(asked["Cache-Control"].split(", "))

    disable_peer()

    again = client.get(url, headers=basic("resource-server", PEER_SECRET))
    assert again.json() == {"active": False}
    assert Client().get(url).status_code == 403


def deactivate_user() -> None:
    get_user_model().objects.update(is_active=False)


def disable_peer() -> None:
    Peer.objects.update(enabled=False)


@pytest.mark.rfc("7662", "2.2")
def test_a_resource_server_is_told_what_the_peer_may_do(
    token_of_a: Any, introspect: Callable[[str], Any]
) -> None:
    answer = introspect(token_of_a.raw)

    assert answer["active"] is True
    assert (answer["scope"], answer["username"]) == ("playback", "alice")
    assert answer["client_id"] == "music-here"


@pytest.mark.rfc("7662", "2.2")
@pytest.mark.threat("C14", "F15")
@pytest.mark.parametrize("event", [deactivate_user, disable_peer])
def test_a_resource_server_is_told_that_a_token_is_no_longer_in_force(
    token_of_a: Any, introspect: Callable[[str], Any], event: Callable[[], None]
) -> None:
    event()

    assert introspect(token_of_a.raw) == {"active": False}


@pytest.mark.rfc("7662", "2.2")
@pytest.mark.threat("S4", "S12")
def test_a_resource_server_is_told_the_scope_that_is_left(
    browser: Client, peer: Peer, application: Any, introspect: Callable[[str], Any]
) -> None:
    tokens = log_in(browser, application, "profile playback")
    Peer.objects.update(allowed_scope="profile")

    assert introspect(tokens["access_token"])["scope"] == "profile"


@pytest.mark.rfc("7662", "2.2")
def test_tokens_of_other_clients_are_introspected_as_ever(
    make_application: Callable[..., Any],
    make_token: Callable[..., Any],
    introspect: Callable[[str], Any],
    user: Any,
) -> None:
    token = make_token(make_application(), user, "history")
    deactivate_user()

    assert introspect(token.raw)["active"] is True
    assert introspect("unknown") == {"active": False}
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert introspect(token.raw) == {"active": False}


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.threat("T3")
def test_a_peer_that_revokes_a_token_without_family_ends_the_link(
    client: Client, peer: Peer, user: Any, application: Any, make_token: Callable[..., Any]
) -> None:
    """One of the implicit grant, which gives no refresh token."""
    token = make_token(application, user)
    get_refresh_token_model().objects.all().delete()
    with transaction.atomic():
        open_link(peer, user.pk, "playback", None)

    post_form(
        client, {"token": token.raw}, basic(application.client_id, PEER_SECRET), "/o/revoke_token/"
    )

    assert Link.objects.get().status == Link.Status.ENDED
