"""Steps (C) and (D): the code is redeemed for tokens, which are stored in the user's link."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Peer

from ..conftest import OUR_SECRET, basic
from ..fakes import FakePeer, token_response
from .visits import begin, connect


@pytest.mark.rfc("6749", "4.1.3")
def test_the_token_request_carries_the_code_the_same_callback_and_the_verifier(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    visit.come_back(code="code with spaces & ümlauts")

    [request] = fake_peer.requests
    form = request.form
    assert (request.method, request.path) == ("POST", "/token/")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert form.pop("code_verifier")
    assert form == {
        "grant_type": "authorization_code",
        "code": "code with spaces & ümlauts",
        "redirect_uri": visit.asked["redirect_uri"],
    }


@pytest.mark.rfc("6749", "2.3.1")
def test_the_client_authenticates_with_basic_and_not_in_the_body(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    connect(browser)

    [request] = fake_peer.requests
    assert request.headers["Authorization"] == basic("us-at-music", OUR_SECRET)["Authorization"]
    assert not {"client_id", "client_secret"} & request.form.keys()


@pytest.mark.rfc("6749", "2.3.1")
def test_the_client_authenticates_in_the_body_and_not_with_basic(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    make_peer("music", fake_peer.url, token_endpoint_auth_method="client_secret_post")
    connect(browser)

    [request] = fake_peer.requests
    assert "Authorization" not in request.headers
    assert request.form["client_id"] == "us-at-music"
    assert request.form["client_secret"] == OUR_SECRET


@pytest.mark.rfc("6749", "5.1")
@pytest.mark.parametrize(
    ("answered", "kept"),
    [
        ({"scope": "play pause"}, "play pause"),
        ({"scope": "listen"}, "listen"),
        ({"scope": ""}, ""),
        ({}, "play"),
        ({"scope": None}, "play"),
        ({"scope": ["play"]}, "play"),
    ],
    ids=["wider", "other", "nothing", "left out", "null", "list"],
)
def test_the_scope_that_was_asked_for_is_the_one_granted_where_the_peer_does_not_say(
    browser: Client, peer: Peer, fake_peer: FakePeer, answered: dict[str, Any], kept: str
) -> None:
    answer = token_response()
    members = {"access_token": "t", "token_type": "bearer", **answered}
    fake_peer.answers["/token/"] = answer.json(**members)

    connect(browser)

    assert Link.objects.get().outgoing_scope == kept


def test_the_tokens_are_kept_with_their_life_on_a_link_of_the_person(
    browser: Client, user: Any, peer: Peer
) -> None:
    now = timezone.now().replace(microsecond=0)
    with time_machine.travel(now, tick=False):
        connect(browser)

    link = Link.objects.get()
    assert (link.user, link.peer, link.is_active) == (user, peer, True)
    assert link.outgoing_state == Link.Outgoing.ACTIVE
    assert link.access_token.reveal() == "token-of-the-peer"
    assert link.refresh_token.reveal() == "refresh-of-the-peer"
    margin = timedelta(seconds=30)
    assert link.access_token_expires_at == now + timedelta(hours=1) - margin


@pytest.mark.threat("X1")
def test_no_token_stands_in_clear_in_the_database(browser: Client, peer: Peer) -> None:
    connect(browser)

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM reciprocal_oauth_link")
        row = str(cursor.fetchall())
    assert "token-of-the-peer" not in row
    assert "refresh-of-the-peer" not in row
    assert row.count("fernet2:") == 2


def test_the_history_shows_the_steps_a_to_d_in_their_order(browser: Client, peer: Peer) -> None:
    connect(browser)

    events = list(LinkEvent.objects.values_list("step", "party", "outcome"))
    assert events == [(step, "A", "ok") for step in "ABCD"]
    times: list[datetime] = list(LinkEvent.objects.values_list("at", flat=True))
    assert times == sorted(times)


@pytest.mark.draft("User Consent")
def test_connecting_alone_gives_the_peer_nothing_here(browser: Client, peer: Peer) -> None:
    connect(browser)

    link = Link.objects.get()
    assert link.incoming_state == Link.Incoming.OFFERED
    assert link.incoming_scope == ""
    assert link.generation == 0
    assert not OutboxItem.objects.exists()
    assert not link.codes.exists()


def test_two_people_who_connect_have_a_link_each(
    browser: Client, other_user: Any, peer: Peer
) -> None:
    bobs = Client()
    bobs.force_login(other_user)

    first, second = connect(browser), connect(bobs)

    assert first["Location"] != second["Location"]
    assert Link.objects.values("user").distinct().count() == 2
