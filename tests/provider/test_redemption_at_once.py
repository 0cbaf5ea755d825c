"""One code, many redemptions at the same moment."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, Peer, ReciprocalCode
from reciprocal_oauth.models.links import KEY_UNKNOWN
from reciprocal_oauth.party_a import codes, consent

from .authorization import allow, code_in, exchange

#: Of a hundred, each costs as much as a test of its own.
CODES = int(os.environ.get("RACING_CODES") or 10)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C10", "F13", "I2", "I4")
@pytest.mark.parametrize("count", [4, 20])
@pytest.mark.parametrize("round_", range(3))
def test_of_many_redemptions_one_gets_tokens_and_no_more_than_one_family_lives(
    at_once: Callable[..., list[Any]],
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    count: int,
    round_: int,
) -> None:
    code = reciprocal_code()

    answers = at_once(count, lambda: redeem(code))

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in won_by_one(count)
    assert {answer.json().get("error") for answer in answers} <= {None, "invalid_grant"}
    live = get_refresh_token_model().objects.filter(revoked=None)
    link_as_a.refresh_from_db()
    if live.exists():
        assert live.get().token_family == link_as_a.incoming_family
        assert get_access_token_model().objects.count() == 1
        assert link_as_a.is_two_way
    else:
        # Some came after the winner had committed: a replay.
        assert not get_access_token_model().objects.exists()
        assert link_as_a.incoming_state == Link.Incoming.GRANTED
        assert link_as_a.outbox.filter(state=OutboxItem.State.PENDING).count() == 1
        worker.drain()
        assert ReciprocalCode.objects.filter(state=ReciprocalCode.State.LIVE).count() == 1


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C10", "F13", "I13")
def test_each_of_many_codes_sent_twenty_times_at_once_gives_one_family(
    at_once: Callable[..., list[Any]], peer: Peer, redeem: Callable[..., Any]
) -> None:
    families = set()
    for number in range(CODES):
        code = code_for(get_user_model().objects.create(username=f"user-{number}"), peer)

        statuses = sorted(answer.status_code for answer in at_once(20, lambda c=code: redeem(c)))

        assert statuses in won_by_one(20)
        entry = ReciprocalCode.objects.get(code_hash=hash_of(code))
        refresh_tokens = get_refresh_token_model().objects.filter(user_id=entry.link.user_id)
        assert refresh_tokens.get().token_family == entry.token_family
        families.add(entry.token_family)
    assert len(families) == CODES
    assert None not in families


def won_by_one(count: int) -> list[list[int]]:
    """The statuses of ``count`` redemptions: one gets tokens, unless a replay that came before its
    answer has already cost it the tokens."""
    return [[200] + [400] * (count - 1), [400] * count]


def code_for(user: Any, peer: Peer) -> str:
    link = Link.objects.create(
        user=user,
        peer=peer,
        account_key=KEY_UNKNOWN,
        outgoing_state=Link.Outgoing.ACTIVE,
        incoming_state=Link.Incoming.OFFERED,
        offered_scope="playback",
    )
    consent.allow(link, ["playback"])
    return codes.mint(link, link.generation).reveal()


@pytest.mark.rfc("6749", "6")
@pytest.mark.threat("F14")
def test_many_refreshes_of_one_token_leave_a_token_that_works_or_none(
    at_once: Callable[..., list[Any]],
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    refresh: Callable[..., Any],
) -> None:
    tokens = redeem(reciprocal_code()).json()

    answers = at_once(4, lambda: refresh(tokens["refresh_token"]))

    assert {answer.status_code for answer in answers} <= {200, 400}
    assert get_refresh_token_model().objects.filter(revoked=None).count() <= 1


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("F13", "I13")
def test_many_redemptions_of_an_ordinary_code_open_one_link_and_none_is_an_error(
    at_once: Callable[..., list[Any]], browser: Client, application: Any
) -> None:
    code = code_in(allow(browser, application))

    answers = at_once(4, lambda: exchange(application, code))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert Link.objects.count() == 1
