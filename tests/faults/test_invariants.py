"""A check that cannot fail proves nothing: each is shown a database that is broken its way."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer, QueueItem, ReciprocalCode
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.party_a.codes import mint
from reciprocal_oauth.secret import Secret

from .invariants import OneSite

pytestmark = pytest.mark.django_db

State = QueueItem.State
SITE = OneSite(
    using="default",
    all_scopes=("profile", "playback", "history"),
    attempts={OutboxItem: 10, InboxItem: 7},
    lease_seconds=60,
)


def broken() -> set[str]:
    return {name for name, found in SITE.check().items() if found}


@pytest.fixture
def redeem(make_token: Callable[..., Any]) -> Callable[..., Any]:
    """Leaves the rows of a redeemed code behind, and gives the access token."""

    def leave(link: Link, scope: str = "playback", user: Any = None) -> Any:
        token = make_token(link.peer.application, user or link.user, scope)
        ReciprocalCode.objects.create(
            code_hash=hash_of(uuid.uuid4().hex),
            link=link,
            generation=link.generation,
            application_pk=str(link.peer.application_id),
            state=ReciprocalCode.State.REDEEMED,
            token_family=token.family,
            expires_at=timezone.now(),
        )
        return token

    return leave


@pytest.fixture
def under_way(link_as_a: Link) -> Link:
    """Allowed, with a live code, and the peer has not redeemed it yet."""
    consent.allow(link_as_a, ["playback"])
    mint(link_as_a, link_as_a.generation)
    return link_as_a


@pytest.fixture
def finished(link_as_a: Link, redeem: Callable[..., Any]) -> Link:
    """Allowed, and redeemed."""
    consent.allow(link_as_a, ["playback"])
    token = redeem(link_as_a)
    link_as_a.incoming_state = Link.Incoming.ACTIVE
    link_as_a.incoming_family = token.family
    link_as_a.confirmed_generation = link_as_a.generation
    link_as_a.save()
    done = OutboxItem.final_values(State.DONE, timezone.now(), live_key=None)
    OutboxItem.objects.update(**done)
    return link_as_a


@pytest.mark.threat("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I10")
def test_a_sound_database(finished: Link) -> None:
    assert broken() == set()


def test_a_sound_database_while_a_code_is_under_way(under_way: Link) -> None:
    assert broken() == set()


@pytest.mark.threat("I1")
def test_a_decision_whose_row_is_gone(under_way: Link) -> None:
    OutboxItem.objects.all().delete()

    assert broken() == {"I1"}


@pytest.mark.threat("I1")
def test_a_row_that_ended_without_a_redemption(under_way: Link) -> None:
    done = OutboxItem.final_values(State.DONE, timezone.now(), live_key=None)
    OutboxItem.objects.update(**done)

    assert broken() == {"I1"}


@pytest.mark.threat("I1")
def test_a_replacement_for_a_replayed_code_that_nobody_sends(finished: Link) -> None:
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)

    assert broken() == {"I1"}


@pytest.mark.threat("I1")
def test_a_decision_that_was_given_up_is_not_lost(under_way: Link) -> None:
    failed = OutboxItem.final_values(State.FAILED, timezone.now(), live_key=None)
    OutboxItem.objects.update(**failed)

    assert broken() == set()


@pytest.mark.threat("I2")
def test_a_second_live_family(finished: Link, redeem: Callable[..., Any]) -> None:
    redeem(finished)

    assert broken() == {"I2"}


@pytest.mark.threat("I2")
def test_a_second_family_that_is_revoked(finished: Link, redeem: Callable[..., Any]) -> None:
    get_refresh_token_model().revoke_family(redeem(finished).family)

    assert broken() == set()


@pytest.mark.threat("I3")
def test_tokens_for_which_no_code_was_redeemed(
    finished: Link, make_token: Callable[..., Any]
) -> None:
    make_token(finished.peer.application, finished.user)

    assert broken() == {"I3"}


@pytest.mark.threat("I4")
def test_two_live_codes(under_way: Link) -> None:
    first = ReciprocalCode.objects.get()
    mint(under_way, under_way.generation)
    ReciprocalCode.objects.filter(pk=first.pk).update(state=ReciprocalCode.State.LIVE)

    assert broken() == {"I4"}


@pytest.mark.threat("I4")
def test_a_live_code_without_a_grant(under_way: Link) -> None:
    get_grant_model().objects.all().delete()

    assert broken() == {"I4"}


@pytest.mark.threat("I4")
def test_a_grant_without_a_live_code(under_way: Link) -> None:
    ReciprocalCode.objects.update(state=ReciprocalCode.State.REVOKED)

    assert broken() == {"I4"}


@pytest.mark.threat("I5")
def test_two_links_with_one_account(finished: Link) -> None:
    Link.objects.create(user=finished.user, peer=finished.peer, account_key="family:another")

    assert broken() == {"I5"}


def end(link: Link) -> None:
    """As a careless hand would: nothing but the status changes."""
    Link.objects.filter(pk=link.pk).update(
        status=Link.Status.ENDED, access_token=Secret(""), refresh_token=Secret("")
    )


@pytest.mark.threat("I6")
def test_a_link_that_ended_with_live_tokens(finished: Link) -> None:
    end(finished)
    get_access_token_model().objects.all().delete()

    assert broken() == {"I6"}


@pytest.mark.threat("I6")
def test_a_link_that_ended_with_a_live_code(under_way: Link) -> None:
    end(under_way)
    OutboxItem.objects.all().delete()

    assert broken() == {"I6"}


@pytest.mark.threat("I6")
def test_a_link_that_ended_with_a_hand_over_under_way(under_way: Link) -> None:
    end(under_way)
    ReciprocalCode.objects.all().delete()
    get_grant_model().objects.all().delete()

    assert broken() == {"I6"}


@pytest.mark.threat("I6")
def test_a_link_that_ended_with_a_redemption_under_way(link_as_a: Link) -> None:
    InboxItem.objects.create(peer=link_as_a.peer, link=link_as_a, code=Secret("c"), code_hash="c")
    assert broken() == set()
    end(link_as_a)

    assert broken() == {"I6"}


@pytest.mark.threat("I6")
def test_a_link_that_ended_and_keeps_a_token(link_as_a: Link) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    assert broken() == {"I6"}


@pytest.mark.threat("I7")
def test_tokens_of_another_user_than_the_link(finished: Link, other_user: Any) -> None:
    get_refresh_token_model().objects.update(user=other_user)

    assert broken() == {"I7"}


@pytest.mark.threat("I7")
def test_tokens_of_another_peer_than_the_link(
    finished: Link, make_peer: Callable[..., Peer]
) -> None:
    get_refresh_token_model().objects.update(application=make_peer("other").application)

    assert broken() == {"I7"}


@pytest.mark.threat("I8")
@pytest.mark.parametrize(
    "stuck",
    [
        {"state": State.CLAIMED, "lease_owner": "x", "lease_until": timedelta(seconds=-121)},
        {"state": State.PENDING, "lease_owner": "x", "lease_until": timedelta(seconds=60)},
        {"state": State.PENDING, "attempts": 11},
    ],
)
def test_a_row_that_is_stuck(under_way: Link, stuck: dict[str, Any]) -> None:
    if "lease_until" in stuck:
        stuck = {**stuck, "lease_until": timezone.now() + stuck["lease_until"]}
    OutboxItem.objects.update(**stuck)

    assert broken() == {"I8"}


@pytest.mark.threat("I8")
def test_a_row_that_is_being_worked_on_is_not_stuck(under_way: Link) -> None:
    until = timezone.now() - timedelta(seconds=100)
    OutboxItem.objects.update(state=State.CLAIMED, lease_owner="x", lease_until=until, attempts=10)

    assert broken() == set()


@pytest.mark.threat("I10")
def test_a_token_that_is_wider_than_its_link(finished: Link) -> None:
    get_access_token_model().objects.update(scope="profile playback")

    assert broken() == {"I10"}


@pytest.mark.threat("I10")
def test_a_link_that_is_wider_than_its_peer(finished: Link) -> None:
    Peer.objects.update(allowed_scope="profile")

    assert broken() == {"I10"}


@pytest.mark.threat("I10")
def test_a_peer_that_is_wider_than_the_site(finished: Link) -> None:
    Peer.objects.update(allowed_scope="profile playback everything")

    assert broken() == {"I10"}
