"""Calling a peer as a user: what sites use."""

import gzip
import socket
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.exceptions import (
    AddressRefused,
    NotLinked,
    PeerError,
    ReciprocalError,
    UnknownPeer,
)
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.session import ResponseTooLong

from .client.servers import RawServer, answering
from .conftest import always_had
from .fakes import FakePeer, Reply, token_response
from .names import Names
from .party_a.visits import connect

pytestmark = pytest.mark.django_db(transaction=True)

UNAUTHORIZED = Reply(401, b"", {"WWW-Authenticate": "Bearer"})


@pytest.fixture
def api(link_as_a: Link, fake_peer: FakePeer) -> str:
    """The peer's API; its token endpoint gives new tokens."""
    fake_peer.answers["/api/"] = Reply.json(playing="Blue in Green")
    fake_peer.answers["/token/"] = token_response(access_token="new-token")
    return f"{fake_peer.url}/api/"


@pytest.fixture
def elsewhere() -> Iterator[FakePeer]:
    peer = FakePeer()
    yield peer
    peer.stop()


def _tokens(peer: FakePeer) -> list[str | None]:
    return [each.headers.get("Authorization") for each in peer.to("/api/")]


@pytest.mark.rfc("6750", "2.1")
def test_a_call_carries_the_users_token(
    api: str, user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    with reciprocal_oauth.get_session_for(user, "music") as session:
        response = session.get(api, params={"q": "now"})

    assert response.json() == {"playing": "Blue in Green"}
    assert _tokens(fake_peer) == ["Bearer token-of-the-peer"]


def test_a_token_that_has_run_out_is_refreshed_before_the_call(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))

    reciprocal_oauth.get_session(link_as_a).post(api, json={"track": 1})

    assert _tokens(fake_peer) == ["Bearer new-token"]


@pytest.mark.threat("T63")
def test_a_token_that_lives_20_seconds_is_not_renewed_for_each_call(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    fake_peer.answers["/token/"] = token_response(access_token="brief", expires_in=20)
    session = reciprocal_oauth.get_session(link_as_a)

    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _second in range(20):
            assert session.get(api).status_code == 200
            clock.shift(1)

    assert set(_tokens(fake_peer)) == {"Bearer brief"}
    assert len(fake_peer.to("/token/")) == 2, "after half of its life"


@pytest.mark.threat("T63")
def test_a_token_that_lives_20_seconds_and_cannot_be_renewed_works_for_20_seconds(
    api: str, browser: Client, user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = token_response(refresh_token=None, expires_in=20)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        connect(browser)
        session = reciprocal_oauth.get_session_for(user, "music")
        clock.shift(19)
        assert session.get(api).status_code == 200
        clock.shift(1)
        with pytest.raises(NotLinked):
            session.get(api)


@pytest.mark.rfc("6750", "3.1")
def test_a_token_that_is_refused_is_refreshed_once_and_the_call_repeated(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/api/"] = [UNAUTHORIZED, Reply.json(ok=True)]

    response = reciprocal_oauth.get_session(link_as_a).post(api, json={"track": 1})

    assert response.json() == {"ok": True}
    assert _tokens(fake_peer) == ["Bearer token-of-the-peer", "Bearer new-token"]
    assert [each.body for each in fake_peer.to("/api/")] == ['{"track": 1}'] * 2


@pytest.mark.rfc("6750", "3.1")
def test_a_second_refusal_is_the_answer(api: str, link_as_a: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers["/api/"] = UNAUTHORIZED

    response = reciprocal_oauth.get_session(link_as_a).get(api)

    assert response.status_code == 401
    assert len(fake_peer.to("/api/")) == 2
    assert len(fake_peer.to("/token/")) == 1


def test_without_a_refresh_token_a_refusal_is_the_answer(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    Link.objects.update(refresh_token="")
    fake_peer.answers["/api/"] = UNAUTHORIZED

    assert reciprocal_oauth.get_session(link_as_a).get(api).status_code == 401
    assert len(fake_peer.requests) == 1
    link_as_a.refresh_from_db()
    assert link_as_a.outgoing_state == Link.Outgoing.ACTIVE


def test_a_body_that_can_be_read_only_once_is_not_sent_twice(link_as_a: Link) -> None:
    server = RawServer(answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))

    session = reciprocal_oauth.get_session(link_as_a, allow_hosts=[f"127.0.0.1:{server.port}"])
    response = session.post(server.url, data=(piece for piece in (b"a", b"b")))

    server.stop()
    assert response.status_code == 401
    assert server.connections == 1


@pytest.mark.threat("T2")
def test_a_link_that_the_peer_no_longer_knows_is_none(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/api/"] = UNAUTHORIZED
    fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")
    session = reciprocal_oauth.get_session(link_as_a)

    with pytest.raises(NotLinked):
        session.get(api)
    with pytest.raises(NotLinked):
        session.get(api)

    assert len(fake_peer.to("/api/")) == 1


def test_a_peer_that_cannot_refresh_now_is_an_error_of_ours(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/api/"] = UNAUTHORIZED
    fake_peer.answers["/token/"] = Reply(503, b"")

    with pytest.raises(PeerError):
        reciprocal_oauth.get_session(link_as_a).get(api)


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R60")
def test_ten_calls_of_a_session_ask_a_peer_once_that_wants_to_be_left_alone(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    fake_peer.answers["/token/"] = Reply(429, b"", {"Retry-After": "600"})
    session = reciprocal_oauth.get_session(link_as_a)

    for _ in range(10):
        with pytest.raises(PeerError):
            session.get(api)

    assert len(fake_peer.to("/token/")) == 1
    assert fake_peer.to("/api/") == []


def _inflating(size: int) -> Reply:
    """So many bytes of nothing, in a thousandth of them."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Reply(200, gzip.compress(b" " * size), headers)


@pytest.mark.threat("H82")
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_inflates_without_end_is_not_read_to_its_end(
    api: str, link_as_a: Link, fake_peer: FakePeer, streamed: bool
) -> None:
    fake_peer.answers["/api/"] = _inflating(64 * 1024 * 1024)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLong, match="more than 10485760 bytes") as raised:
            reciprocal_oauth.get_session(link_as_a).get(api, stream=streamed).content  # noqa: B018
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(raised.value, requests.RequestException)
    assert most < 24 * 1024 * 1024


@pytest.mark.threat("H82")
def test_how_much_is_read_of_an_answer_is_for_the_site_and_its_code_to_say(
    api: str, link_as_a: Link, fake_peer: FakePeer, settings: Settings
) -> None:
    fake_peer.answers["/api/"] = _inflating(20)
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SESSION_MAX_RESPONSE_BYTES": 19}

    with pytest.raises(ResponseTooLong):
        reciprocal_oauth.get_session(link_as_a).get(api)

    wider = reciprocal_oauth.get_session_for(link_as_a.user, "music", max_bytes=20)
    assert wider.get(api).content == b" " * 20


@pytest.mark.threat("H82")
@pytest.mark.parametrize("piece", [None, 7])
def test_what_is_read_past_requests_is_counted_as_well(
    api: str, link_as_a: Link, fake_peer: FakePeer, piece: int | None
) -> None:
    fake_peer.answers["/api/"] = Reply(200, b"x" * 1000)
    answer = reciprocal_oauth.get_session(link_as_a, max_bytes=999).get(api, stream=True)

    with pytest.raises(ResponseTooLong):
        list(iter(lambda: answer.raw.read(piece), b""))


def test_a_session_notices_that_its_link_was_ended(api: str, link_as_a: Link) -> None:
    session = reciprocal_oauth.get_session(link_as_a)
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    with pytest.raises(NotLinked):
        session.get(api)


@pytest.mark.threat("H6", "H12")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_the_token_nowhere(
    status: int, api: str, link_as_a: Link, fake_peer: FakePeer, elsewhere: FakePeer
) -> None:
    fake_peer.answers["/api/"] = Reply(status, b"", {"Location": f"{elsewhere.url}/api/"})

    response = reciprocal_oauth.get_session(link_as_a).get(api, allow_redirects=True)

    assert response.status_code == status
    assert elsewhere.requests == []


@pytest.mark.threat("H12")
def test_a_cookie_of_the_peer_is_not_sent_with_the_next_call(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/api/"] = Reply(200, b"", {"Set-Cookie": "user=somebody-else; Path=/"})
    session = reciprocal_oauth.get_session(link_as_a)

    assert session.get(api).cookies["user"] == "somebody-else"
    session.get(api)
    session.get(api, cookies={"mine": "1"})

    assert [each.headers.get("Cookie") for each in fake_peer.requests] == [None, None, "mine=1"]


@pytest.mark.threat("H12")
def test_a_proxy_of_the_environment_does_not_see_the_token(
    api: str, link_as_a: Link, elsewhere: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    monkeypatch.delenv("no_proxy", raising=False)

    reciprocal_oauth.get_session(link_as_a).get(api)

    assert elsewhere.requests == []


class TestHosts:
    """The token goes to the peer's own hosts, and to those that the caller names."""

    @pytest.mark.threat("H12")
    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/api/",
            "https://music.example.evil.example/",
            "https://music.example@evil.example/",
            "http://localhost:9/api/",
            "https://music.example:8443/",
        ],
    )
    def test_another_host_is_refused_before_anything_is_asked(
        self, url: str, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
        Peer.objects.update(homepage="https://music.example/")
        session = reciprocal_oauth.get_session(Link.objects.get())

        with pytest.raises(AddressRefused) as refused:
            session.get(url)

        assert "token-of-the-peer" not in str(refused.value)
        assert fake_peer.requests == []

    def test_the_refusal_says_what_to_do(self, link_as_a: Link) -> None:
        with pytest.raises(AddressRefused, match=r"allow_hosts=\['api\.music\.example'\]"):
            reciprocal_oauth.get_session(link_as_a).get("https://api.music.example/")

    def test_a_host_that_the_caller_names_is_called(
        self, api: str, user: Any, peer: Peer, fake_peer: FakePeer
    ) -> None:
        url = api.replace("127.0.0.1", "localhost")
        session = reciprocal_oauth.get_session_for(
            user, peer, allow_hosts=[f"LOCALHOST:{urlsplit(url).port}"]
        )

        assert session.get(url).status_code == 200
        assert len(_tokens(fake_peer)) == 1

    @pytest.mark.parametrize("is_the_peers_own", [True, False])
    def test_an_international_name_is_called_as_it_is_written(
        self, is_the_peers_own: bool, api: str, link_as_a: Link, fake_peer: FakePeer, names: Names
    ) -> None:
        names.resolve("xn--bcher-kva.localhost", "127.0.0.1")
        url = api.replace("127.0.0.1", "Bücher.localhost")
        if is_the_peers_own:
            always_had(homepage=url)
        allow = [] if is_the_peers_own else [urlsplit(url).netloc]
        session = reciprocal_oauth.get_session(Link.objects.get(), allow_hosts=allow)

        assert session.get(url).status_code == 200
        assert len(_tokens(fake_peer)) == 1

    def test_a_name_of_the_peer_that_nobody_can_call_is_in_nobodys_way(
        self, api: str, link_as_a: Link
    ) -> None:
        Peer.objects.update(homepage="https://*ü.example/")

        assert reciprocal_oauth.get_session(Link.objects.get()).get(api).status_code == 200

    def test_plain_http_to_a_host_elsewhere_is_refused_even_if_it_is_named(
        self, link_as_a: Link
    ) -> None:
        session = reciprocal_oauth.get_session(link_as_a, allow_hosts=["api.music.example"])

        with pytest.raises(AddressRefused, match="https"):
            session.get("http://api.music.example/")


@pytest.mark.threat("X2")
def test_an_error_of_requests_does_not_carry_the_token(link_as_a: Link) -> None:
    server = RawServer(answering(b"garbage\r\n\r\n"))
    session = reciprocal_oauth.get_session(link_as_a, allow_hosts=[f"127.0.0.1:{server.port}"])

    with pytest.raises(requests.ConnectionError) as caught:
        session.get(server.url)

    server.stop()
    assert "token-of-the-peer" not in f"{caught.value!r} {caught.getrepr(showlocals=True)}"


@pytest.mark.threat("R9")
def test_a_name_that_does_not_resolve_is_an_error_of_requests(
    link_as_a: Link, names: Names
) -> None:
    names.resolve("music.example", socket.gaierror(socket.EAI_NONAME, "not known"))
    session = reciprocal_oauth.get_session(link_as_a, allow_hosts=["music.example"])

    with pytest.raises(requests.ConnectionError, match=r"music\.example does not resolve"):
        session.get("https://music.example/api/")


class TestWhichLink:
    """``get_link`` finds a link of this user and peer that can be called with."""

    def test_by_short_name_or_peer(self, link_as_a: Link, user: Any, peer: Peer) -> None:
        assert reciprocal_oauth.get_link(user, "music") == link_as_a
        assert reciprocal_oauth.get_link(user, peer) == link_as_a

    def test_never_that_of_somebody_else(self, link_as_a: Link, other_user: Any) -> None:
        with pytest.raises(NotLinked, match="music"):
            reciprocal_oauth.get_link(other_user, "music")

    def test_of_several_the_one_linked_last(self, link_as_a: Link, user: Any, peer: Peer) -> None:
        newer = Link.objects.create(
            user=user,
            peer=peer,
            account_key="sub:other",
            outgoing_state=Link.Outgoing.ACTIVE,
            access_token=Secret("x"),
        )

        assert reciprocal_oauth.get_link(user, "music") == newer
        assert list(reciprocal_oauth.get_links(user, peer)) == [newer, link_as_a]

    def test_nobody_has_any(self, link_as_a: Link) -> None:
        assert not reciprocal_oauth.get_links(AnonymousUser(), "music").exists()

    @pytest.mark.parametrize(
        "values",
        [
            {"status": Link.Status.ENDED},
            {"outgoing_state": Link.Outgoing.WAITING},
            {"outgoing_state": Link.Outgoing.BROKEN},
        ],
    )
    def test_none_that_does_not_work(
        self, values: dict[str, str], link_as_a: Link, user: Any
    ) -> None:
        Link.objects.update(**values)

        with pytest.raises(NotLinked):
            reciprocal_oauth.get_link(user, "music")

    @pytest.mark.threat("Y3")
    def test_none_of_a_peer_that_is_switched_off(
        self, link_as_a: Link, user: Any, peer: Peer
    ) -> None:
        Peer.objects.update(enabled=False)

        with pytest.raises(NotLinked):
            reciprocal_oauth.get_link(user, peer)
        assert not reciprocal_oauth.get_links(user, "music").exists()

    @pytest.mark.parametrize(
        "look_up",
        [
            reciprocal_oauth.get_link,
            reciprocal_oauth.get_links,
            reciprocal_oauth.get_session_for,
        ],
    )
    @pytest.mark.parametrize(
        ("name", "words"),
        [("musci", "Did you mean “music”?"), ("weather", "The peers are: music.")],
    )
    def test_a_misspelt_name_is_no_missing_link(
        self, look_up: Any, name: str, words: str, link_as_a: Link, user: Any
    ) -> None:
        with pytest.raises(UnknownPeer) as raised:
            look_up(user, name)

        assert f"“{name}”" in str(raised.value)
        assert words in str(raised.value)
        assert not isinstance(raised.value, ReciprocalError)

    def test_a_name_is_looked_up_for_nobody_too(self, peer: Peer) -> None:
        with pytest.raises(UnknownPeer):
            reciprocal_oauth.get_links(AnonymousUser(), "musci")

    def test_without_any_peer_it_says_so(self, user: Any) -> None:
        with pytest.raises(UnknownPeer, match="There are no peers yet"):
            reciprocal_oauth.get_link(user, "music")


def test_a_call_within_a_transaction_is_refused_before_the_peer_is_asked(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    """A rollback would lose the new refresh token, and with it the connection."""
    session = reciprocal_oauth.get_session(link_as_a)

    with transaction.atomic(), pytest.raises(TransactionManagementError, match="ATOMIC_REQUESTS"):
        session.get(api)

    assert fake_peer.requests == []
    assert session.get(api).status_code == 200


@pytest.mark.django_db(transaction=False)
def test_the_transaction_of_a_test_does_not_count(
    api: str, link_as_a: Link, fake_peer: FakePeer
) -> None:
    assert reciprocal_oauth.get_session(link_as_a).get(api).status_code == 200


def test_nobody_has_a_link_who_is_not_signed_in(peer: Peer) -> None:
    with pytest.raises(NotLinked):
        reciprocal_oauth.get_link(AnonymousUser(), peer)
