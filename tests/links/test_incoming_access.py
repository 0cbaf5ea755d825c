"""When a person revokes access of a peer, this affects all its tokens and unredeemed codes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link
from reciprocal_oauth.party_a import scope_changes

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer
from ..provider.authorization import allow, code_in, exchange, log_in
from ..provider.conftest import assert_token_is_dead, call_api

pytestmark = [pytest.mark.django_db, pytest.mark.threat("L30")]

Post = Callable[..., Any]


def disconnect(browser: Client, link: Link) -> None:
    assert browser.post(f"/connections/links/{link.pk}/disconnect/").status_code == 302


def keep(browser: Client, link: Link, *scopes: str) -> None:
    """The person unticks all other scopes on the page of the link."""
    page = f"/connections/links/{link.pk}/scopes/"
    shown = browser.get(page).context["form"].initial["shown"]
    response = browser.post(page, {"scopes": scopes, "shown": shown})
    assert response.status_code == 302, response.content


DEVICE_VALIDATOR = "tests.provider.authorization.DeviceValidator"


def approve_device(application: Any, user: Any, scope: str) -> dict[str, str]:
    """Let the person allow a device, and return the token request of the device (RFC 8628, section
    3.4)."""
    get_application_model().objects.filter(pk=application.pk).update(
        authorization_grant_type="urn:ietf:params:oauth:grant-type:device_code"
    )
    grant = get_device_grant_model().objects.create(
        user=user,
        device_code="of-the-device",
        user_code="shown",
        scope=scope,
        client_id=application.client_id,
        status="authorized",
        expires=timezone.now() + timedelta(minutes=5),
    )
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": grant.device_code,
        "client_id": application.client_id,
    }


@pytest.fixture
def both_ways(link_as_a: Link, reciprocal_code: Callable[..., str], redeem: Post) -> Link:
    """The link of a person who started here and allowed the reverse direction."""
    assert redeem(reciprocal_code("profile playback")).status_code == 200
    link_as_a.refresh_from_db()
    return link_as_a


@pytest.fixture
def two_logins(
    browser: Client, application: Any, hand_over: Post, fake_peer: FakePeer
) -> list[dict[str, Any]]:
    """The tokens of two logins at the peer, before it handed over its code. The link stores the
    family of one of them."""
    tokens = [log_in(browser, application, "profile playback") for _ in range(2)]
    hand_over(access_token=tokens[1]["access_token"])
    worker.drain()
    assert Link.objects.get().is_two_way
    return tokens


def test_disconnecting_revokes_every_token_of_the_user_at_the_peer(
    browser: Client, two_logins: list[dict[str, Any]], refresh: Post
) -> None:
    disconnect(browser, Link.objects.get())

    for tokens in two_logins:
        assert_token_is_dead(tokens["access_token"])
        assert refresh(tokens["refresh_token"]).json() == {"error": "invalid_grant"}
    assert not Link.objects.filter(status=Link.Status.ACTIVE).exists()


def test_a_scope_that_is_removed_is_removed_from_every_token(
    browser: Client, two_logins: list[dict[str, Any]], refresh: Post
) -> None:
    keep(browser, Link.objects.get(), "profile")

    for tokens in two_logins:
        assert call_api(tokens["access_token"]).status_code == 403
        renewed = refresh(tokens["refresh_token"]).json()
        assert renewed["scope"] == "profile"
        assert call_api(renewed["access_token"]).status_code == 403
    assert Link.objects.get().incoming_scope == "profile"


@pytest.mark.rfc("6749", "6")
def test_a_token_of_no_link_is_renewed_and_creates_no_link(
    two_logins: list[dict[str, Any]], refresh: Post
) -> None:
    for tokens in two_logins:
        assert refresh(tokens["refresh_token"]).status_code == 200

    assert Link.objects.get().is_two_way


@pytest.mark.rfc("6749", "6")
def test_a_token_of_no_link_is_not_renewed_while_no_link_allows_a_scope(
    user: Any, application: Any, link_as_a: Link, make_token: Callable[..., Any], refresh: Post
) -> None:
    """The person started at this site, and has not answered the question yet."""
    token = make_token(application, user)

    assert_token_is_dead(token.raw)
    assert refresh(token.raw_refresh).json() == {"error": "invalid_grant"}
    assert Link.objects.get().incoming_state == Link.Incoming.OFFERED


def test_a_code_that_is_older_than_the_end_of_the_link_is_refused(
    browser: Client, application: Any, both_ways: Link
) -> None:
    code = code_in(allow(browser, application, "playback"))

    disconnect(browser, both_ways)

    assert exchange(application, code).json() == {"error": "invalid_grant"}
    assert not get_refresh_token_model().objects.filter(revoked__isnull=True).exists()
    assert not Link.objects.filter(status=Link.Status.ACTIVE).exists()


def test_an_older_code_creates_no_link_beside_one_that_is_left(
    browser: Client, application: Any, both_ways: Link
) -> None:
    log_in(browser, application, "profile")
    code = code_in(allow(browser, application, "playback"))

    disconnect(browser, both_ways)

    assert exchange(application, code).json() == {"error": "invalid_grant"}
    left = Link.objects.get(status=Link.Status.ACTIVE)
    assert left.incoming_scope == "profile"


def test_a_code_that_is_older_than_the_removal_of_a_scope_does_not_restore_it(
    browser: Client, application: Any, both_ways: Link
) -> None:
    code = code_in(allow(browser, application, "playback"))

    keep(browser, both_ways, "profile")

    assert exchange(application, code).json() == {"error": "invalid_grant"}
    assert Link.objects.get().incoming_scope == "profile"


def test_adding_a_scope_does_not_stop_a_login(
    browser: Client, application: Any, link_as_a: Link, reciprocal_code: Any, redeem: Post
) -> None:
    redeem(reciprocal_code("profile"))
    code = code_in(allow(browser, application, "playback"))

    keep(browser, link_as_a, "profile", "playback")

    assert exchange(application, code).status_code == 200


@pytest.mark.parametrize("how", ["disconnect", "narrow"])
def test_a_device_that_was_allowed_before_gets_nothing(
    browser: Client, user: Any, application: Any, both_ways: Link, how: str
) -> None:
    request = approve_device(application, user, "playback")
    before = set(get_access_token_model().objects.values_list("pk", flat=True))

    if how == "disconnect":
        disconnect(browser, both_ways)
    else:
        keep(browser, both_ways, "profile")

    headers = basic(application.client_id, PEER_SECRET)
    assert post_form(Client(), request, headers).status_code in (400, 404)
    assert set(get_access_token_model().objects.values_list("pk", flat=True)) <= before
    assert Link.objects.count() == 1


def test_a_device_that_is_still_allowed_gets_its_tokens(
    user: Any, application: Any, both_ways: Link, dot_settings: Callable[..., None]
) -> None:
    dot_settings(OAUTH2_VALIDATOR_CLASS=DEVICE_VALIDATOR)
    request = approve_device(application, user, "playback")

    response = post_form(Client(), request, basic(application.client_id, PEER_SECRET))

    assert response.status_code == 200, response.content


def test_codes_of_other_people_and_other_clients_still_work(
    browser: Client,
    application: Any,
    both_ways: Link,
    other_user: Any,
    make_application: Callable[..., Any],
) -> None:
    other_client = make_application()
    of_other_client = code_in(allow(browser, other_client))
    others = Client()
    others.force_login(other_user)
    of_other_person = code_in(allow(others, application))

    scope_changes.change(both_ways, ["profile"])
    disconnect(browser, both_ways)

    assert exchange(other_client, of_other_client).status_code == 200
    assert exchange(application, of_other_person).status_code == 200
