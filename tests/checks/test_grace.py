"""The check of the peers: how long a refresh token works that was replaced."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.checks import Id
from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.base import BaseManager

from ..admin.peer_pages import values_of

pytestmark = pytest.mark.django_db
SHORT = {"ROTATE_REFRESH_TOKEN": True, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0}


@pytest.fixture
def google(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer("google", dialect="google", authorization_endpoint="")


@pytest.fixture
def use(settings: Settings) -> Callable[..., None]:
    def change(**values: Any) -> None:
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **SHORT, **values}

    change()
    return change


def found(databases: list[str] | None) -> list[CheckMessage]:
    return [each for each in run_checks(databases=databases) if each.id == Id.SHORT_GRACE]


def test_a_peer_of_google_needs_that_a_replaced_token_still_works(
    google: Peer, use: Callable[..., None]
) -> None:
    (message,) = found(["default"])

    assert "works for 0 more seconds" in message.msg
    assert "google" in message.msg
    assert message.hint is not None
    assert "= 120 or more" in message.hint


@pytest.mark.parametrize(
    "values",
    [{"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}, {"ROTATE_REFRESH_TOKEN": False}],
    ids=["enough", "no rotation"],
)
def test_it_is_sufficient(google: Peer, use: Callable[..., None], values: dict[str, Any]) -> None:
    use(**values)

    assert found(["default"]) == []


@pytest.mark.parametrize(
    "changes", [{"dialect": "ietf"}, {"dialect": "gone"}, {"enabled": False}], ids=str
)
def test_other_peers_do_not_need_it(
    google: Peer, use: Callable[..., None], changes: dict[str, Any]
) -> None:
    Peer.objects.update(**changes)

    assert found(["default"]) == []


@pytest.mark.parametrize("databases", [None, []], ids=str)
def test_without_the_database_nothing_is_read(
    google: Peer, use: Callable[..., None], databases: list[str] | None,
    django_assert_num_queries: Any,
) -> None:  # fmt: skip
    with django_assert_num_queries(0):
        assert found(databases) == []


def test_before_the_tables_exist_there_is_nothing_to_check(
    use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_table(*_arguments: object) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(BaseManager, "using", no_such_table, raising=False)

    assert found(["default"]) == []


def test_whoever_saves_such_a_peer_is_warned(
    google: Peer, use: Callable[..., None], admin_client: Client
) -> None:
    errors = io.StringIO()
    call_command("reciprocal_peer", "add", "google", "--name", "Google", stderr=errors)
    page = f"/admin/reciprocal_oauth/peer/{google.pk}/change/"
    response = admin_client.post(page, values_of(google, client_secret=""), follow=True)

    wanted = "Set REFRESH_TOKEN_GRACE_PERIOD_SECONDS in OAUTH2_PROVIDER to 120 or more."
    assert wanted in errors.getvalue()
    assert any(wanted in str(message) for message in response.context["messages"])


def test_a_peer_that_follows_the_draft_has_no_such_warning(
    peer: Peer, use: Callable[..., None]
) -> None:
    errors = io.StringIO()
    call_command("reciprocal_peer", "add", "music", "--name", "Music", stderr=errors)

    assert "GRACE" not in errors.getvalue()
