"""The public keys of a peer are fetched seldom, and kept while they can be used."""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from reciprocal_oauth.client import key_fetching
from reciprocal_oauth.models import Peer, PeerKeySet

from ..fakes import FakePeer, Received, Reply
from ..provider.signing import JWKS_PATH, make_key, public, publish

pytestmark = pytest.mark.django_db

NOON = "2030-01-01T12:00:00+00:00"
HOUR = 3600


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def signing_peer(peer: Peer, fake_peer: FakePeer) -> Peer:
    peer.jwks_uri = fake_peer.url + JWKS_PATH
    peer.save()
    return peer


def kids(known: key_fetching.KnownKeys | None) -> list[str] | None:
    return None if known is None else [key.kid for key in known.keys]


@pytest.mark.rfc("7517", "5")
def test_keys_are_used_for_an_hour_and_then_fetched_again(
    signing_peer: Peer, fake_peer: FakePeer, clock: Any
) -> None:
    old, new = make_key(), make_key()
    publish(fake_peer, old)
    assert kids(key_fetching.known_keys(signing_peer)) == [old["kid"]]
    publish(fake_peer, new)

    clock.shift(HOUR - 1)
    assert kids(key_fetching.known_keys(signing_peer)) == [old["kid"]]
    assert len(fake_peer.to(JWKS_PATH)) == 1
    clock.shift(2)
    assert kids(key_fetching.known_keys(signing_peer)) == [new["kid"]]
    assert len(fake_peer.to(JWKS_PATH)) == 2


@pytest.mark.threat("J1")
def test_an_unknown_key_is_looked_for_once_in_a_minute(
    signing_peer: Peer, fake_peer: FakePeer, clock: Any
) -> None:
    publish(fake_peer, make_key())
    key_fetching.known_keys(signing_peer)
    clock.shift(61)
    seen = key_fetching.known_keys(signing_peer)

    assert key_fetching.newer_keys(signing_peer, seen) is not None
    clock.shift(59)
    seen = key_fetching.known_keys(signing_peer)
    assert [key_fetching.newer_keys(signing_peer, seen) for _time in range(20)] == [None] * 20
    assert len(fake_peer.to(JWKS_PATH)) == 2


@pytest.mark.threat("J4")
@pytest.mark.parametrize(
    "response",
    [
        Reply(500, b"down"),
        Reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
        Reply(200, b"<html>"),
        Reply(200, b"[" * 5000),
        Reply(200, b'{"keys": [' + b" " * 10 * 1024 * 1024 + b"]}"),
        Reply.json(keys=[]),
        Reply.json(keys={}),
        Reply.json(keys=["x"]),
        Reply.json(key=[]),
    ],
    ids=lambda response: f"{response.status} {response.body[:12]!r}",
)
def test_the_last_good_keys_are_used_for_a_day(
    signing_peer: Peer,
    fake_peer: FakePeer,
    clock: Any,
    response: Reply,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = make_key()
    publish(fake_peer, key)
    key_fetching.known_keys(signing_peer)
    fake_peer.answers[JWKS_PATH] = response

    clock.shift(24 * HOUR - 1)
    with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
        assert kids(key_fetching.known_keys(signing_peer)) == [key["kid"]]
    assert "cannot be read" in caplog.text
    clock.shift(2)
    assert kids(key_fetching.known_keys(signing_peer)) == []
    assert len(fake_peer.to(JWKS_PATH)) == 2, "the second fetch was less than a minute ago"


@pytest.mark.threat("J7")
@pytest.mark.parametrize(
    "added",
    [
        json.loads(make_key().export()),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {**public(make_key()), "d": "x"},
        {"kty": "RSA", "p": "x"},
    ],
    ids=["private", "symmetric", "d", "p"],
)
def test_a_set_with_a_key_that_is_not_public_is_refused_as_a_whole(
    signing_peer: Peer, fake_peer: FakePeer, added: dict[str, Any]
) -> None:
    fake_peer.answers[JWKS_PATH] = Reply.json(keys=[public(make_key()), added])

    assert kids(key_fetching.known_keys(signing_peer)) == []


def test_twenty_keys_are_enough(signing_peer: Peer, fake_peer: FakePeer, clock: Any) -> None:
    one = public(make_key())
    fake_peer.answers[JWKS_PATH] = Reply.json(keys=[{**one, "kid": str(n)} for n in range(21)])
    assert kids(key_fetching.known_keys(signing_peer)) == []

    clock.shift(61)
    fake_peer.answers[JWKS_PATH] = Reply.json(keys=[{**one, "kid": str(n)} for n in range(20)])
    assert len(key_fetching.known_keys(signing_peer).keys) == 20


@pytest.mark.rfc("7517", "5")
@pytest.mark.threat("J6")
def test_only_keys_that_can_check_a_signature_are_kept(
    signing_peer: Peer, fake_peer: FakePeer
) -> None:
    key = make_key()
    others = [
        public(make_key(), use="enc"),
        public(make_key(), key_ops=["sign"]),
        public(make_key(), alg="ES384"),
        public(make_key(), kid=7),
        public(make_key(crv="P-384")),
        public(make_key("RS256", size=1024)),
        {"kty": "of-the-future", "kid": "x"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    ]
    kept = public(key, use="sig", key_ops=["verify"], alg="ES256", x5c=["x"], more="y")
    fake_peer.answers[JWKS_PATH] = Reply.json(keys=[*others, kept])

    assert kids(key_fetching.known_keys(signing_peer)) == [key["kid"]]
    stored = json.loads(PeerKeySet.objects.get().keys)["keys"]
    assert stored == [public(key, use="sig", key_ops=["verify"], alg="ES256")]


@pytest.mark.threat("J7")
def test_keys_at_a_former_address_are_not_used(signing_peer: Peer, fake_peer: FakePeer) -> None:
    publish(fake_peer, make_key())
    assert kids(key_fetching.known_keys(signing_peer))
    moved = make_key()
    fake_peer.answers["/moved"] = Reply.json(keys=[public(moved)])

    signing_peer.jwks_uri = f"{fake_peer.url}/moved"
    assert kids(key_fetching.known_keys(signing_peer)) == [moved["kid"]]


@pytest.mark.threat("J1", "J4")
def test_of_many_threads_one_fetches_the_first_keys_and_all_get_them(
    shared_database: None,
    signing_peer: Peer,
    fake_peer: FakePeer,
    at_once: Callable[..., list[Any]],
) -> None:
    publish(fake_peer, make_key())

    found = at_once(8, lambda: kids(key_fetching.known_keys(signing_peer)))

    assert all(found)
    assert len(fake_peer.to(JWKS_PATH)) == 1


@pytest.mark.threat("J4")
def test_while_one_thread_waits_for_new_keys_the_others_use_the_old_ones(
    shared_database: None,
    signing_peer: Peer,
    fake_peer: FakePeer,
    at_once: Callable[..., list[Any]],
) -> None:
    key, asked, done = make_key(), threading.Event(), threading.Event()
    publish(fake_peer, key)
    key_fetching.known_keys(signing_peer)

    def hang(request: Received) -> Reply:
        asked.set()
        done.wait(10)
        return Reply.json(keys=[public(key)])

    fake_peer.answers[JWKS_PATH] = hang
    PeerKeySet.objects.update(fetched_at="2020-01-01T12:00:00Z", tried_at=None)
    stale = PeerKeySet.objects.get()
    with time_machine.travel("2020-01-01T14:00:00Z"):
        first = threading.Thread(target=lambda: at_once(1, lambda: kids_of(signing_peer)))
        first.start()
        assert asked.wait(10)
        others = at_once(3, lambda: kids_of(signing_peer))
        done.set()
        first.join(20)

    assert stale.keys
    assert others == [[key["kid"]]] * 3
    assert len(fake_peer.to(JWKS_PATH)) == 2


def kids_of(peer: Peer) -> list[str] | None:
    return kids(key_fetching.known_keys(peer))


@pytest.mark.threat("J4")
def test_nothing_is_fetched_within_a_transaction(
    transactional_db: None, signing_peer: Peer, fake_peer: FakePeer
) -> None:
    from django.db import transaction

    publish(fake_peer, make_key())
    with transaction.atomic():
        assert kids(key_fetching.known_keys(signing_peer)) == []
    assert kids(key_fetching.known_keys(signing_peer))
