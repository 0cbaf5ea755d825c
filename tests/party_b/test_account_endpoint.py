"""As party B, this site asks which account was connected after it has redeemed the code."""

from typing import Any

import pytest

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, Peer

from ..conftest import always_had
from ..fakes import FakePeer, Received, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(hand_over: Any, token_of_a: Any, fake_peer: FakePeer) -> None:
    """A code of the peer waits to be redeemed, and the peer has an account endpoint."""
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    always_had(account_endpoint=f"{fake_peer.url}/api/me/", account_member="username")


def test_the_account_is_named_once_the_code_is_redeemed(waiting: None, fake_peer: FakePeer) -> None:
    fake_peer.answers["/api/me/"] = Reply.json(username="alice@music.example")

    worker.drain()

    assert Link.objects.get().account_name == "alice@music.example"
    (asked,) = fake_peer.to("/api/me/")
    assert asked.headers["Authorization"] == "Bearer token-of-the-peer"


def test_the_tokens_are_saved_before_the_name_is_asked(
    waiting: None, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def name_of(peer: Peer, access_token: Any) -> str:
        asked.append(peer.slug)
        raise RuntimeError("the process is killed")

    monkeypatch.setattr("reciprocal_oauth.client.account_endpoint.name_of", name_of)

    worker.drain()

    assert asked == ["music"]
    assert Link.objects.get().is_two_way
    assert InboxItem.objects.get().state == InboxItem.State.DONE


@pytest.mark.threat("L82")
def test_without_a_name_the_link_works_all_the_same(waiting: None, fake_peer: FakePeer) -> None:
    fake_peer.answers["/api/me/"] = Reply(500)

    worker.drain()

    link = Link.objects.get()
    assert (link.is_two_way, link.account_name) == (True, "")


@pytest.mark.threat("X51")
def test_the_token_is_not_sent_to_another_site(waiting: None, fake_peer: FakePeer) -> None:
    elsewhere = FakePeer()
    Peer.objects.update(account_endpoint=f"{elsewhere.url}/api/me/")

    worker.drain()
    elsewhere.stop()

    assert Link.objects.get().is_two_way
    assert elsewhere.requests == []


def test_nothing_is_asked_if_the_peer_refuses_the_code(waiting: None, fake_peer: FakePeer) -> None:
    def refuse(_request: Received) -> Reply:
        return Reply.json(400, error="invalid_grant")

    fake_peer.answers["/token/"] = refuse

    worker.drain()

    assert fake_peer.to("/api/me/") == []


def test_a_name_of_former_tokens_does_not_stay(waiting: None, fake_peer: FakePeer) -> None:
    """The new code can be for another account."""
    Link.objects.update(account_name="work@music.example")
    fake_peer.answers["/api/me/"] = Reply(500)

    worker.drain()

    assert Link.objects.get().account_name == ""
