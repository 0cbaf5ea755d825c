"""Changing what the peer may do: less at once, more with a new code (draft, "Authorization Update
Flow")."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, Peer, ReciprocalCode
from reciprocal_oauth.party_a import scope_changes
from reciprocal_oauth.party_a.scope_changes import CannotChange, change, choices
from reciprocal_oauth.party_b.link_opening import open_link

from ..fakes import FakePeer, Reply
from ..provider.conftest import assert_token_is_dead, call_api

pytestmark = pytest.mark.django_db

Tokens = dict[str, Any]


@pytest.fixture
def tokens(link_as_a: Link, reciprocal_code: Callable[..., str], redeem: Any) -> Tokens:
    """What the peer got for "playback profile"; the link works both ways."""
    answer: Tokens = redeem(reciprocal_code("profile playback")).json()
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    return answer


@pytest.fixture
def pass_the_pause() -> Any:
    """A clock that has passed the pause between two codes."""
    with time_machine.travel(timezone.now(), tick=False) as clock:
        clock.shift(scope_changes.PAUSE_SECONDS + 1)
        yield clock


def codes_sent(fake_peer: FakePeer) -> list[str]:
    return [request.form["code"] for request in fake_peer.to("/token/")]


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S3")
def test_more_scopes_travel_with_a_new_code(
    link_as_a: Link,
    reciprocal_code: Callable[..., str],
    redeem: Any,
    refresh: Any,
    fake_peer: FakePeer,
    request: pytest.FixtureRequest,
) -> None:
    old = redeem(reciprocal_code("profile")).json()
    request.getfixturevalue("pass_the_pause")

    change(link_as_a, ["profile", "playback"])
    assert call_api(old["access_token"]).status_code == 403, "the old token has the old scope"
    assert call_api(old["access_token"], "/api/whoami/").status_code == 200
    worker.drain()
    new = redeem(codes_sent(fake_peer)[-1]).json()

    assert set(new["scope"].split()) == {"profile", "playback"}
    assert call_api(new["access_token"]).status_code == 200
    assert_token_is_dead(old["access_token"])
    assert refresh(old["refresh_token"]).status_code == 400
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert link_as_a.confirmed_generation == link_as_a.generation == 2


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.rfc("6750", "3.1")
@pytest.mark.threat("S4")
@pytest.mark.parametrize("peer_is", ["up", "down", "refusing"])
def test_a_removed_scope_is_refused_at_the_next_call(
    link_as_a: Link,
    tokens: Tokens,
    refresh: Any,
    fake_peer: FakePeer,
    pass_the_pause: Any,
    peer_is: str,
) -> None:
    assert call_api(tokens["access_token"]).status_code == 200
    if peer_is == "down":
        fake_peer.stop()
    elif peer_is == "refusing":
        fake_peer.answers["/token/"] = Reply.json(403, error="access_denied")

    change(link_as_a, ["profile"])

    response = call_api(tokens["access_token"])
    assert response.status_code == 403
    assert call_api(tokens["access_token"], "/api/whoami/").status_code == 200
    worker.drain()
    assert call_api(tokens["access_token"]).status_code == 403
    renewed = refresh(tokens["refresh_token"]).json()
    assert renewed["scope"] == "profile"
    assert call_api(renewed["access_token"]).status_code == 403


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S4")
def test_a_code_for_more_is_revoked_by_the_decision_for_less(
    link_as_a: Link, reciprocal_code: Callable[..., str], redeem: Any
) -> None:
    code = reciprocal_code("profile playback")

    change(link_as_a, ["profile"])

    assert redeem(code).json()["error"] == "invalid_grant"
    assert not get_grant_model().objects.exists()
    assert not ReciprocalCode.objects.filter(state=ReciprocalCode.State.LIVE).exists()


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S4")
def test_after_less_the_peer_is_told_with_a_new_code(
    link_as_a: Link, tokens: Tokens, redeem: Any, fake_peer: FakePeer, pass_the_pause: Any
) -> None:
    change(link_as_a, ["profile"])
    worker.drain()

    new = redeem(codes_sent(fake_peer)[-1]).json()

    assert new["scope"] == "profile"
    assert_token_is_dead(tokens["access_token"])
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 1


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S8", "I6")
def test_taking_the_last_scope_away_ends_the_link(
    link_as_a: Link, tokens: Tokens, refresh: Any, fake_peer: FakePeer
) -> None:
    change(link_as_a, [])

    assert_token_is_dead(tokens["access_token"])
    assert refresh(tokens["refresh_token"]).status_code == 400
    link_as_a.refresh_from_db()
    assert (link_as_a.status, link_as_a.access_token.reveal()) == (Link.Status.ENDED, "")
    assert not link_as_a.codes.filter(state=ReciprocalCode.State.LIVE).exists()
    handovers = link_as_a.outbox.filter(kind=OutboxItem.Kind.HANDOVER)
    assert not handovers.filter(state__in=OutboxItem.LIVE_STATES).exists()
    assert not get_access_token_model().objects.exists()
    worker.drain()
    assert [request.form["token"] for request in fake_peer.to("/revoke/")]


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S11", "D3")
def test_fifty_changes_in_a_minute_send_ten_codes_at_most_and_the_last_one_counts(
    link_as_a: Link, tokens: Tokens, redeem: Any, fake_peer: FakePeer
) -> None:
    before = len(codes_sent(fake_peer))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(50):
            clock.shift(1.2)
            change(link_as_a, ["profile"] if number % 2 == 0 else ["profile", "playback"])
            worker.drain()
            assert OutboxItem.objects.filter(live_key__isnull=False).count() <= 1
        within_the_minute = len(codes_sent(fake_peer)) - before
        clock.shift(scope_changes.PAUSE_SECONDS)
        worker.drain()
        new = redeem(codes_sent(fake_peer)[-1]).json()

    assert within_the_minute <= 10
    assert set(new["scope"].split()) == {"profile", "playback"}
    link_as_a.refresh_from_db()
    assert link_as_a.confirmed_generation == link_as_a.generation == 51


@pytest.mark.draft("Authorization Update Flow")
def test_no_change_sends_nothing(link_as_a: Link, tokens: Tokens) -> None:
    change(link_as_a, ["playback", "profile"])

    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert not link_as_a.outbox.filter(live_key__isnull=False).exists()


@pytest.mark.threat("S1", "I10")
@pytest.mark.parametrize("chosen", [["history"], ["profile", "unknown"], ["profile", "openid"]])
def test_what_the_peer_may_not_hold_cannot_be_chosen(
    link_as_a: Link, tokens: Tokens, chosen: list[str]
) -> None:
    with pytest.raises(CannotChange):
        change(link_as_a, chosen)

    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert call_api(tokens["access_token"]).status_code == 200
    assert [scope for scope, _text in choices(link_as_a)] == ["profile", "playback"]


@pytest.mark.parametrize("status", [Link.Status.ENDED])
def test_a_link_that_has_ended_cannot_be_changed(link_as_a: Link, status: Link.Status) -> None:
    Link.objects.update(status=status)

    with pytest.raises(CannotChange):
        change(link_as_a, ["profile"])


@pytest.mark.threat("S4")
def test_a_peer_that_cannot_be_sent_a_code_can_still_be_given_less(
    peer: Peer, user: Any, make_token: Callable[..., Any], transactional_db: None
) -> None:
    token = make_token(peer.application, user, "profile playback")
    with scope_changes.atomic():
        link = open_link(peer, user.pk, "profile playback", token.family)
    assert call_api(token.raw).status_code == 200

    change(link, ["profile"])

    assert call_api(token.raw).status_code == 403
    assert not OutboxItem.objects.exists()
    assert link.incoming_state == Link.Incoming.ACTIVE
    with pytest.raises(CannotChange):
        change(link, ["profile", "playback"])


@pytest.mark.threat("S4")
@pytest.mark.parametrize("reason", [Link.Reason.REVOKED_HERE, Link.Reason.EXPIRED])
def test_who_takes_away_from_a_peer_that_has_lost_its_access_gives_it_none_back(
    link_as_a: Link, tokens: Tokens, reason: str
) -> None:
    lifecycle.break_lost_incoming(link_as_a, reason)

    with pytest.raises(CannotChange):
        change(link_as_a, ["profile"])

    assert not OutboxItem.objects.filter(state__in=OutboxItem.LIVE_STATES).exists()


@pytest.mark.threat("F14")
def test_less_that_is_decided_while_a_refresh_runs_is_not_lost(
    link_as_a: Link, tokens: Tokens, refresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After DOT has read the scope of the old token, before it saves the new one."""
    from oauthlib.oauth2.rfc6749.tokens import BearerToken

    create_token = BearerToken.create_token

    def decide_meanwhile(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        change(link_as_a, ["profile"])
        return create_token(self, request, *args, **kwargs)

    monkeypatch.setattr(BearerToken, "create_token", decide_meanwhile)

    renewed = refresh(tokens["refresh_token"]).json()

    assert renewed["scope"] == "profile"
    assert call_api(renewed["access_token"]).status_code == 403
