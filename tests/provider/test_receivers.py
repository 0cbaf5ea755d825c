"""Our receivers run in the middle of what DOT and the site do, and never break it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
)

from reciprocal_oauth.links import lost_access
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import consent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("R74")]


def _access_tokens() -> None:
    get_access_token_model().objects.all().delete()


def _refresh_tokens() -> None:
    get_refresh_token_model().objects.all().delete()


def _revoke() -> None:
    for token in get_refresh_token_model().objects.filter(revoked=None):
        token.revoke()


def _users() -> None:
    get_user_model().objects.all().delete()


def _links() -> None:
    Link.objects.all().delete()


def _peers() -> None:
    Peer.objects.all().delete()


def _applications() -> None:
    """A peer protects its own; what stays is that of another client."""
    get_application_model().objects.filter(reciprocal_peer=None).delete()


DOORS = [_access_tokens, _refresh_tokens, _revoke, _users, _links, _peers, _applications]


@pytest.fixture
def has_tokens(
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    make_application: Callable[..., Any],
    make_token: Callable[..., Any],
) -> None:
    """The peer holds tokens here, and so does another client."""
    assert redeem(reciprocal_code("playback")).status_code == 200
    make_token(make_application("other"), link_as_a.user)


@pytest.mark.usefixtures("has_tokens")
@pytest.mark.parametrize("door", DOORS)
def test_a_malformed_setting_of_dot_stops_no_deletion(
    door: Callable[[], None], dot_settings: Callable[..., None]
) -> None:
    dot_settings(REFRESH_TOKEN_EXPIRE_SECONDS="two weeks")

    door()


@pytest.mark.usefixtures("has_tokens")
@pytest.mark.parametrize("door", DOORS)
def test_a_fault_of_ours_stops_no_deletion(
    door: Callable[[], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("a fault of ours")

    for name in ("note_lost_token", "record_lost_access"):
        monkeypatch.setattr(lost_access, name, fail)

    door()


@pytest.mark.usefixtures("has_tokens")
@pytest.mark.parametrize("door", [_access_tokens, _refresh_tokens, _revoke])
def test_a_site_that_commits_by_hand_can_delete_tokens(door: Callable[[], None]) -> None:
    """There, Django knows no "after the commit"."""
    connection.set_autocommit(False)
    try:
        door()
        connection.commit()
    finally:
        connection.set_autocommit(True)


def test_what_the_site_does_after_the_commit_is_done_although_ours_has_failed(
    link_as_a: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def fail(*args: Any) -> None:
        raise RuntimeError("a fault of ours")

    from django.db import transaction

    from reciprocal_oauth.core import database

    with transaction.atomic():
        database.on_commit(fail)
        transaction.on_commit(lambda: done.append("the site's own"))
        consent.allow(link_as_a, ["playback"])

    assert done == ["the site's own"]
