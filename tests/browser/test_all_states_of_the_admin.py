"""Pages of the admin that no other test in a browser reaches, as Chromium and axe see them.

No site runs: Django's test client gets each page in this process, and Chromium shows the response.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Heartbeat, Link, OutboxItem, Peer
from reciprocal_oauth.party_a.attempts import FAILED, Outcome

pytestmark = pytest.mark.browser

See = Callable[..., None]

REDIRECT_URI = "https://testserver/connections/music/callback/"
#: What the peer said about a scope that it does not know.
DETAIL = f"HTTP 400 invalid_scope: {'an-address-without-any-space/' * 8}"


@pytest.fixture(params=["en", "ar"])
def language(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.LANGUAGE_CODE = request.param
    return str(request.param)


def url_of(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:reciprocal_oauth_{model._meta.model_name}_{page}", args=args)


def make_attempt(user: Any, peer: Peer, outcome: str) -> AuthorizationRequest:
    hour_ago = timezone.now() - timedelta(hours=1)
    values: dict[str, Any] = {"problem": outcome, "error": "invalid_scope", "detail": DETAIL}
    if outcome in Outcome.values:
        answered = None if outcome == Outcome.NO_ANSWER else hour_ago
        values = {"created_at": hour_ago, "answered_at": answered}
    return AuthorizationRequest.objects.create(
        user=user, peer=peer, state_hash=str(uuid4()), redirect_uri=REDIRECT_URI, **values
    )


@pytest.fixture
def attempts(user: Any, peer: Peer) -> list[AuthorizationRequest]:
    """An attempt to connect that failed for each reason."""
    return [make_attempt(user, peer, outcome) for outcome in FAILED]


def test_the_attempts_to_connect(
    admin_client: Client, attempts: list[AuthorizationRequest], see_admin: See, language: str
) -> None:
    see_admin(
        admin_client.get(url_of(AuthorizationRequest, "changelist")), f"state-attempts-{language}"
    )


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize("outcome", ["scope", Outcome.NO_ANSWER, Outcome.BROKEN_OFF])
def test_one_attempt_to_connect(
    admin_client: Client, user: Any, peer: Peer, see_admin: See, outcome: str
) -> None:
    attempt = make_attempt(user, peer, outcome)

    see_admin(admin_client.get(url_of(AuthorizationRequest, "change", attempt.pk)))


@pytest.mark.usefixtures("language")
def test_a_site_where_nothing_happened(admin_client: Client, see_admin: See) -> None:
    see_admin(admin_client.get(url_of(Peer, "overview")))
    see_admin(admin_client.get(url_of(AuthorizationRequest, "changelist")))


def test_a_site_without_a_worker(
    admin_client: Client,
    attempts: list[AuthorizationRequest],
    link_as_a: Link,
    see_admin: See,
    language: str,
) -> None:
    peer, now = link_as_a.peer, timezone.now()
    for state in (OutboxItem.State.PENDING, OutboxItem.State.FAILED):
        OutboxItem.objects.create(peer=peer, state=state, finished_at=now)
    Heartbeat.objects.create(kind="command", host="w" * 60, seen_at=now - timedelta(days=3))

    see_admin(admin_client.get(url_of(Peer, "overview")), f"state-overview-{language}")
    for page in (url_of(Peer, "changelist"), url_of(Peer, "change", peer.pk)):
        see_admin(admin_client.get(page))


@pytest.mark.usefixtures("language", "worker_seen")
def test_a_peer_in_each_state(
    admin_client: Client, make_peer: Callable[..., Peer], see_admin: See
) -> None:
    now = timezone.now()
    peers = [
        make_peer("off", enabled=False),
        make_peer("one-way", reverse_refused_at=now),
        make_peer("paused", paused_at=now, paused_reason=Link.Reason.CREDENTIALS_REFUSED),
    ]

    for page in (url_of(Peer, "overview"), url_of(Peer, "changelist")):
        see_admin(admin_client.get(page))
    for peer in peers:
        see_admin(admin_client.get(url_of(Peer, "change", peer.pk)))


def test_adding_a_peer(admin_client: Client, see_admin: See, language: str) -> None:
    add = url_of(Peer, "add")

    see_admin(admin_client.get(add), f"state-add-peer-{language}")
    see_admin(admin_client.get(f"{add}?dialect=ietf"))
    see_admin(admin_client.post(f"{add}?dialect=ietf", {"name": "Music"}))
