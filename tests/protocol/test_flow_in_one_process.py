"""The flow of the draft seen from one side at a time, the other side being a fake peer."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer

from ..conftest import OUR_SECRET, PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import fill_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.draft("Reciprocal Authorization Flow")
def test_party_a_connects_asks_hands_over_and_is_redeemed(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    redeemed: list[Any] = []

    def take_handover(received: Received) -> Reply:
        if received.form["grant_type"] != GRANT_TYPE:
            return token_response(reciprocal="playback unknown-here")
        # Party B redeems at our token endpoint, before or after its answer.
        redeemed.append(
            post_form(
                Client(),
                {"grant_type": "authorization_code", "code": received.form["code"]},
                basic(peer.application.client_id, PEER_SECRET),
            )
        )
        return Reply()

    fake_peer.answers["/token/"] = take_handover

    started = browser.post("/connections/music/connect/")
    asked = parse_qs(urlsplit(started["Location"]).query)
    returned = browser.get(
        "/connections/music/callback/",
        {"code": "code-of-b", "state": asked["state"][0], "iss": peer.issuer},
    )

    link = Link.objects.get()
    assert returned.status_code == 303
    assert returned["Location"] == f"/connections/links/{link.pk}/consent/"
    assert link.offered_scope == "playback"

    page = browser.get(returned["Location"])
    assert "Control what is playing" in page.content.decode()
    fill_in(browser, returned["Location"], {"answer": "allow", "scopes": ["playback"]})
    worker.drain()

    assert redeemed[0].status_code == 200, redeemed[0].content
    assert redeemed[0].json()["scope"] == "playback"
    handover = fake_peer.to("/token/")[1]
    assert handover.form["access_token"] == "token-of-the-peer"
    assert handover.form["client_id"] == "us-at-music"
    assert handover.headers["Authorization"] == basic("us-at-music", OUR_SECRET)["Authorization"]
    link.refresh_from_db()
    assert link.is_two_way
    assert OutboxItem.objects.get().state == OutboxItem.State.DONE


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.draft("Reciprocal Authorization Code")
def test_party_b_takes_a_code_answers_and_redeems_it(
    hand_over: Callable[..., Any], peer: Peer, fake_peer: FakePeer, token_of_a: Any
) -> None:
    response = hand_over(access_token=token_of_a.raw)

    assert (response.status_code, response.content) == (200, b"{}"), response.content
    worker.drain()

    redemption = fake_peer.to("/token/")[0].form
    assert redemption == {"grant_type": "authorization_code", "code": "code-of-party-a"}
    link = Link.objects.get()
    assert link.is_two_way
    assert link.access_token.reveal() == "token-of-the-peer"
    assert InboxItem.objects.get().state == InboxItem.State.DONE
