"""When DOT revokes or deletes the tokens of a peer, this is recorded on the link; other events are
not."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth import signals
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import incoming_access, lifecycle, lost_access
from reciprocal_oauth.models import Link, LinkEvent, Peer
from reciprocal_oauth.party_a import consent, scope_changes
from reciprocal_oauth.provider import token_rules

from ..fakes import FakePeer
from ..party_a.visits import connect, fill_in
from ..provider.authorization import log_in
from ..provider.conftest import assert_token_is_dead, call_api
from ..provider.doors import (
    DOORS,
    Door,
    Tokens,
    delete_refresh_tokens,
    page_of_authorized_tokens,
    revoke_access_token,
    revoke_refresh_token,
)

# The check runs after the commit.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("T7")]

Post = Callable[..., Any]

REASON = Link.Reason


def assert_noticed(broken: list[tuple[str, str]], reason: str = REASON.REVOKED_HERE) -> None:
    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_reason) == (Link.Incoming.BROKEN, reason)
    assert link.is_active
    assert link.linked_at is None
    assert broken == [("incoming", reason)]
    assert link.events.filter(outcome=LinkEvent.Outcome.FAILED, detail=reason).count() == 1
    assert not incoming_access.has_any_tokens(link)


# All ways in which DOT revokes tokens


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.parametrize("atomic_requests", [False, True])
@pytest.mark.parametrize("door", DOORS)
def test_a_revocation_by_dot_is_recorded_on_the_link(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    refresh: Post,
    door: Door,
    atomic_requests: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic_requests)

    door(tokens)

    assert_noticed(broken)
    assert_token_is_dead(tokens.raw)
    assert refresh(tokens.raw_refresh).status_code == 400
    assert broken == [("incoming", REASON.REVOKED_HERE)], "announced once"


def test_a_logout_that_the_peer_requests_is_recorded(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    openid_connect: None,
    dot_settings: Callable[..., None],
) -> None:
    """OpenID Connect RP-Initiated Logout 1.0: DOT deletes all tokens of the user."""
    dot_settings(OIDC_RP_INITIATED_LOGOUT_ENABLED=True)

    response = tokens.browser.post("/o/logout/", {"allow": "true"})

    assert response.status_code == 302
    assert_noticed(broken)


@pytest.mark.threat("F19")
def test_the_reuse_of_a_refresh_token_is_recorded(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    refresh: Post,
    dot_settings: Callable[..., None],
) -> None:
    dot_settings(REFRESH_TOKEN_REUSE_PROTECTION=True)
    renewed = refresh(tokens.raw_refresh).json()
    assert broken == []

    assert refresh(tokens.raw_refresh).status_code == 400

    assert_noticed(broken)
    assert_token_is_dead(renewed["access_token"])


class TestRunOut:
    """The peer has not used its refresh token for too long (REFRESH_TOKEN_EXPIRE_SECONDS)."""

    DAY = 86400

    @pytest.fixture(autouse=True)
    def _a_day(self, dot_settings: Callable[..., None]) -> None:
        dot_settings(REFRESH_TOKEN_EXPIRE_SECONDS=self.DAY)

    def test_cleartokens_is_recorded_as_expiry(
        self, tokens: Tokens, broken: list[tuple[str, str]]
    ) -> None:
        with time_machine.travel(timezone.now() + timedelta(days=1)):
            call_command("cleartokens")
            assert broken == [], "not yet: it counts from the end of the access token"
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            call_command("cleartokens")

        assert_noticed(broken, REASON.EXPIRED)

    def test_an_expiry_is_recorded_when_the_peer_uses_the_token(
        self, tokens: Tokens, broken: list[tuple[str, str]], refresh: Post
    ) -> None:
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            assert refresh(tokens.raw_refresh).status_code == 400

        assert_noticed(broken, REASON.EXPIRED)

    def test_an_expiry_is_recorded_by_the_daily_command(
        self, tokens: Tokens, broken: list[tuple[str, str]]
    ) -> None:
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            call_command("reciprocal_prune")
            call_command("reciprocal_prune")

        assert_noticed(broken, REASON.EXPIRED)

    def test_an_earlier_revocation_stays_the_reason(
        self, tokens: Tokens, broken: list[tuple[str, str]]
    ) -> None:
        tokens.refresh.revoke()
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            call_command("cleartokens")
            call_command("reciprocal_prune")

        assert_noticed(broken, REASON.REVOKED_HERE)


@pytest.mark.parametrize("reason", [REASON.REVOKED_HERE, REASON.EXPIRED])
def test_the_loss_of_an_access_token_without_refresh_token_is_recorded(
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
    broken: list[tuple[str, str]],
    reason: str,
) -> None:
    """A token of the implicit grant. ``cleartokens`` deletes it when it has expired."""
    token = make_token(peer.application, user)
    get_refresh_token_model().objects.all().delete()
    Link.objects.create(
        user=user, peer=peer, account_key="family:x", incoming_state="active", incoming_scope="x"
    )
    if reason == REASON.REVOKED_HERE:
        token.revoke()
    else:
        with time_machine.travel(timezone.now() + timedelta(hours=2)):
            call_command("cleartokens")

    assert_noticed(broken, reason)


# Changes that send no signal


def test_a_revocation_without_signal_is_recorded_by_the_daily_command(
    tokens: Tokens, broken: list[tuple[str, str]]
) -> None:
    get_refresh_token_model().objects.update(revoked=timezone.now())
    assert broken == []

    call_command("reciprocal_prune", "--dry-run")
    assert broken == []
    call_command("reciprocal_prune")

    assert_noticed(broken)
    assert_token_is_dead(tokens.raw)


def test_a_revocation_without_signal_is_recorded_when_the_peer_is_refused(
    tokens: Tokens, broken: list[tuple[str, str]], refresh: Post
) -> None:
    get_refresh_token_model().objects.update(revoked=timezone.now())

    assert refresh(tokens.raw_refresh).status_code == 400

    assert_noticed(broken)


def test_the_check_of_many_links_takes_one_query(
    peer: Peer, user: Any, make_token: Callable[..., Any]
) -> None:
    def add(count: int) -> None:
        for _ in range(count):
            token = make_token(peer.application, user)
            values = {"incoming_family": token.family, "incoming_state": "active"}
            Link.objects.create(user=user, peer=peer, account_key=token.raw, **values)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert lost_access.record_lost_access(Link.objects.all()) == 0
        return len(captured)

    add(1)
    few = queries()
    add(30)

    assert queries() == few == 1


# Events that break nothing


def renew(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    for _ in range(3):
        tokens.raw_refresh = refresh(tokens.raw_refresh).json()["refresh_token"]


def change_scope(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    for minute, scope in enumerate((["profile"], ["profile", "playback"]), start=1):
        with time_machine.travel(timezone.now() + timedelta(minutes=minute)):
            scope_changes.change(Link.objects.get(), scope)
            worker.drain()
            assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200


def replay(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 400


def connect_anew(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    connect(tokens.browser, reciprocal="profile")


def forbid(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    consent.deny(Link.objects.get())


def end(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    lifecycle.end_link(Link.objects.get(), REASON.REVOKED_HERE, revoke_outgoing=True)


def delete_link(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    Link.objects.all().delete()


def delete_user(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    get_user_model().objects.all().delete()


def clean_up(tokens: Tokens, refresh: Post, redeem: Post, fake_peer: FakePeer) -> None:
    renew(tokens, refresh, redeem, fake_peer)
    call_command("cleartokens")
    call_command("reciprocal_prune")


@pytest.mark.parametrize(
    ("doing", "state"),
    [
        (renew, Link.Incoming.ACTIVE),
        (change_scope, Link.Incoming.ACTIVE),
        (replay, Link.Incoming.GRANTED),
        (connect_anew, Link.Incoming.OFFERED),
        (forbid, Link.Incoming.DENIED),
        (end, Link.Incoming.ENDED),
        (delete_link, None),
        (delete_user, None),
        (clean_up, Link.Incoming.ACTIVE),
    ],
)
def test_revocations_by_this_app_itself_break_nothing(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    refresh: Post,
    redeem: Post,
    fake_peer: FakePeer,
    doing: Callable[..., None],
    state: str | None,
) -> None:
    doing(tokens, refresh, redeem, fake_peer)

    assert broken == []
    assert Link.objects.values_list("incoming_state", flat=True).first() == state


@pytest.mark.parametrize("rotates", [True, False])
def test_a_peer_that_renews_twice_with_one_token_keeps_its_access(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    refresh: Post,
    dot_settings: Callable[..., None],
    rotates: bool,
) -> None:
    dot_settings(ROTATE_REFRESH_TOKEN=rotates, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=120)

    refresh(tokens.raw_refresh)
    renewed = refresh(tokens.raw_refresh).json()

    assert broken == []
    assert call_api(renewed["access_token"]).status_code == 200


def test_a_revocation_that_is_rolled_back_is_ignored(
    tokens: Tokens, broken: list[tuple[str, str]]
) -> None:
    with suppress(DatabaseError), transaction.atomic():
        tokens.refresh.revoke()
        raise DatabaseError

    assert broken == []
    assert call_api(tokens.raw).status_code == 200


def test_a_revocation_after_a_rollback_to_a_savepoint_is_recorded(
    tokens: Tokens, broken: list[tuple[str, str]]
) -> None:
    with transaction.atomic():
        with suppress(DatabaseError), transaction.atomic():
            tokens.refresh.revoke()
            raise DatabaseError
        tokens.refresh.revoke()
        assert broken == [], "not before the commit"

    assert_noticed(broken)


def test_tokens_of_other_users_and_clients_are_ignored(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    user: Any,
    other_user: Any,
    application: Any,
    make_application: Callable[..., Any],
    make_token: Callable[..., Any],
) -> None:
    for theirs in (
        make_token(application, other_user),
        make_token(make_application(), user),
        make_token(make_application("machine"), None),
    ):
        theirs.revoke()
    call_command("reciprocal_prune")

    assert broken == []
    assert call_api(tokens.raw).status_code == 200


def test_a_second_account_at_the_peer_keeps_its_access(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    browser: Client,
    application: Any,
    redeem: Post,
) -> None:
    at_login = log_in(browser, application)
    assert Link.objects.count() == 2

    get_refresh_token_model().objects.order_by("pk").last().revoke()

    assert broken == [("incoming", REASON.REVOKED_HERE)]
    assert_token_is_dead(at_login["access_token"])
    assert call_api(tokens.raw).status_code == 200
    states = Link.objects.order_by("created_at").values_list("incoming_state", flat=True)
    assert list(states) == [Link.Incoming.ACTIVE, Link.Incoming.BROKEN]


def test_the_access_from_two_logins_is_lost_when_both_are_revoked(
    browser: Client, application: Any, broken: list[tuple[str, str]]
) -> None:
    first, second = log_in(browser, application), log_in(browser, application)
    assert Link.objects.count() == 1
    of_first, of_second = get_refresh_token_model().objects.order_by("pk")

    of_second.revoke()
    assert broken == []
    assert call_api(first["access_token"]).status_code == 200

    of_first.revoke()
    assert_noticed(broken)
    assert_token_is_dead(second["access_token"])


def test_an_error_in_the_check_does_not_undo_the_revocation(
    tokens: Tokens, broken: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise DatabaseError("gone away")

    monkeypatch.setattr(incoming_access, "without_live_tokens", fail)
    page_of_authorized_tokens(tokens)
    monkeypatch.undo()

    assert_token_is_dead(tokens.raw)
    call_command("reciprocal_prune")
    assert_noticed(broken)


def test_a_refresh_and_a_revocation_at_the_same_time_leave_a_consistent_link(
    tokens: Tokens, refresh: Post, at_once: Callable[..., list[Any]]
) -> None:
    """Either the token was renewed before it was revoked, or the refresh is refused."""
    used = tokens.refresh
    todo = [lambda: refresh(tokens.raw_refresh), used.revoke]

    answers = at_once(2, lambda: todo.pop()())

    (renewed,) = [answer for answer in answers if answer is not None]
    link = Link.objects.get()
    lives = incoming_access.has_live_tokens(link)
    assert lives is (renewed.status_code == 200)
    assert (link.incoming_state == Link.Incoming.ACTIVE) is lives


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.parametrize("door", [revoke_refresh_token, revoke_access_token, delete_refresh_tokens])
def test_a_refresh_that_has_started_fails_after_the_revocation(
    tokens: Tokens,
    broken: list[tuple[str, str]],
    refresh: Post,
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DOT has accepted the refresh token before it was revoked."""
    allowed = token_rules.may_hold_tokens

    def meanwhile(*arguments: Any) -> bool:
        monkeypatch.setattr(token_rules, "may_hold_tokens", allowed)
        door(tokens)
        return allowed(*arguments)

    monkeypatch.setattr(token_rules, "may_hold_tokens", meanwhile)

    assert refresh(tokens.raw_refresh).status_code == 400

    assert_noticed(broken)


# How people restore the access


def test_a_person_who_started_here_allows_it_again(
    tokens: Tokens, browser: Client, redeem: Post, fake_peer: FakePeer
) -> None:
    page_of_authorized_tokens(tokens)
    link = Link.objects.get()

    page = browser.get("/connections/").content.decode()
    for words in ("Needs your attention", "It was ended here.", "Allow it again"):
        assert words in page
    fill_in(
        browser, f"/connections/links/{link.pk}/consent/", {"answer": "allow", "scopes": "profile"}
    )
    worker.drain()
    assert redeem(fake_peer.to("/token/")[-1].form["code"]).status_code == 200

    link.refresh_from_db()
    assert link.is_two_way
    assert link.linked_at is not None


@pytest.mark.parametrize("homepage", ["https://music.example/", ""])
def test_a_person_who_started_at_the_peer_connects_again_there(
    browser: Client, application: Any, homepage: str
) -> None:
    Peer.objects.update(homepage=homepage)
    log_in(browser, application)
    Link.objects.update(outgoing_state=Link.Outgoing.ACTIVE, linked_at=timezone.now())
    get_refresh_token_model().objects.get().revoke()
    link = Link.objects.get()

    page = browser.get(f"/connections/links/{link.pk}/").content.decode()

    assert "It was ended here." in page
    if homepage:
        assert "Go to Music and connect again there." in page
        assert f'<a class="ro-button" href="{homepage}">Go to Music' in page
        assert "Connect again" not in page
    else:
        assert "/connections/music/connect/" in page

    heard: list[Link] = []

    def note(sender: type, link: Link, **_arguments: Any) -> None:
        heard.append(link)

    signals.linked_both_ways.connect(note)
    log_in(browser, application)
    signals.linked_both_ways.disconnect(note)
    assert Link.objects.get() == link
    link.refresh_from_db()
    assert link.is_two_way
    assert heard == [link]


def test_times_without_a_time_zone(
    settings: Settings, browser: Client, application: Any, broken: list[tuple[str, str]]
) -> None:
    settings.USE_TZ = False
    log_in(browser, application)

    get_access_token_model().objects.get().revoke()

    assert_noticed(broken)
