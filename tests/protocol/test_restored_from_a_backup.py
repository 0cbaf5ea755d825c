"""A database is restored from yesterday's backup, and what was renewed since is lost. The person
connects again, and sees one connection."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from reciprocal_oauth import get_session
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.exceptions import NotLinked
from reciprocal_oauth.models import Link, Reason
from reciprocal_oauth.models.links import key_of_subject

from ..fakes import FakePeer, Reply, token_response
from ..provider.authorization import log_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("T30")]

Post = Callable[..., Any]


@pytest.fixture
def next_day() -> Iterator[Callable[[], Any]]:
    """Goes on to the next day."""
    with time_machine.travel(timezone.now(), tick=False) as clock:
        yield lambda: clock.shift(timedelta(days=1))


@pytest.fixture
def connect_there(
    browser: Client, application: Any, hand_over: Post
) -> Callable[[str], dict[str, Any]]:
    """The person connects at the peer, which hands over; gives its tokens."""

    def connect(code: str) -> dict[str, Any]:
        tokens = log_in(browser, application)
        assert hand_over(access_token=tokens["access_token"], code=code).status_code == 200
        worker.drain()
        return tokens

    return connect


def knows_no_older_tokens(received: Any) -> Reply:
    """The peer, which has renewed its tokens since the backup, and so forgotten those before."""
    if received.form["grant_type"] == "refresh_token":
        return Reply.json(400, error="invalid_grant")
    return token_response(access_token="new-access", refresh_token="new-refresh")


def cards(browser: Client) -> list[Link]:
    return list(browser.get("/connections/").context["links"])


@pytest.mark.rfc("6749", "6")
def test_who_connects_again_at_the_peer_sees_one_connection(
    browser: Client,
    fake_peer: FakePeer,
    connect_there: Callable[[str], Any],
    next_day: Callable[[], Any],
) -> None:
    connect_there("first")
    old = Link.objects.get()
    assert old.is_two_way
    next_day()
    fake_peer.answers["/token/"] = knows_no_older_tokens

    connect_there("second")

    (new,) = cards(browser)
    assert new.pk != old.pk
    assert new.is_two_way
    old.refresh_from_db()
    assert (old.status, old.incoming_reason) == (Link.Status.ENDED, Reason.REPLACED)
    ended = list(browser.get("/connections/").context["ended"])
    assert ended == [old], "and reads why the other one has ended"


def test_so_does_who_begins_here_as_soon_as_the_old_one_is_found_dead(
    browser: Client, peer: Any, fake_peer: FakePeer, connect_there: Any, next_day: Any
) -> None:
    connect_there("first")
    old = Link.objects.get()
    next_day()
    fake_peer.answers["/token/"] = knows_no_older_tokens
    Link.objects.create(
        user=old.user,
        peer=old.peer,
        account_key=key_of_subject("alice-there"),
        outgoing_state=Link.Outgoing.ACTIVE,
        linked_at=timezone.now(),
    )

    with pytest.raises(NotLinked):
        get_session(old).get(f"{fake_peer.url}/api/")

    (card,) = cards(browser)
    assert card.pk != old.pk


def test_and_who_had_learnt_before_that_the_old_one_is_dead(
    browser: Client, fake_peer: FakePeer, connect_there: Any, next_day: Any
) -> None:
    connect_there("first")
    old = Link.objects.get()
    next_day()
    fake_peer.answers["/token/"] = knows_no_older_tokens
    with pytest.raises(NotLinked):
        get_session(old).get(f"{fake_peer.url}/api/")
    assert cards(browser)[0].outgoing_state == Link.Outgoing.BROKEN

    connect_there("second")

    (card,) = cards(browser)
    assert card.is_two_way


# Two accounts there are two connections


def test_a_second_account_leaves_the_first_alone_that_the_peer_still_knows(
    browser: Client, fake_peer: FakePeer, connect_there: Any, next_day: Any
) -> None:
    connect_there("first")
    next_day()

    connect_there("second")

    assert len([card for card in cards(browser) if card.is_two_way]) == 2


def test_nor_does_it_end_one_that_the_peer_uses_though_ours_there_is_over(
    browser: Client, fake_peer: FakePeer, connect_there: Any, next_day: Any
) -> None:
    connect_there("first")
    next_day()
    Link.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    fake_peer.answers["/token/"] = knows_no_older_tokens

    connect_there("second")

    assert len(cards(browser)) == 2


def test_nor_one_of_another_account_by_its_subject(
    browser: Client, user: Any, peer: Any, fake_peer: FakePeer, next_day: Any
) -> None:
    for name in ("ann", "ben"):
        Link.objects.create(
            user=user,
            peer=peer,
            account_key=key_of_subject(name),
            outgoing_state=Link.Outgoing.ACTIVE,
            refresh_token=f"of-{name}",
            bound_to=peer.binding,
        )
    next_day()
    Link.objects.filter(account_key=key_of_subject("ben")).update(linked_at=timezone.now())
    fake_peer.answers["/token/"] = knows_no_older_tokens

    with pytest.raises(NotLinked):
        get_session(Link.objects.get(account_key=key_of_subject("ann"))).get(f"{fake_peer.url}/a")

    assert len(cards(browser)) == 2


def test_a_peer_that_cannot_be_asked_ends_nothing(
    browser: Client, fake_peer: FakePeer, connect_there: Any, next_day: Any
) -> None:
    connect_there("first")
    next_day()

    def is_down(received: Any) -> Reply:
        if received.form["grant_type"] == "refresh_token":
            return Reply(503)
        return token_response(access_token="new-access")

    fake_peer.answers["/token/"] = is_down

    connect_there("second")

    assert len([card for card in cards(browser) if card.is_two_way]) == 2
