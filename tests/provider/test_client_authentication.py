"""What checking a client's secret costs: little for who has it, and little for who guesses."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth import oauth2_urls
from reciprocal_oauth.models import Peer
from reciprocal_oauth.provider import failure_limit, verified_secrets

from ..conftest import PEER_SECRET, basic, post_form

#: Where clients authenticate beside the token endpoint; the last one only in later releases of DOT.
AUTHENTICATING = [
    path
    for path in ("revoke_token", "introspect", "device-authorization", "par")
    if path in {str(each.pattern).rstrip("/") for each in oauth2_urls.urlpatterns}
]

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]
NOON = "2030-01-01T12:00:00+00:00"
WRONG = basic("music-here", "wrong")


class BrokenCache(LocMemCache):
    """A cache whose server is gone."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no cache here")

    add = set = incr = decr = get


def change_secret(application: Any, secret: str) -> None:
    application = get_application_model().objects.get(pk=application.pk)
    application.client_secret = secret
    application.save()


# Wrong ones are limited


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("D1", "F17")
@pytest.mark.parametrize(
    "grant", ["urn:ietf:params:oauth:grant-type:reciprocal", "authorization_code", "refresh_token"]
)
def test_a_flood_of_wrong_secrets_is_turned_away_before_it_is_hashed(
    application: Any, hashed: list[str], grant: str
) -> None:
    parameters = {
        "grant_type": grant,
        "code": "x",
        "access_token": "x",
        "refresh_token": "x",
        "client_id": application.client_id,
    }

    with time_machine.travel(NOON, tick=False) as clock:
        answers = []
        for _request in range(200):
            clock.shift(0.05)
            answers.append(post_form(Client(), parameters, WRONG))

    statuses = [answer.status_code for answer in answers]
    assert len(hashed) <= 10
    assert set(statuses[:5]) == {401}
    assert set(statuses[10:]) == {429}
    last = answers[-1]
    assert last.json() == {"error": "temporarily_unavailable"}
    assert last["Retry-After"] == "60"
    assert last["Content-Type"] == "application/json"
    assert last["Cache-Control"] == "no-store"


@pytest.mark.threat("D1")
def test_a_minute_later_it_is_checked_again(hand_over: HandOver, hashed: list[str]) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for _request in range(11):
            last = hand_over(headers=WRONG)
        assert last.status_code == 429
        clock.shift(61)

        assert hand_over(headers=WRONG).status_code == 401
    assert len(hashed) == 11


@pytest.mark.threat("D1")
def test_guesses_at_one_client_or_from_one_address_hinder_no_other(
    hand_over: HandOver, make_peer: Callable[..., Peer], token_of_a: Any
) -> None:
    other = make_peer("other").application
    for _request in range(11):
        blocked = hand_over(headers=WRONG)
    assert blocked.status_code == 429

    from_elsewhere = post_form(
        Client(REMOTE_ADDR="192.0.2.7"),
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:reciprocal",
            "code": "x",
            "client_id": "music-here",
            "access_token": token_of_a.raw,
        },
        basic("music-here", PEER_SECRET),
    )
    another_client = hand_over(
        client_id=other.client_id, headers=basic(other.client_id, PEER_SECRET)
    )

    assert from_elsewhere.status_code == 200
    assert another_client.json() == {"error": "invalid_grant"}


@pytest.mark.threat("D1")
def test_a_peer_that_was_here_before_gets_through_a_flood_from_its_own_address(
    hand_over: HandOver, token_of_a: Any
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    for _request in range(20):
        flood = hand_over(headers=WRONG)
    assert flood.status_code == 429

    assert hand_over(access_token=token_of_a.raw, code="another").status_code == 200


@pytest.mark.threat("D1")
def test_right_secrets_are_not_counted(
    hand_over: HandOver, token_of_a: Any, settings: Any, hashed: list[str]
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "VERIFIED_SECRETS_KEPT": 0}

    statuses = {hand_over(access_token=token_of_a.raw).status_code for _request in range(30)}

    assert statuses == {200}
    assert len(hashed) == 30


@pytest.mark.threat("D1")
def test_the_limit_can_be_switched_off(
    hand_over: HandOver, settings: Any, hashed: list[str]
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "CLIENT_AUTH_FAILURES_PER_MINUTE": 0}

    assert {hand_over(headers=WRONG).status_code for _request in range(30)} == {401}
    assert len(hashed) == 30


@pytest.mark.threat("D1")
def test_secrets_that_are_checked_after_a_request_are_not_counted_for_its_address(
    hand_over: HandOver, application: Any, settings: Any
) -> None:
    """Such as those that a command of the site checks, in the same thread."""
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "CLIENT_AUTH_FAILURES_PER_MINUTE": 1}
    assert hand_over(headers=WRONG).status_code == 401

    for _check in range(3):
        failure_limit.count_failure(application.client_secret)


@pytest.mark.threat("D1")
@pytest.mark.parametrize("backend", [f"{__name__}.BrokenCache", "dummy"])
def test_without_a_cache_that_counts_nobody_is_kept_out(
    hand_over: HandOver,
    token_of_a: Any,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    backend: str,
) -> None:
    if backend == "dummy":
        backend = "django.core.cache.backends.dummy.DummyCache"
    settings.CACHES = {"default": {"BACKEND": backend}}

    with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
        statuses = {hand_over(headers=WRONG).status_code for _request in range(20)}

    assert statuses == {401}
    assert "no limit is applied" in caplog.text
    assert hand_over(access_token=token_of_a.raw).status_code == 200


@pytest.mark.threat("D1")
def test_addresses_that_a_client_claims_are_not_believed(
    application: Any, hashed: list[str]
) -> None:
    for number in range(30):
        client = Client(HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
        last = client.post(
            "/o/token/",
            f"grant_type=refresh_token&refresh_token=x&client_id={application.client_id}"
            "&client_secret=wrong",
            content_type="application/x-www-form-urlencoded",
        )

    assert last.status_code == 429
    assert len(hashed) <= 10


@pytest.mark.threat("D1")
def test_behind_proxies_the_address_that_the_outermost_saw_counts(
    application: Any, settings: Any
) -> None:
    settings.REST_FRAMEWORK = {"NUM_PROXIES": 2}

    def guess(forwarded: str) -> int:
        client = Client(HTTP_X_FORWARDED_FOR=forwarded)
        parameters = {"grant_type": "refresh_token", "refresh_token": "x"}
        return int(post_form(client, parameters, WRONG).status_code)

    assert {guess(f"203.0.113.{n}, 192.0.2.1, 10.0.0.1") for n in range(30)} == {401, 429}
    assert guess("192.0.2.2, 10.0.0.1") == 401


# Right ones are remembered


@pytest.mark.threat("F17")
def test_the_second_request_of_a_peer_costs_no_hashing(
    hand_over: HandOver, token_of_a: Any, hashed: list[str]
) -> None:
    for number in range(5):
        assert hand_over(access_token=token_of_a.raw, code=f"c{number}").status_code == 200

    assert hashed == [PEER_SECRET]


@pytest.mark.threat("F17")
def test_a_changed_secret_is_felt_at_once(
    hand_over: HandOver, token_of_a: Any, application: Any, hashed: list[str]
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    change_secret(application, "a new secret")

    assert hand_over(access_token=token_of_a.raw).status_code == 401
    new = basic(application.client_id, "a new secret")
    assert hand_over(access_token=token_of_a.raw, headers=new).status_code == 200
    change_secret(application, PEER_SECRET)
    assert hand_over(access_token=token_of_a.raw, headers=new).status_code == 401


@pytest.mark.threat("F17")
def test_an_application_that_the_site_takes_out_of_use_is_felt_at_once(
    hand_over: HandOver, token_of_a: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    monkeypatch.setattr(get_application_model(), "is_usable", lambda self, request: False)

    assert hand_over(access_token=token_of_a.raw).status_code == 401


@pytest.mark.threat("F17")
def test_a_wrong_secret_is_never_remembered(hand_over: HandOver, hashed: list[str]) -> None:
    for _request in range(3):
        assert hand_over(headers=WRONG).status_code == 401

    assert hashed == ["wrong"] * 3


@pytest.mark.threat("F17")
def test_the_memory_is_bounded_and_keeps_what_was_used_last(
    make_peer: Callable[..., Peer], settings: Any, hashed: list[str]
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "VERIFIED_SECRETS_KEPT": 2}
    peers = [make_peer(slug) for slug in ("one", "two", "three")]

    def call(peer: Peer) -> bool:
        """Whether the secret of ``peer`` had to be hashed."""
        before = len(hashed)
        parameters = {"grant_type": "refresh_token", "refresh_token": "x"}
        headers = basic(peer.application.client_id, PEER_SECRET)
        assert post_form(Client(), parameters, headers).json() == {"error": "invalid_grant"}
        return len(hashed) > before

    one, two, three = peers
    assert [call(each) for each in (one, two, one, three)] == [True, True, False, True]
    assert [call(each) for each in (one, three, two)] == [False, False, True]


@pytest.mark.threat("F17")
def test_the_memory_can_be_switched_off_while_it_holds_something(
    hand_over: HandOver, token_of_a: Any, settings: Any, hashed: list[str]
) -> None:
    hand_over(access_token=token_of_a.raw)
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "VERIFIED_SECRETS_KEPT": 0}

    hand_over(access_token=token_of_a.raw)

    assert hashed == [PEER_SECRET] * 2


@pytest.mark.threat("X1", "X2")
def test_what_is_remembered_is_not_the_secret(hand_over: HandOver, token_of_a: Any) -> None:
    hand_over(access_token=token_of_a.raw)

    known = verified_secrets._verified._known

    assert len(known) == 1
    assert all(PEER_SECRET.encode() not in digest and len(digest) == 32 for digest in known)


@pytest.mark.threat("F17")
def test_the_stored_hash_stays_what_the_site_chose(hand_over: HandOver, application: Any) -> None:
    before = get_application_model().objects.get(pk=application.pk).client_secret

    hand_over()

    assert get_application_model().objects.get(pk=application.pk).client_secret == before


@pytest.mark.threat("D1", "F17")
@pytest.mark.parametrize("where", AUTHENTICATING)
def test_the_flood_is_turned_away_wherever_clients_authenticate(
    application: Any, hashed: list[str], where: str
) -> None:
    answers = [
        post_form(
            Client(), {"token": "x", "client_id": application.client_id}, WRONG, f"/o/{where}/"
        )
        for _request in range(30)
    ]

    assert len(hashed) <= 10
    if hashed:  # The device endpoint of some releases asks for no secret.
        assert (answers[-1].status_code, answers[-1]["Retry-After"]) == (429, "60")
        assert answers[-1].json() == {"error": "temporarily_unavailable"}


@pytest.mark.threat("D1", "D92")
@pytest.mark.parametrize("where", ["token", "introspect"])
def test_a_flood_of_wrong_secrets_is_turned_away_where_the_right_one_is_not_hashed(
    application: Any, where: str
) -> None:
    """As for HS256, whose key it is."""
    get_application_model().objects.update(client_secret=PEER_SECRET, hash_client_secret=False)
    parameters = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    right = basic(application.client_id, PEER_SECRET)

    def status(headers: Any) -> int:
        return int(post_form(Client(), parameters, headers, f"/o/{where}/").status_code)

    with time_machine.travel(NOON, tick=False) as clock:
        tried = [status(WRONG) for _request in range(30)]
        guessed = status(right)
        clock.shift(61)
        later = [status(right) for _request in range(30)]

    assert tried.count(429) == 20
    assert guessed == 429, "whoever tries secrets does not learn which one is right"
    assert set(later) <= {200, 400}


@pytest.mark.rfc("9110", "11.1")
@pytest.mark.threat("F23")
@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_the_name_of_the_scheme_is_case_insensitive(
    hand_over: HandOver, token_of_a: Any, application: Any, scheme: str
) -> None:
    credentials = basic(application.client_id, PEER_SECRET)["Authorization"].removeprefix("Basic")
    headers = {"Authorization": scheme + credentials}

    def answer(path: str, **parameters: str) -> int:
        return int(post_form(Client(), parameters, headers, path).status_code)

    assert hand_over(access_token=token_of_a.raw, headers=headers).status_code == 200
    assert answer("/o/introspect/", token=token_of_a.raw) == 200
    renewing = {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh}
    assert answer("/o/token/", **renewing) == 200
    assert answer("/o/revoke_token/", token=token_of_a.raw) == 200


@pytest.mark.rfc("6749", "2.3")
@pytest.mark.threat("B3", "F17")
@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials"])
def test_a_wrong_secret_is_hashed_once(application: Any, hashed: list[str], grant: str) -> None:
    parameters = {
        "grant_type": grant,
        "code": "x",
        "refresh_token": "x",
        "client_id": application.client_id,
    }

    assert post_form(Client(), parameters, WRONG).status_code == 401
    assert hashed == ["wrong"]


@pytest.mark.threat("D1", "B12")
def test_right_secrets_that_come_together_are_checked_once(
    at_once: Callable[..., list[Any]], application: Any, hashed: list[str]
) -> None:
    def renew() -> int:
        parameters = {"grant_type": "refresh_token", "refresh_token": "x"}
        headers = basic(application.client_id, PEER_SECRET)
        return int(post_form(Client(), parameters, headers).status_code)

    assert set(at_once(20, renew)) == {400}
    assert hashed == [PEER_SECRET]
