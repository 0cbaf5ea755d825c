"""The helpers of ``reciprocal_oauth.testing`` do what their documentation says."""

import subprocess
import sys
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client, TestCase
from django.urls import reverse
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.core.scopes import split
from reciprocal_oauth.delivery.dispatchers import get_dispatcher, wake
from reciprocal_oauth.exceptions import NotLinked
from reciprocal_oauth.models import Link, LinkEvent, OutboxItem
from reciprocal_oauth.testing import (
    FakePeer,
    FakeResponse,
    FakeServer,
    RecordingDispatcher,
    create_peer,
    linked_user,
    recording_dispatcher,
)

from ..party_a.visits import fill_in

pytestmark = pytest.mark.django_db


def test_they_do_not_import_pytest() -> None:
    script = (
        "import django, sys; django.setup(); import reciprocal_oauth.testing;"
        "assert 'pytest' not in sys.modules, 'pytest'"
    )
    env = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)


def test_a_fake_peer_may_be_called_where_the_settings_do_not_allow_loopback(
    settings: Settings,
) -> None:
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": "none", "HTTP_ALLOW_LOOPBACK": False}
    with FakePeer() as fake_peer:
        fake_peer.responses["/api/"] = fake_peer.protected(FakeResponse.json(name="Alice"))
        linked = linked_user(fake_peer)
        session = reciprocal_oauth.get_session_for(linked.user, "music")

        assert session.get(f"{fake_peer.url}/api/").json() == {"name": "Alice"}
    assert settings.RECIPROCAL_OAUTH["HTTP_ALLOW_LOOPBACK"] is False
    with pytest.raises(requests.ConnectionError):
        requests.get(fake_peer.url, timeout=5)


@pytest.fixture
def fake_peer() -> Any:
    with FakePeer() as peer:
        yield peer


def test_a_linked_user_is_linked_both_ways(fake_peer: FakePeer) -> None:
    linked = linked_user(fake_peer)

    assert linked.link.is_two_way
    assert linked.link.linked_at is not None
    assert linked.user.get_username() == "alice"
    assert linked.link.outgoing_scope == "play"
    assert split(linked.link.incoming_scope) == ["profile", "playback", "history"]


def test_the_peer_of_a_linked_user_may_call_this_site(fake_peer: FakePeer, client: Client) -> None:
    linked = linked_user(fake_peer, scope="playback")

    for token, status in ((linked.access_token, 200), ("another", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/playback/", headers=headers).status_code == status


def test_the_peer_of_a_linked_user_may_refresh_its_token(fake_peer: FakePeer) -> None:
    linked = linked_user(fake_peer)

    response = fake_peer.request_token(
        grant_type="refresh_token", refresh_token=linked.refresh_token
    )

    assert response.status_code == 200
    assert response.json()["access_token"] != linked.access_token


def test_several_users_are_linked_with_one_peer(fake_peer: FakePeer) -> None:
    bob = get_user_model().objects.create_user("bob")

    alice_linked, bob_linked = linked_user(fake_peer), linked_user(fake_peer, bob)

    assert alice_linked.peer == bob_linked.peer
    assert (bob_linked.user, bob_linked.link.user) == (bob, bob)


def test_an_expired_access_token_is_refreshed(fake_peer: FakePeer) -> None:
    fake_peer.responses["/api/"] = fake_peer.protected(lambda request: FakeResponse())
    session = reciprocal_oauth.get_session_for(linked_user(fake_peer).user, "music")
    fake_peer.expire_access_tokens()

    assert session.get(f"{fake_peer.url}/api/").status_code == 200
    assert [request.path for request in fake_peer.requests] == ["/api/", "/token/", "/api/"]


def test_a_user_who_ended_the_link_at_the_peer_is_no_longer_linked(fake_peer: FakePeer) -> None:
    fake_peer.responses["/api/"] = fake_peer.protected(FakeResponse())
    linked = linked_user(fake_peer)
    session = reciprocal_oauth.get_session_for(linked.user, "music")
    fake_peer.revoke_all()

    with pytest.raises(NotLinked):
        session.get(f"{fake_peer.url}/api/")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_secret_is_refused(fake_peer: FakePeer, method: str) -> None:
    peer = create_peer(fake_peer, token_endpoint_auth_method=method)
    linked = linked_user(fake_peer, peer=peer)
    fake_peer.client_secret = "another"
    session = reciprocal_oauth.get_session_for(linked.user, peer)
    fake_peer.expire_access_tokens()
    fake_peer.responses["/api/"] = fake_peer.protected(FakeResponse())

    with pytest.raises(reciprocal_oauth.exceptions.PeerRefused, match="invalid_client"):
        session.get(f"{fake_peer.url}/api/")


def test_a_link_that_begins_here(fake_peer: FakePeer, client: Client) -> None:
    """This site is party A."""
    fake_peer.reciprocal = "profile"
    peer = create_peer(fake_peer)
    user = get_user_model().objects.create_user("alice")
    client.force_login(user)

    visit = client.post(reverse("reciprocal_oauth:connect", args=[peer.slug]))
    consent = client.get(fake_peer.authorize(visit["Location"]))
    fill_in(client, consent["Location"], {"answer": "allow", "scopes": ["profile"]})
    with recording_dispatcher() as dispatcher:
        dispatcher.run()
    (handover,) = fake_peer.handovers
    tokens = fake_peer.redeem(handover.code)

    assert tokens.status_code == 200
    assert Link.objects.get().is_two_way
    assert tokens.json()["scope"] == "profile"
    assert fake_peer.redeem(handover.code).status_code == 400


def test_a_link_that_begins_at_the_peer(fake_peer: FakePeer) -> None:
    """This site is party B: the user has given the peer its tokens, which hands a code over."""
    linked = linked_user(fake_peer)
    before = linked.link.access_token

    response = fake_peer.hand_over(linked.access_token)
    with recording_dispatcher() as dispatcher:
        assert dispatcher.run() == 1

    assert response.status_code == 200
    linked.link.refresh_from_db()
    assert linked.link.access_token != before
    assert LinkEvent.objects.filter(link=linked.link, step="F", outcome="ok").exists()
    assert fake_peer.hand_over("no-such-token").status_code == 400


def test_a_token_that_is_revoked_is_recorded(fake_peer: FakePeer) -> None:
    linked = linked_user(fake_peer)
    token = linked.link.refresh_token.reveal()

    with recording_dispatcher() as dispatcher, transaction.atomic():
        linked.link.delete()
        assert dispatcher.due() == [("outbox", OutboxItem.objects.get().pk)]
        dispatcher.run()

    assert fake_peer.revoked == [token]


class TestRecordingDispatcher(TestCase):
    def test_it_is_woken_after_commit(self) -> None:
        fake_peer = self.enterContext(FakePeer())
        dispatcher = self.enterContext(recording_dispatcher())
        linked = linked_user(fake_peer)

        with self.captureOnCommitCallbacks(execute=True):
            fake_peer.hand_over(linked.access_token)

        assert dispatcher.woken == [linked.link]
        assert [queue for queue, _pk in dispatcher.due(linked.link)] == ["inbox"]
        assert fake_peer.requests == []  # It works on demand only.

    def test_it_forgets_what_was_before(self) -> None:
        with recording_dispatcher() as dispatcher:
            wake()
            assert dispatcher.woken == [None]
        with recording_dispatcher() as dispatcher:
            assert dispatcher.woken == []
            assert get_dispatcher() is dispatcher
        assert not isinstance(get_dispatcher(), RecordingDispatcher)


class TestFakeServer:
    @pytest.fixture
    def server(self) -> Any:
        with FakeServer() as server:
            yield server

    def test_it_responds_with_the_bytes_that_it_is_given(self, server: FakeServer) -> None:
        server.responses["/a"] = [FakeResponse(201, b"x", {"X-A": "1"}), FakeResponse(500)]

        first, second, third = (requests.put(f"{server.url}/a", timeout=5) for _ in range(3))

        assert (first.status_code, first.content, first.headers["X-A"]) == (201, b"x", "1")
        assert (second.status_code, third.status_code) == (500, 500)
        assert requests.get(f"{server.url}/b", timeout=5).status_code == 404

    def test_it_records_requests(self, server: FakeServer) -> None:
        requests.post(f"{server.url}/a?x=1", data={"b": "2"}, timeout=5)

        (received,) = server.to("/a")
        assert (received.method, received.form) == ("POST", {"b": "2"})

    def test_a_form_that_repeats_a_field_is_an_error(self, server: FakeServer) -> None:
        requests.post(f"{server.url}/a", data="b=1&b=2", timeout=5)

        with pytest.raises(ValueError, match="repeated"):
            _ = server.requests[0].form
