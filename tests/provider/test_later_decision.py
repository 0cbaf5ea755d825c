"""Access that was taken away does not come back by what the person had allowed before: whoever
revokes decides later, by whatever door."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import incoming_access
from reciprocal_oauth.models import Link, OutboxItem, ReciprocalCode
from reciprocal_oauth.party_a import resending, scope_changes

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import fill_in
from .authorization import log_in
from .conftest import assert_token_is_dead
from .doors import DOORS, Door, Tokens, page_of_authorized_tokens

# What is noticed is noticed after the commit.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("T40")]

Post = Callable[..., Any]

DOWN = Reply(503, b"")


def change_while_the_peer_is(answer: Reply, fake_peer: FakePeer) -> None:
    """Alice takes a scope away, and the peer is told of it, or cannot be."""
    fake_peer.requests.clear()
    fake_peer.answers["/token/"] = answer
    scope_changes.change(Link.objects.get(), ["profile"])
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        worker.drain()
    assert len(fake_peer.to("/token/")) == 1


def come_up_again(fake_peer: FakePeer) -> None:
    def answer(received: Received) -> Reply:
        return token_response() if received.form["grant_type"] == "refresh_token" else Reply()

    fake_peer.requests.clear()
    fake_peer.answers["/token/"] = answer
    with time_machine.travel(timezone.now() + timedelta(minutes=30)):
        worker.drain()


def assert_it_stays_away(fake_peer: FakePeer, browser: Client) -> None:
    come_up_again(fake_peer)
    assert fake_peer.to("/token/") == [], "nothing is sent"
    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_reason) == ("broken", "revoked_here")
    assert not incoming_access.has_any_tokens(link)
    handovers = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    assert not handovers.filter(state__in=OutboxItem.LIVE_STATES).exists()
    assert not ReciprocalCode.objects.filter(state=ReciprocalCode.State.LIVE).exists()
    page = browser.get(f"/connections/links/{link.pk}/").content.decode()
    assert "It was ended here" in page
    assert "Allow it again" in page


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.parametrize("door", DOORS)
def test_a_change_that_waits_is_not_sent_after_the_access_was_taken_away(
    tokens: Tokens, broken: list[tuple[str, str]], fake_peer: FakePeer, door: Door, browser: Client
) -> None:
    change_while_the_peer_is(DOWN, fake_peer)

    door(tokens)

    assert broken == [("incoming", "revoked_here")]
    assert_it_stays_away(fake_peer, browser)
    page = browser.get("/connections/").content.decode()
    assert "What was on its way to Music was stopped." in page
    assert_token_is_dead(tokens.raw)


@pytest.mark.parametrize("door", DOORS)
def test_a_code_that_was_handed_over_is_not_redeemed_after_that(
    tokens: Tokens, fake_peer: FakePeer, redeem: Post, door: Door, browser: Client
) -> None:
    change_while_the_peer_is(Reply(), fake_peer)
    code = fake_peer.to("/token/")[-1].form["code"]

    door(tokens)

    response = redeem(code)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert_it_stays_away(fake_peer, browser)


def revoke_without_a_signal(tokens: Tokens) -> None:
    get_refresh_token_model().objects.update(revoked=timezone.now())


def delete_without_a_signal(tokens: Tokens) -> None:
    for model in (get_refresh_token_model(), get_access_token_model()):
        rows = model.objects.all()
        rows._raw_delete(rows.db)


UNSEEN = [revoke_without_a_signal, delete_without_a_signal]


@pytest.mark.parametrize("door", UNSEEN)
def test_what_tells_nobody_is_seen_before_the_change_is_sent(
    tokens: Tokens, fake_peer: FakePeer, door: Door, browser: Client
) -> None:
    change_while_the_peer_is(DOWN, fake_peer)

    door(tokens)

    assert_it_stays_away(fake_peer, browser)


@pytest.mark.parametrize("door", UNSEEN)
def test_what_tells_nobody_is_seen_before_a_code_is_redeemed(
    tokens: Tokens, fake_peer: FakePeer, redeem: Post, door: Door, browser: Client
) -> None:
    change_while_the_peer_is(Reply(), fake_peer)
    code = fake_peer.to("/token/")[-1].form["code"]

    door(tokens)

    assert redeem(code).status_code == 400
    assert_it_stays_away(fake_peer, browser)


@pytest.mark.parametrize("door", [*DOORS, revoke_without_a_signal])
def test_a_change_that_was_given_up_is_not_sent_again_by_anybody(
    tokens: Tokens, fake_peer: FakePeer, door: Door, browser: Client
) -> None:
    change_while_the_peer_is(Reply(403, b""), fake_peer)
    link, row = Link.objects.get(), OutboxItem.objects.get(state=OutboxItem.State.FAILED)
    assert link.incoming_reason == "handover_refused"

    door(tokens)
    call_command("reciprocal_prune")

    with pytest.raises(resending.NotPossible):
        resending.resend(row)
    browser.post(f"/connections/links/{link.pk}/retry/")
    assert_it_stays_away(fake_peer, browser)


def test_an_access_token_that_nothing_renews_counts_as_well(
    tokens: Tokens, fake_peer: FakePeer, browser: Client
) -> None:
    """A site's validator may issue no refresh tokens."""
    get_refresh_token_model().objects.all()._raw_delete("default")
    Link.objects.update(incoming_family=None)
    change_while_the_peer_is(DOWN, fake_peer)

    page_of_authorized_tokens(tokens)

    assert_it_stays_away(fake_peer, browser)


def test_who_allows_it_again_has_decided_last(
    tokens: Tokens, fake_peer: FakePeer, redeem: Post, browser: Client
) -> None:
    change_while_the_peer_is(DOWN, fake_peer)
    page_of_authorized_tokens(tokens)
    link = Link.objects.get()

    fill_in(browser, f"/connections/links/{link.pk}/consent/", {"scopes": ["profile"]})
    come_up_again(fake_peer)
    call_command("reciprocal_prune")

    assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200
    link.refresh_from_db()
    assert link.is_two_way
    assert link.linked_at is not None


class TestRunOut:
    """Nobody has decided anything: the peer was down for longer than its tokens live."""

    @pytest.fixture(autouse=True)
    def _a_day(self, dot_settings: Callable[..., None]) -> None:
        dot_settings(REFRESH_TOKEN_EXPIRE_SECONDS=86400)

    @pytest.mark.parametrize("command", ["cleartokens", "reciprocal_prune"])
    def test_the_change_is_still_sent(
        self,
        tokens: Tokens,
        broken: list[tuple[str, str]],
        fake_peer: FakePeer,
        redeem: Post,
        command: str,
    ) -> None:
        change_while_the_peer_is(DOWN, fake_peer)

        with time_machine.travel(timezone.now() + timedelta(days=2)):
            call_command(command)
            come_up_again(fake_peer)
            assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200

        assert broken == []
        assert Link.objects.get().is_two_way

    @pytest.mark.parametrize("command", ["cleartokens", "reciprocal_prune"])
    def test_a_change_that_was_given_up_can_be_tried_again(
        self, tokens: Tokens, broken: list[tuple[str, str]], fake_peer: FakePeer, command: str
    ) -> None:
        change_while_the_peer_is(Reply(403, b""), fake_peer)
        broken.clear()

        with time_machine.travel(timezone.now() + timedelta(days=2)):
            call_command(command)

        assert broken == []
        assert resending.can_try_again(Link.objects.get())


def test_a_peer_that_renews_its_token_still_gets_the_change(
    tokens: Tokens, fake_peer: FakePeer, refresh: Post, redeem: Post
) -> None:
    change_while_the_peer_is(DOWN, fake_peer)

    for _ in range(2):
        tokens.raw_refresh = refresh(tokens.raw_refresh).json()["refresh_token"]
    come_up_again(fake_peer)

    assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200


def test_a_replayed_code_is_still_followed_by_a_new_one(
    tokens: Tokens, broken: list[tuple[str, str]], fake_peer: FakePeer, redeem: Post
) -> None:
    """It is this app that revokes then."""
    code = fake_peer.to("/token/")[-1].form["code"]
    assert redeem(code).status_code == 400
    call_command("reciprocal_prune")

    come_up_again(fake_peer)

    assert broken == []
    assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7")
def test_a_code_that_is_replayed_after_a_change_does_not_stop_the_change(
    tokens: Tokens, broken: list[tuple[str, str]], fake_peer: FakePeer, redeem: Post
) -> None:
    """The peer lost the answer to its redemption and sends the code again. Meanwhile the person has
    changed the link."""
    code = fake_peer.to("/token/")[-1].form["code"]
    change_while_the_peer_is(DOWN, fake_peer)

    assert redeem(code).status_code == 400
    assert_token_is_dead(tokens.raw)
    call_command("reciprocal_prune")
    come_up_again(fake_peer)

    assert broken == []
    assert redeem(fake_peer.to("/token/")[-1].form["code"]).json()["scope"] == "profile"
    assert Link.objects.get().is_two_way


def test_the_access_of_another_account_stops_nothing(
    tokens: Tokens, fake_peer: FakePeer, browser: Client, application: Any
) -> None:
    log_in(browser, application)
    change_link = Link.objects.order_by("created_at").first()
    assert change_link is not None
    fake_peer.answers["/token/"] = DOWN
    scope_changes.change(change_link, ["profile"])

    get_refresh_token_model().objects.order_by("pk").last().revoke()

    change_link.refresh_from_db()
    assert change_link.incoming_state == Link.Incoming.GRANTED
