"""The authorization endpoint, where peers send their people."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_grant_model

from reciprocal_oauth.models import Link, Peer

from .authorization import ask, log_in

pytestmark = pytest.mark.django_db


@pytest.mark.rfc("6749", "4.1.2.1")
def test_nobody_is_asked_to_consent_to_a_disabled_peer(browser: Client, application: Any) -> None:
    Peer.objects.update(enabled=False)

    response = ask(browser, application)

    answer = parse_qs(urlsplit(response["Location"]).query)
    assert answer["error"] == ["unauthorized_client"]
    assert not get_grant_model().objects.exists()


@pytest.mark.threat("L16", "F10")
def test_a_reciprocal_token_counts_as_consent_to_what_it_carries(
    browser: Client,
    application: Any,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    """The same client, the same scopes: the person has allowed it, though on another page."""
    assert redeem(reciprocal_code("playback")).status_code == 200

    skipped = ask(browser, application, scope="playback", approval_prompt="auto")
    asked = ask(browser, application, scope="profile playback", approval_prompt="auto")

    assert "code" in parse_qs(urlsplit(skipped["Location"]).query)
    assert asked.status_code == 200


def test_people_log_in_first(client: Client, application: Any) -> None:
    response = ask(client, application)

    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_consent_tells_what_the_peer_may_do_in_words(browser: Client, application: Any) -> None:
    page = ask(browser, application, scope="playback").content.decode()

    assert "Control what is playing" in page
    assert "See what you have listened to" not in page


@pytest.mark.rfc("6749", "4.1")
def test_a_login_of_somebody_else_in_the_same_browser_gets_a_link_of_its_own(
    client: Client, application: Any, user: Any, other_user: Any
) -> None:
    client.force_login(user)
    log_in(client, application)
    client.force_login(other_user)
    log_in(client, application)

    assert set(Link.objects.values_list("user", flat=True)) == {user.pk, other_user.pk}
