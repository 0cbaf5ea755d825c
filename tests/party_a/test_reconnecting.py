"""Steps (C) and (D) for an account that is connected already: the new connection takes over."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.party_b.link_opening import open_link
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply, token_response
from .visits import (
    begin,
    call_api,
    connect,
    fill_in,
    good_claims,
    id_token,
    link_both_ways,
    redeem,
    refresh,
)


class OneRevocationEndsAll(IETFDialect):
    """A peer that ends the whole account link when any token of it is revoked."""

    revokes_replaced_tokens = False


class RevocationIsHarmless(IETFDialect):
    """A peer that ends nothing more than the token that is revoked."""

    revokes_replaced_tokens = True


@pytest.fixture
def connect_again(browser: Client, fake_peer: FakePeer) -> Callable[..., Any]:
    """Connects once more; the peer gives new tokens."""

    def go(**members: Any) -> Any:
        new = {"access_token": "token-2", "refresh_token": "refresh-2", **members}
        fake_peer.answers["/token/"] = token_response(**new)
        return connect(browser)

    return go


@pytest.fixture
def connect_account(browser: Client, peer: Peer, fake_peer: FakePeer) -> Callable[..., None]:
    """Connects an account that the peer names; its token response has these members as well."""
    Peer.objects.update(scope="openid play")

    def go(subject: str = "account-1", **members: Any) -> None:
        visit = begin(browser)
        claims = good_claims(peer.issuer, sub=subject, nonce=visit.asked["nonce"])
        fake_peer.answers["/token/"] = token_response(id_token=id_token(**claims), **members)
        assert visit.come_back().status_code == 303

    return go


@pytest.fixture
def tokens_here(browser: Client, fake_peer: FakePeer, application: Any) -> dict[str, Any]:
    """What the peer holds here: alice has linked both ways."""
    return link_both_ways(browser, fake_peer, application)


def revocations() -> list[str]:
    """The tokens that are to be revoked at the peer."""
    rows = OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION)
    return [row.token.reveal() for row in rows]


def test_the_new_tokens_take_the_place_of_the_old_ones_on_the_same_link(
    browser: Client, peer: Peer, connect_again: Callable[..., Any]
) -> None:
    connect(browser)
    old = Link.objects.get()

    connect_again(scope="play pause")

    link = Link.objects.get()
    assert link.pk == old.pk
    assert link.access_token.reveal() == "token-2"
    assert link.refresh_token.reveal() == "refresh-2"
    assert link.outgoing_scope == "play pause"


@pytest.mark.threat("T62")
def test_the_refresh_token_of_the_same_account_is_kept_where_the_peer_gives_no_other(
    connect_account: Callable[..., None], fake_peer: FakePeer
) -> None:
    """Many servers give it once for each account and client."""
    fake_peer.answers["/revoke/"] = Reply()
    connect_account()

    connect_account(access_token="token-2", refresh_token=None, expires_in=0)
    worker.drain()

    link = Link.objects.get()
    assert link.refresh_token.reveal() == "refresh-of-the-peer"
    assert fake_peer.to("/revoke/") == [], "it would end the new access with the old one"
    fake_peer.answers["/token/"] = token_response(access_token="token-3")
    assert fresh_access_token(link).reveal() == "token-3"
    assert fake_peer.requests[-1].form["refresh_token"] == "refresh-of-the-peer"


@pytest.mark.threat("T62")
def test_it_is_not_kept_when_the_link_was_ended_meanwhile(
    connect_account: Callable[..., None],
) -> None:
    connect_account()
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    connect_account(access_token="token-2", refresh_token=None)

    assert not Link.objects.get().refresh_token
    assert revocations() == ["refresh-of-the-peer"]


@pytest.mark.threat("T62")
def test_it_is_not_kept_where_nobody_can_read_it(connect_account: Callable[..., None]) -> None:
    connect_account()
    lost = Secret(ciphertext="fernet1:written-with-a-key-that-is-lost")
    Link.objects.update(access_token=lost, refresh_token=lost)

    connect_account(access_token="token-2", refresh_token=None)

    assert Link.objects.get().access_token.reveal() == "token-2"
    assert not Link.objects.get().refresh_token


@pytest.mark.threat("T62")
def test_it_is_not_given_to_another_account(connect_account: Callable[..., None]) -> None:
    connect_account()

    connect_account("account-2", refresh_token=None)

    assert Link.objects.get(subject="account-1").refresh_token
    assert not Link.objects.get(subject="account-2").refresh_token


def test_the_refresh_token_of_an_account_that_is_not_named_may_be_of_another(
    browser: Client, peer: Peer, connect_again: Callable[..., Any]
) -> None:
    connect(browser)

    connect_again(refresh_token=None)

    assert not Link.objects.get().refresh_token


@pytest.mark.rfc("7009", "2.1")
def test_the_old_token_is_revoked_at_the_peer(
    browser: Client, peer: Peer, fake_peer: FakePeer, connect_again: Callable[..., Any]
) -> None:
    Peer.objects.update(revoke_replaced=True)
    fake_peer.answers["/revoke/"] = Reply()
    connect(browser)

    connect_again()
    worker.drain()

    assert [request.form for request in fake_peer.to("/revoke/")] == [
        {"token": "refresh-of-the-peer"}
    ]


def test_a_token_that_the_peer_gives_once_more_is_not_revoked(
    browser: Client, peer: Peer, connect_again: Callable[..., Any]
) -> None:
    Peer.objects.update(revoke_replaced=True)
    connect(browser)

    connect_again(refresh_token="refresh-of-the-peer")
    assert revocations() == []

    connect_again(access_token="token-3", refresh_token=None)
    assert revocations() == ["refresh-of-the-peer"]
    connect_again(access_token="token-3", refresh_token=None)
    assert revocations() == ["refresh-of-the-peer"]


@pytest.mark.threat("T50")
@pytest.mark.parametrize(
    ("dialect", "setting", "revokes"),
    [
        (IETFDialect, None, False),
        (IETFDialect, False, False),
        (IETFDialect, True, True),
        (OneRevocationEndsAll, True, False),
        (RevocationIsHarmless, False, True),
    ],
)
def test_what_is_replaced_is_revoked_only_where_somebody_says_that_it_ends_nothing_else(
    browser: Client,
    peer: Peer,
    connect_again: Callable[..., Any],
    settings: Settings,
    dialect: type[IETFDialect],
    setting: bool | None,
    revokes: bool,
) -> None:
    """Many servers end the whole grant with one of its tokens. What a dialect says wins."""
    dialects = {"own": f"{dialect.__module__}.{dialect.__name__}"}
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"DIALECTS": dialects}
    Peer.objects.update(dialect="own", **({} if setting is None else {"revoke_replaced": setting}))
    connect(browser)

    connect_again()

    assert revocations() == (["refresh-of-the-peer"] if revokes else [])


def test_the_incoming_access_is_revoked_at_once(
    tokens_here: dict[str, Any], application: Any, connect_again: Callable[..., Any]
) -> None:
    assert call_api(tokens_here["access_token"]) == 200
    Link.objects.update(last_used_at=timezone.now())

    connect_again()

    assert call_api(tokens_here["access_token"]) == 403  # As DOT says "no valid token".
    assert refresh(tokens_here["refresh_token"], application).status_code == 400
    link = Link.objects.get()
    assert not link.is_two_way
    assert link.linked_at is None
    assert link.last_used_at is None
    assert link.incoming_scope == ""


def test_a_code_that_is_on_its_way_can_no_longer_be_redeemed(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    application: Any,
    connect_again: Callable[..., Any],
) -> None:
    question = connect(browser)["Location"]
    fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})
    worker.drain()
    code = fake_peer.to("/token/")[-1].form["code"]

    connect_again()

    assert redeem(code, application).status_code == 400
    assert not OutboxItem.objects.filter(
        kind=OutboxItem.Kind.HANDOVER, state__in=OutboxItem.LIVE_STATES
    ).exists()


@pytest.mark.draft("User Consent")
def test_the_person_is_asked_again_and_can_link_both_directions_again(
    tokens_here: dict[str, Any],
    browser: Client,
    fake_peer: FakePeer,
    application: Any,
    connect_again: Callable[..., Any],
) -> None:
    question = connect_again()["Location"]
    assert Link.objects.get().incoming_state == Link.Incoming.OFFERED

    fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})
    fake_peer.answers["/revoke/"] = Reply()
    worker.drain()

    answer = redeem(fake_peer.to("/token/")[-1].form["code"], application)
    assert answer.json()["scope"] == "profile"
    assert Link.objects.get().is_two_way


def test_a_link_that_was_ended_starts_again(
    browser: Client, peer: Peer, connect_again: Callable[..., Any]
) -> None:
    connect(browser)
    Link.objects.update(
        status=Link.Status.ENDED, ended_at=timezone.now(), access_token="", refresh_token=""
    )

    connect_again()

    assert Link.objects.get().is_active
    assert Link.objects.get().ended_at is None
    assert revocations() == []


def test_a_link_whose_tokens_nobody_can_read_is_mended(
    browser: Client, peer: Peer, connect_again: Callable[..., Any]
) -> None:
    connect(browser)
    lost = Secret(ciphertext="fernet1:written-with-a-key-that-is-lost")
    Link.objects.update(access_token=lost, refresh_token=lost)

    connect_again()

    assert Link.objects.get().access_token.reveal() == "token-2"


def test_the_links_of_other_people_and_peers_stay_as_they_are(
    browser: Client,
    peer: Peer,
    other_user: Any,
    make_peer: Callable[..., Peer],
    fake_peer: FakePeer,
    connect_again: Callable[..., Any],
) -> None:
    Peer.objects.update(revoke_replaced=True)
    make_peer("heating", fake_peer.url)
    bobs = Client()
    bobs.force_login(other_user)
    connect(bobs)
    connect(browser, "heating")
    connect(browser)

    connect_again()

    old = Link.objects.exclude(user__username="alice", peer=peer)
    assert [link.access_token.reveal() for link in old] == ["token-of-the-peer"] * 2
    assert revocations() == ["refresh-of-the-peer"]


def test_connecting_replaces_the_only_link_that_a_login_here_opened(
    token_of_a: Any, browser: Client, fake_peer: FakePeer
) -> None:
    """Else the person would see the same account twice, at both sites."""
    Peer.objects.update(revoke_replaced=True)
    opened = Link.objects.get()
    link = Link.objects.get()
    link.outgoing_state = "active"
    link.access_token, link.refresh_token = Secret("at-1"), Secret("rt-1")
    link.save()

    connect(browser)

    opened.refresh_from_db()
    assert (opened.status, opened.outgoing_reason) == ("ended", "replaced")
    assert Link.objects.get(status="active").outgoing_state == "active"
    assert call_api(token_of_a.raw) == 403
    assert revocations() == ["rt-1"]


def test_connecting_leaves_links_alone_that_it_cannot_tell_apart(
    peer: Peer, user: Any, make_token: Callable[..., Any], browser: Client
) -> None:
    for _account in range(2):
        token = make_token(peer.application, user)
        with transaction.atomic():
            open_link(peer, user.pk, "playback", token.family)
        Link.objects.update(outgoing_state="active")

    connect(browser)

    assert Link.objects.filter(status="active").count() == 3


def test_connecting_an_account_that_the_peer_names_leaves_the_others_alone(
    token_of_a: Any, peer: Peer, browser: Client, fake_peer: FakePeer
) -> None:
    Link.objects.update(subject="somebody-else", account_key="sub:somebody-else")

    connect(browser)

    assert Link.objects.filter(status="active").count() == 2


def test_a_token_that_the_peer_gave_again_stays_when_the_other_link_ends(
    token_of_a: Any, browser: Client, fake_peer: FakePeer
) -> None:
    link = Link.objects.get()
    link.outgoing_state = "active"
    link.access_token, link.refresh_token = Secret("at-1"), Secret("same")
    link.save()
    fake_peer.answers["/token/"] = token_response(access_token="at-2", refresh_token="same")

    connect(browser)

    assert Link.objects.get(status="active").refresh_token.reveal() == "same"
    assert revocations() == []


def test_connecting_an_account_again_leaves_that_of_another_alone(
    browser: Client,
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
    connect_again: Callable[..., Any],
) -> None:
    """Two people of a household: one began here, the other there."""
    connect(browser)
    token = make_token(peer.application, user)
    with transaction.atomic():
        opened = open_link(peer, user.pk, "playback", token.family)

    connect_again()

    opened.refresh_from_db()
    assert opened.status == "active"
    assert call_api(token.raw) == 200
