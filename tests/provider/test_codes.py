"""The reciprocal code itself: hard to guess, short-lived, one at a time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from oauth2_provider.models import get_grant_model

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, ReciprocalCode

from ..fakes import FakePeer, Reply

pytestmark = pytest.mark.django_db


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "10.10")
@pytest.mark.threat("C17")
def test_codes_are_long_and_each_attempt_has_its_own(
    link_as_a: Link, reciprocal_code: Callable[..., str], fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(503)
    reciprocal_code()
    for _ in range(5):
        OutboxItem.objects.update(next_attempt_at=timezone.now())
        worker.drain()

    codes = [request.form["code"] for request in fake_peer.to("/token/")]
    assert len(set(codes)) == 6
    assert all(len(code) >= 43 for code in codes), "256 bits in URL-safe base64"
    assert all(len(set(code)) > 15 for code in codes)


@pytest.mark.threat("C17", "I4")
def test_a_new_code_kills_the_one_before(
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
    fake_peer: FakePeer,
) -> None:
    fake_peer.answers["/token/"] = Reply(503)
    first = reciprocal_code()
    OutboxItem.objects.update(next_attempt_at=timezone.now())
    worker.drain()
    second = fake_peer.to("/token/")[-1].form["code"]

    assert [grant.code for grant in get_grant_model().objects.all()] == [second]
    assert redeem(first).status_code == 400
    assert redeem(second).status_code == 200


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C17")
def test_a_code_lives_for_a_minute_from_the_moment_it_is_sent(
    reciprocal_code: Callable[..., str],
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        reciprocal_code()

    assert get_grant_model().objects.get().expires == now + timedelta(seconds=60)
    assert ReciprocalCode.objects.get().expires_at == now + timedelta(seconds=60)


@pytest.mark.threat("X1")
def test_the_ledger_holds_a_hash_and_no_code(reciprocal_code: Callable[..., str]) -> None:
    code = reciprocal_code()

    assert ReciprocalCode.objects.get().code_hash == hash_of(code)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM reciprocal_oauth_reciprocalcode")
        assert code not in str(cursor.fetchall())
        cursor.execute("SELECT * FROM reciprocal_oauth_outboxitem")
        assert code not in str(cursor.fetchall())


@pytest.mark.threat("I4")
def test_the_end_of_another_link_of_the_same_person_leaves_the_code_alone(
    token_of_a: Any,
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Callable[..., Any],
) -> None:
    code = reciprocal_code(link=link_as_a)
    other = Link.objects.exclude(pk=link_as_a.pk).get()

    lifecycle.end_link(other, Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    assert redeem(code).status_code == 200
