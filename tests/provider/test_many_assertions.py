"""Many assertions of a peer: forged ones cost little, and good ones are never refused."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from jwcrypto.jws import JWS

from reciprocal_oauth.models import PeerKeySet

from ..conftest import post_form
from ..fakes import FakePeer, Received, Reply
from .signing import (
    JWKS_PATH,
    Signer,
    claims_of,
    make_key,
    parameters,
    public,
    publish,
    sign,
)

pytestmark = pytest.mark.django_db

NOON = "2030-01-01T12:00:00+00:00"
HOUR = 3600
AtOnce = Callable[..., list[Any]]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The algorithms of the signatures that were checked."""
    seen: list[str] = []
    verify = JWS.verify

    def counting(self: Any, key: Any, alg: Any = None, *args: Any, **kwargs: Any) -> Any:
        seen.append(alg)
        return verify(self, key, alg, *args, **kwargs)

    monkeypatch.setattr(JWS, "verify", counting)
    return seen


def refresh(assertion: str, client: Client | None = None) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": "unknown", **parameters(assertion)}
    return post_form(client or Client(), form, {})


def statuses(responses: list[Any]) -> set[int]:
    return {each.status_code for each in responses}


@pytest.mark.threat("J1", "D1")
def test_a_flood_of_forged_assertions_costs_ten_checks_and_one_fetch(
    signer: Signer, fake_peer: FakePeer, checked: list[str]
) -> None:
    stranger = make_key(kid=signer.key["kid"])

    with time_machine.travel(NOON, tick=False) as clock:
        answers = []
        for _request in range(100):
            clock.shift(0.1)
            answers.append(refresh(sign(stranger, claims_of(signer.client_id))))

    assert [each.status_code for each in answers] == [401] * 10 + [429] * 90
    assert answers[-1]["Retry-After"] == "60"
    assert len(checked) == 10
    assert len(fake_peer.to(JWKS_PATH)) == 1


@pytest.mark.threat("J1", "D1")
def test_a_flood_that_comes_at_once_does_not_either(
    signer: Signer, fake_peer: FakePeer, checked: list[str], at_once: AtOnce
) -> None:
    stranger = make_key(kid=signer.key["kid"])

    answers = at_once(30, lambda: refresh(sign(stranger, claims_of(signer.client_id))))

    assert statuses(answers) == {401, 429}
    assert len(checked) == 10
    assert len(fake_peer.to(JWKS_PATH)) == 1


@pytest.mark.threat("J1")
def test_a_flood_that_names_new_keys_makes_no_further_requests(
    signer: Signer, fake_peer: FakePeer, checked: list[str]
) -> None:
    assert refresh(signer.assertion()).status_code == 400
    checked.clear()

    for number in range(50):
        last = refresh(sign(signer.key, claims_of(signer.client_id), kid=str(number)))

    assert last.status_code == 429
    assert len(fake_peer.to(JWKS_PATH)) == 1
    assert checked == []


@pytest.mark.threat("J1")
def test_a_flood_hinders_only_its_own_address_and_only_for_a_minute(signer: Signer) -> None:
    stranger = make_key(kid=signer.key["kid"])

    with time_machine.travel(NOON, tick=False) as clock:
        for _request in range(20):
            refresh(sign(stranger, claims_of(signer.client_id)))

        assert refresh(signer.assertion()).status_code == 429
        assert refresh(signer.assertion(), Client(REMOTE_ADDR="192.0.2.7")).status_code == 400
        clock.shift(61)
        assert refresh(signer.assertion()).status_code == 400


@pytest.mark.threat("J1")
def test_good_assertions_are_not_counted(signer: Signer, at_once: AtOnce) -> None:
    assert statuses(at_once(25, lambda: refresh(signer.assertion()))) == {400}
    assert statuses([refresh(signer.assertion()) for _request in range(25)]) == {400}


# The key of the peer changes


@pytest.mark.threat("J9")
@pytest.mark.rfc("OpenID Connect Core 1.0", "10.1.1")
def test_no_request_is_refused_while_the_peer_replaces_its_key(
    signer: Signer, fake_peer: FakePeer, at_once: AtOnce
) -> None:
    old, new = signer.key, make_key()

    def traffic() -> set[int]:
        return statuses(at_once(6, lambda: refresh(signer.assertion())))

    with time_machine.travel(NOON, tick=False) as clock:
        assert traffic() == {400}
        publish(fake_peer, old, new)
        clock.shift(HOUR / 2)
        assert traffic() == {400}
        clock.shift(2 * HOUR)
        signer.key = new
        assert traffic() == {400}
        signer.key = old  # A process of the peer is late.
        assert traffic() == {400}
        clock.shift(24 * HOUR)
        publish(fake_peer, new)
        signer.key = new
        assert traffic() == {400}
    assert len(fake_peer.to(JWKS_PATH)) == 3


@pytest.mark.threat("J9")
def test_a_key_that_was_replaced_in_a_hurry_is_found_at_once(
    signer: Signer, fake_peer: FakePeer, at_once: AtOnce
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        assert refresh(signer.assertion()).status_code == 400
        old, signer.key = signer.assertion(exp=int(time.time()) + 300), make_key()
        publish(fake_peer, signer.key)
        clock.shift(61)

        assert statuses(at_once(6, lambda: refresh(signer.assertion()))) == {400}
        assert len(fake_peer.to(JWKS_PATH)) == 2
        clock.shift(61)
        assert refresh(old).status_code == 401


@pytest.mark.threat("J4", "J9")
def test_a_peer_is_told_to_try_again_while_nobody_knows_its_new_key(
    signer: Signer, fake_peer: FakePeer
) -> None:
    """With status 401, the peer would stop to send."""
    with time_machine.travel(NOON, tick=False) as clock:
        assert refresh(signer.assertion()).status_code == 400
        signer.key = make_key()
        publish(fake_peer, signer.key)
        clock.shift(30)

        response = refresh(signer.assertion())
        assert (response.status_code, response["Retry-After"]) == (503, "60")
        assert response.json() == {"error": "temporarily_unavailable"}
        clock.shift(31)
        assert refresh(signer.assertion()).status_code == 400


# The site of the keys


@pytest.mark.threat("J4")
@pytest.mark.parametrize("where", ["token", "revoke_token", "introspect"])
def test_if_the_keys_cannot_be_fetched_the_peer_is_told_to_try_again(
    signer: Signer, fake_peer: FakePeer, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake_peer.answers[JWKS_PATH] = Reply(500, b"down")
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}

    with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
        response = post_form(Client(), {**form, **signer.authentication()}, {}, f"/o/{where}/")

    assert (response.status_code, response["Retry-After"]) == (503, "60")
    assert "HTTP 500" in caplog.text


@pytest.mark.threat("J4")
def test_a_redirect_to_other_keys_is_not_followed(signer: Signer, fake_peer: FakePeer) -> None:
    stranger = make_key(kid=signer.key["kid"])
    fake_peer.answers["/elsewhere"] = Reply.json(keys=[public(stranger)])
    fake_peer.answers[JWKS_PATH] = Reply(302, b"", {"Location": f"{fake_peer.url}/elsewhere"})

    assert refresh(sign(stranger, claims_of(signer.client_id))).status_code == 503
    assert fake_peer.to("/elsewhere") == []


@pytest.mark.threat("J4")
def test_a_slow_site_of_the_keys_makes_one_request_wait(
    signer: Signer, fake_peer: FakePeer, settings: Any, at_once: AtOnce
) -> None:
    assert refresh(signer.assertion()).status_code == 400
    asked, done = threading.Event(), threading.Event()

    def hang(request: Received) -> Reply:
        asked.set()
        done.wait(20)
        return Reply(500, b"")

    fake_peer.answers[JWKS_PATH] = hang
    PeerKeySet.objects.update(fetched_at="2030-01-01T10:00:00Z", tried_at=None)
    late: list[int] = []
    with time_machine.travel(NOON):
        waiting = threading.Thread(
            target=lambda: late.extend(
                each.status_code for each in at_once(1, lambda: refresh(signer.assertion()))
            )
        )
        waiting.start()
        assert asked.wait(10)
        others = at_once(3, lambda: refresh(signer.assertion()))
        done.set()
        waiting.join(20)

    assert statuses(others) == {400}
    assert late == [400]
