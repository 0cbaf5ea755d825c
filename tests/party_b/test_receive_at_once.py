"""One hand-over, many times at the same moment."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B12", "I5")
def test_the_same_hand_over_twenty_times_at_once_is_redeemed_once(
    at_once: Callable[..., list[Any]], token_of_a: Any, application: Any, fake_peer: FakePeer
) -> None:
    def hand_over() -> Any:
        parameters = {
            "grant_type": GRANT_TYPE,
            "code": "code-of-party-a",
            "client_id": application.client_id,
            "access_token": token_of_a.raw,
        }
        return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))

    answers = at_once(20, hand_over)

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"{}")}
    assert InboxItem.objects.count() == 1
    at_once(4, worker.drain)
    assert len(fake_peer.to("/token/")) == 1
    assert Link.objects.get().is_two_way


@pytest.mark.threat("B12")
def test_a_person_without_a_link_gets_one_however_many_hand_overs_come_at_once(
    at_once: Callable[..., list[Any]],
    make_token: Callable[..., Any],
    application: Any,
    user: Any,
) -> None:
    token = make_token(application, user)

    def hand_over() -> Any:
        parameters = {
            "grant_type": GRANT_TYPE,
            "code": "code-of-party-a",
            "client_id": application.client_id,
            "access_token": token.raw,
        }
        return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))

    answers = at_once(8, hand_over)

    assert {answer.status_code for answer in answers} == {200}
    assert InboxItem.objects.count() == 1
    assert Link.objects.count() == 1
