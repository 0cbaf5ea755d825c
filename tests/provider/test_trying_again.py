"""The token endpoint, on a database that says "try again"."""

from collections.abc import Callable
from typing import Any

import pytest
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth.core import database
from reciprocal_oauth.models import InboxItem, Link, LinkEvent, ReciprocalCode

from ..conftest import PEER_SECRET, basic, post_form
from ..failing_database import TRY_AGAIN, MakeError, fails

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("R71")]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_rest", lambda seconds: None)


def _table(model: Any) -> str:
    return model._meta.db_table


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize("error", TRY_AGAIN.values(), ids=TRY_AGAIN)
def test_a_hand_over_is_taken_once(
    error: MakeError, hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    with fails("INSERT", _table(LinkEvent), times=3, error=error) as failed:
        answer = hand_over(access_token=token_of_a.raw)

    assert len(failed) == 3
    assert answer.status_code == 200
    assert InboxItem.objects.count() == 1


@pytest.mark.rfc("6749", "4.1.3")
@pytest.mark.parametrize(
    ("statement", "model"),
    [
        ("INSERT", get_access_token_model()),
        ("INSERT", get_refresh_token_model()),
        ("UPDATE", ReciprocalCode),
        ("UPDATE", Link),
        ("INSERT", LinkEvent),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_a_code_is_redeemed_and_taken_for_no_replay(
    statement: str,
    model: Any,
    redeem: Callable[..., Any],
    reciprocal_code: Callable[..., str],
    link_as_a: Link,
) -> None:
    code = reciprocal_code("playback")

    with fails(statement, _table(model), times=2) as failed:
        answer = redeem(code)

    assert len(failed) == 2
    assert answer.status_code == 200
    tokens = get_access_token_model().objects.filter(application=link_as_a.peer.application)
    assert [token.scope for token in tokens] == ["playback"]
    link_as_a.refresh_from_db()
    assert link_as_a.incoming_state == Link.Incoming.ACTIVE
    assert ReciprocalCode.objects.get().replays == 0
    assert redeem(code).status_code == 400


@pytest.mark.rfc("6749", "6")
def test_a_token_is_renewed(refresh: Callable[..., Any], token_of_a: Any) -> None:
    with fails("INSERT", _table(get_refresh_token_model()), times=2) as failed:
        answer = refresh(token_of_a.raw_refresh)

    assert len(failed) == 2
    assert answer.status_code == 200
    assert refresh(answer.json()["refresh_token"]).status_code == 200


@pytest.mark.rfc("7009", "2.1")
def test_a_token_is_revoked_and_the_link_ends(
    client: Any, token_of_a: Any, application: Any
) -> None:
    with fails("UPDATE", _table(Link), times=2) as failed:
        answer = post_form(
            client,
            {"token": token_of_a.raw_refresh},
            basic(application.client_id, PEER_SECRET),
            "/o/revoke_token/",
        )

    assert len(failed) == 2
    assert answer.status_code == 200
    assert Link.objects.get().status == Link.Status.ENDED


def test_at_the_fourth_time_the_client_is_asked_to_come_again(
    hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    with fails("INSERT", _table(InboxItem), times=100) as failed:
        answer = hand_over(access_token=token_of_a.raw)

    assert len(failed) == 4
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert InboxItem.objects.count() == 0
