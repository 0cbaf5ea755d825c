"""Many send the same registration at the same moment."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from django.db import connections
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import inviting, sending

from .other_site import OtherSite, code_in, register, terms

pytestmark = pytest.mark.usefixtures("shared_database")

AT_ONCE = 50


def many(function: Callable[[], Any], times: int = AT_ONCE) -> list[Any]:
    """Call the function again and again in eight threads."""

    def work(_number: int) -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, range(times)))


@pytest.mark.threat("PA3")
def test_one_request_sent_many_times_makes_one_application(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    body = other.registration()

    answers = many(lambda: register(code, body))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    many(lambda: sending.send(Pairing.objects.get(pk=pairing.pk)))
    assert len(other.received) == 1
    assert_one(Pairing.State.COMPLETE)


@pytest.mark.threat("PA3")
def test_of_different_requests_one_wins(
    invited: tuple[Pairing, str], other: OtherSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pairing, code = invited
    numbers = count()

    def send() -> Any:
        name = f"Other {next(numbers) % 5}"
        # Each comes from an address of its own, so that none is slowed down.
        return register(code, other.registration(client_name=name))

    monkeypatch.setattr("reciprocal_oauth.provider.failure_limit.count_unknown_code", lambda: None)
    answers = many(send)

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: AT_ONCE // 5, 401: AT_ONCE - AT_ONCE // 5}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert get_application_model().objects.count() == 0


@pytest.mark.threat("PA3")
def test_the_reverse_registration_sent_many_times_makes_one_peer(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    body = other.registration(reciprocal_registration_token=...)

    answers = many(lambda: register(reverse_token, body))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert_one(Pairing.State.COMPLETE)


def assert_one(state: str) -> None:
    assert Pairing.objects.get().state == state
    assert Peer.objects.count() == get_application_model().objects.count() == 1


@pytest.mark.parametrize("number", range(5))
def test_a_peer_that_is_deleted_while_it_is_renewed_is_gone(
    complete: Pairing, other: OtherSite, number: int
) -> None:
    partner = inviting.look_up(other.issuer)
    renewal, text = inviting.invite(terms(renews=True), partner=partner)
    assert register(code_in(text), other.registration()).status_code == 201
    functions = iter(
        [
            lambda: sending.send(Pairing.objects.get(pk=renewal.pk)),
            lambda: Peer.objects.all().delete(),
        ]
    )

    many(lambda: next(functions)(), times=2)

    assert not Peer.objects.exists()
    states = Pairing.objects.values_list("state", flat=True)
    assert Pairing.State.COMPLETE not in states
