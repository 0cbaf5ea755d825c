"""Step (E): which access tokens a code may come with, and what is kept of it."""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import InboxItem, Link, LinkEvent, Peer, Step
from reciprocal_oauth.signals import handover_received

from ..conftest import PEER_SECRET, basic
from ..fakes import FakePeer, Reply
from ..provider.authorization import log_in

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
MakeToken = Callable[..., Any]

State = InboxItem.State


def assert_invalid_grant(response: Any) -> None:
    """The same bytes for every fault of the access token: nobody learns whose token he has."""
    assert (response.status_code, response.content) == (400, b'{"error": "invalid_grant"}')
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in response
    assert not InboxItem.objects.exists()


@pytest.mark.draft("Reciprocal Authorization Code")
def test_the_code_is_kept_encrypted_on_the_link_of_the_access_token(
    hand_over: HandOver, token_of_a: Any, peer: Peer, user: Any
) -> None:
    hand_over(access_token=token_of_a.raw)

    item = InboxItem.objects.get()
    assert (item.peer, item.link.user, item.state) == (peer, user, State.PENDING)
    assert item.code.reveal() == "code-of-party-a"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM reciprocal_oauth_inboxitem")
        assert "code-of-party-a" not in str(cursor.fetchall())
    assert LinkEvent.objects.filter(link=item.link, step=Step.E, party="B").count() == 1


@pytest.mark.threat("T64")
def test_a_long_access_token_of_this_site_is_known(
    hand_over: HandOver, make_token: MakeToken, peer: Peer, user: Any
) -> None:
    """A JWT that carries a good deal."""
    jwt = "x" * 8192
    make_token(peer.application, user, token=jwt)

    assert hand_over(access_token=jwt).status_code == 200
    assert InboxItem.objects.get().link.user == user


# Access tokens that are refused


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B6")
def test_a_token_of_another_client_is_refused_and_stays_as_it_is(
    hand_over: HandOver, token_of_a: Any, make_peer: Callable[..., Peer]
) -> None:
    """ "Party B MUST then verify the access token was granted to the client identified by the
    client_id"."""
    make_peer("other")
    before = get_access_token_model().objects.values().get()

    response = hand_over(
        access_token=token_of_a.raw,
        client_id="other-here",
        headers=basic("other-here", PEER_SECRET),
    )

    assert_invalid_grant(response)
    assert get_access_token_model().objects.values().get() == before
    assert Link.objects.get().inbox.count() == 0


def unknown(token: Any) -> str:
    return "no-such-token"


def in_other_case(token: Any) -> str:
    return token.raw.swapcase()


def with_a_space(token: Any) -> str:
    return token.raw + " "


def the_refresh_token(token: Any) -> str:
    return token.raw_refresh


def expired(token: Any) -> str:
    type(token).objects.update(expires=timezone.now())
    return token.raw


def revoked(token: Any) -> str:
    token.revoke()
    return token.raw


def without_user(token: Any) -> str:
    type(token).objects.update(user=None)
    return token.raw


def of_an_inactive_user(token: Any) -> str:
    get_user_model().objects.update(is_active=False)
    return token.raw


def of_a_deleted_user(token: Any) -> str:
    get_user_model().objects.all().delete()
    return token.raw


def without_application(token: Any) -> str:
    type(token).objects.update(application=None)
    return token.raw


def of_a_link_that_ended(token: Any) -> str:
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=False)
    return token.raw


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("B7", "B8", "F15")
@pytest.mark.parametrize(
    "spoil",
    [
        unknown,
        in_other_case,
        with_a_space,
        the_refresh_token,
        expired,
        revoked,
        without_user,
        of_an_inactive_user,
        of_a_deleted_user,
        without_application,
        of_a_link_that_ended,
    ],
)
def test_a_token_that_stands_for_no_user_of_this_peer_is_refused(
    hand_over: HandOver, token_of_a: Any, spoil: Callable[[Any], str]
) -> None:
    assert_invalid_grant(hand_over(access_token=spoil(token_of_a)))


@pytest.mark.threat("B80")
@pytest.mark.parametrize("whose", ["another client's", "nobody's", "another user's code"])
def test_who_runs_this_site_reads_which_peer_sends_what_is_not_its_own(
    hand_over: HandOver,
    token_of_a: Any,
    make_token: MakeToken,
    make_peer: Callable[..., Peer],
    application: Any,
    other_user: Any,
    caplog: pytest.LogCaptureFixture,
    whose: str,
) -> None:
    if whose == "another client's":
        response = hand_over(access_token=make_token(make_peer("tv").application, other_user).raw)
    elif whose == "nobody's":
        response = hand_over(access_token="made-up")
    else:
        hand_over(access_token=token_of_a.raw)
        response = hand_over(access_token=make_token(application, other_user).raw)

    assert response.status_code == 400
    said = [each for each in caplog.records if each.name.startswith("reciprocal_oauth")]
    assert [each.levelname for each in said] == ["WARNING"]
    assert f"(peer music, client {application.client_id})" in said[0].getMessage()
    assert "made-up" not in caplog.text


@pytest.mark.threat("B80", "B1")
def test_what_anybody_can_send_is_no_warning(
    hand_over: HandOver, application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    response = hand_over(headers=basic(application.client_id, "wrong"))

    assert response.status_code == 401
    assert not [
        each
        for each in caplog.records
        if each.name.startswith("reciprocal_oauth") and each.levelname != "INFO"
    ]


@pytest.mark.threat("B7")
def test_a_token_of_another_client_takes_as_long_as_an_unknown_one(
    hand_over: HandOver,
    token_of_a: Any,
    make_peer: Callable[..., Peer],
    make_token: MakeToken,
    user: Any,
) -> None:
    expired = make_token(make_peer("other").application, user, expires=timezone.now())
    times: dict[str, list[float]] = {
        token: []
        for token in ("no-such-token", token_of_a.raw, token_of_a.raw.upper(), expired.raw)
    }
    for _ in range(50):
        for token, taken in times.items():
            begun = time.perf_counter()
            hand_over(
                access_token=token,
                client_id="other-here",
                headers=basic("other-here", PEER_SECRET),
            )
            taken.append(time.perf_counter() - begun)

    medians = [statistics.median(taken) for taken in times.values()]
    assert max(medians) - min(medians) < 0.02


@pytest.mark.threat("F24")
def test_an_id_token_is_no_access_token(
    openid_connect: None, browser: Client, hand_over: HandOver, peer: Peer
) -> None:
    Peer.objects.update(allowed_scope="openid playback")
    type(peer.application).objects.update(algorithm="RS256")
    tokens = log_in(browser, peer.application, "openid playback")
    assert "id_token" in tokens

    assert_invalid_grant(hand_over(access_token=tokens["id_token"]))
    assert hand_over(access_token=tokens["access_token"]).status_code == 200


# Answering


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B18")
def test_the_answer_does_not_wait_for_the_redemption(
    hand_over: HandOver, token_of_a: Any, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(500)

    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert fake_peer.requests == []


@pytest.mark.django_db(transaction=True)
def test_sites_are_told_of_a_code_once_it_is_committed(
    hand_over: HandOver, token_of_a: Any
) -> None:
    told: list[Link] = []

    def receiver(sender: type, link: Link, **rest: Any) -> None:
        assert not connection.in_atomic_block
        told.append(link)

    handover_received.connect(receiver)
    try:
        hand_over(access_token=token_of_a.raw)
        hand_over(access_token=token_of_a.raw)
        hand_over(access_token="no-such-token")
    finally:
        handover_received.disconnect(receiver)

    assert told == [Link.objects.get()]


@pytest.mark.threat("B7")
def test_a_token_is_good_to_its_last_second(hand_over: HandOver, token_of_a: Any) -> None:
    with time_machine.travel(token_of_a.expires, tick=False):
        assert_invalid_grant(hand_over(access_token=token_of_a.raw))
    with time_machine.travel(token_of_a.expires - timedelta(seconds=1), tick=False):
        assert hand_over(access_token=token_of_a.raw).status_code == 200
