"""Why a code was not redeemed stands in the history of its link."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, LinkEvent, Peer, Step
from reciprocal_oauth.party_a import consent

from ..conftest import PEER_SECRET, basic
from .authorization import VERIFIER

pytestmark = [pytest.mark.django_db, pytest.mark.threat("C33")]

Post = Callable[..., Any]
REFUSED = (400, {"error": "invalid_grant"})


def causes() -> list[str]:
    failed = LinkEvent.objects.filter(step=Step.F, outcome=LinkEvent.Outcome.FAILED)
    return list(failed.values_list("detail", flat=True))


def deactivate_user(link: Link) -> None:
    get_user_model().objects.update(is_active=False)


def decide_anew(link: Link) -> None:
    consent.deny(link)
    consent.allow(link, ["profile"])


def withdraw_scope(link: Link) -> None:
    Peer.objects.update(allowed_scope="history")


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        ({"code_verifier": VERIFIER}, "a code_verifier came with a reciprocal code"),
        (
            {"redirect_uri": "https://elsewhere.example/"},
            "redirect_uri is not one of the client's",
        ),
    ],
)
def test_what_was_wrong_with_the_request(
    reciprocal_code: Callable[..., str], redeem: Post, sent: dict[str, str], cause: str
) -> None:
    response = redeem(reciprocal_code(), **sent)

    assert (response.status_code, response.json()) == REFUSED
    assert causes() == [cause]


@pytest.mark.rfc("8707", "2.2")
def test_that_a_resource_was_named(reciprocal_code: Callable[..., str], redeem: Post) -> None:
    response = redeem(reciprocal_code(), resource="https://api.example/")

    assert (response.status_code, response.json()) == (400, {"error": "invalid_target"})
    assert causes() == ["a resource was named"]


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (deactivate_user, "the link, the peer or the user is no longer active"),
        (decide_anew, "the code was replaced by a newer one"),
        (withdraw_scope, "nothing is left that the token may carry"),
    ],
)
def test_what_has_happened_since_the_code_was_sent(
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Post,
    event: Callable[[Link], None],
    cause: str,
) -> None:
    code = reciprocal_code()
    event(link_as_a)
    worker.drain()

    response = redeem(code)

    assert (response.status_code, response.json()) == REFUSED
    assert causes() == [cause]


def test_that_the_code_came_too_late(reciprocal_code: Callable[..., str], redeem: Post) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        code = reciprocal_code()
        clock.move_to(start + timedelta(seconds=61))
        redeem(code)

    assert causes() == ["the code has expired"]


def test_the_same_cause_is_noted_once_an_hour(
    reciprocal_code: Callable[..., str], redeem: Post
) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        code = reciprocal_code()
        for minutes in (0, 1, 59, 61):
            clock.move_to(start + timedelta(minutes=minutes))
            redeem(code, redirect_uri="https://elsewhere.example/")
        redeem(code, code_verifier=VERIFIER)

    assert causes() == [
        "redirect_uri is not one of the client's",
        "redirect_uri is not one of the client's",
        "a code_verifier came with a reciprocal code",
    ]


def test_another_client_leaves_no_trace(
    make_peer: Callable[..., Peer], reciprocal_code: Callable[..., str], redeem: Post
) -> None:
    stranger = make_peer("stranger").application

    redeem(reciprocal_code(), headers=basic(stranger.client_id, PEER_SECRET))

    assert causes() == []


def test_the_person_reads_that_it_was_refused_and_no_replay(
    browser: Client, link_as_a: Link, reciprocal_code: Callable[..., str], redeem: Post
) -> None:
    redeem(reciprocal_code(), code_verifier=VERIFIER)

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    assert "Music tried to redeem a code here, and was refused." in page
    assert "used a second time" not in page
    assert "code_verifier" not in page
