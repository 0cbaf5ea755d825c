"""Links of people who started at the peer: opened by consent on DOT's own page."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model, get_refresh_token_model

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, LinkEvent, Peer, Step
from reciprocal_oauth.models.links import KEY_UNKNOWN, key_of_family
from reciprocal_oauth.party_a.codes import mint
from reciprocal_oauth.party_a.consent import save_decision
from reciprocal_oauth.party_b.link_opening import link_of_token, open_link

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, token_response
from ..provider.authorization import log_in
from .grants import by_client_credentials, by_implicit_grant, by_password

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]


def newest_family() -> Any:
    return get_refresh_token_model().objects.order_by("-pk").first().token_family


def renew(application: Any, tokens: dict[str, Any]) -> dict[str, Any]:
    """The peer renews its tokens here."""
    parameters = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    response = post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.draft("Reciprocal Authorization Flow")
def test_consent_on_dots_page_opens_a_link_that_waits_for_the_approval_there(
    browser: Client, application: Any, user: Any, peer: Peer
) -> None:
    log_in(browser, application, "playback")

    link = Link.objects.get()
    assert (link.user, link.peer) == (user, peer)
    assert (link.incoming_state, link.outgoing_state) == ("active", "waiting")
    assert link.incoming_scope == "playback"
    assert link.incoming_family == newest_family()
    assert not link.is_two_way
    event = LinkEvent.objects.get()
    assert (event.step, event.party, event.detail) == (Step.D, "B", "scope: playback")


def test_consent_again_widens_the_link_that_waits(browser: Client, application: Any) -> None:
    log_in(browser, application, "playback")
    log_in(browser, application, "profile")

    link = Link.objects.get()
    assert set(link.incoming_scope.split()) == {"playback", "profile"}
    assert link.incoming_family == newest_family()


@pytest.mark.threat("I10")
def test_widening_stops_at_what_the_peer_may_hold_now(browser: Client, application: Any) -> None:
    log_in(browser, application, "playback")
    Peer.objects.update(allowed_scope="profile")
    log_in(browser, application, "profile")

    assert Link.objects.get().incoming_scope == "profile"


@pytest.mark.draft("Reciprocal Authorization Code")
def test_a_link_that_was_handed_over_is_left_alone_and_a_second_one_opens(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    first_tokens = log_in(browser, application, "playback")
    hand_over(access_token=first_tokens["access_token"])
    worker.drain()
    first = Link.objects.get()

    second_tokens = log_in(browser, application, "profile")

    second = Link.objects.exclude(pk=first.pk).get()
    assert second.incoming_scope == "profile"
    fake_peer.answers["/token/"] = token_response(access_token="token-of-the-second-account")
    hand_over(access_token=second_tokens["access_token"], code="code-of-the-second-account")
    worker.drain()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.is_two_way
    assert second.is_two_way
    assert first.access_token.reveal() == "token-of-the-peer"
    assert second.access_token.reveal() == "token-of-the-second-account"


@pytest.mark.draft("Reciprocal Authorization Code")
def test_two_accounts_connected_before_either_was_handed_over_get_a_link_each(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    """Two people of a household, each with an account there, and one account here."""
    tokens = {name: log_in(browser, application) for name in ("ann", "ben")}
    for name in ("ann", "ben"):
        tokens[name] = renew(application, tokens[name])
        fake_peer.answers["/token/"] = token_response(access_token=f"token-of-{name}")
        hand_over(access_token=tokens[name]["access_token"], code=f"code-of-{name}")
        worker.drain()

    links = Link.objects.all()
    assert {link.access_token.reveal() for link in links} == {"token-of-ann", "token-of-ben"}
    assert all(link.is_two_way for link in links)
    for name in ("ann", "ben"):
        assert renew(application, tokens[name])["access_token"]


def test_a_peer_that_has_lost_its_tokens_gets_the_same_link_back(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    tokens = log_in(browser, application)
    hand_over(access_token=tokens["access_token"])
    worker.drain()
    get_refresh_token_model().revoke_family(newest_family())

    again = log_in(browser, application)

    assert Link.objects.get().incoming_family == newest_family()
    hand_over(access_token=again["access_token"], code="another")
    worker.drain()
    assert Link.objects.get().is_two_way


def test_the_link_that_the_person_began_here_is_not_taken_for_a_login_there(
    browser: Client, application: Any, link_as_a: Link
) -> None:
    log_in(browser, application)

    link_as_a.refresh_from_db()
    assert link_as_a.incoming_state == Link.Incoming.OFFERED
    assert link_as_a.incoming_family is None
    opened = Link.objects.exclude(account_key=KEY_UNKNOWN).get()
    assert opened.outgoing_state == Link.Outgoing.WAITING


@pytest.mark.draft("Reciprocal Authorization Flow")
@pytest.mark.rfc("6749", "4.2.2")
@pytest.mark.threat("B21")
def test_a_token_of_the_implicit_grant_opens_a_link_and_hands_over(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    token = by_implicit_grant(browser, application)["access_token"]

    assert Link.objects.get().outgoing_state == Link.Outgoing.WAITING
    assert hand_over(access_token=token).status_code == 200
    worker.drain()
    assert Link.objects.get().is_two_way


@pytest.mark.rfc("6749", "4.2.2")
def test_another_token_of_the_implicit_grant_stays_on_the_link(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    hand_over(access_token=by_implicit_grant(browser, application)["access_token"])
    worker.drain()

    again = by_implicit_grant(browser, application)["access_token"]

    assert Link.objects.get().is_two_way
    assert hand_over(access_token=again, code="another").status_code == 200
    assert Link.objects.count() == 1


def test_a_peer_whose_only_token_ran_out_gets_the_same_link_back(
    browser: Client,
    application: Any,
    hand_over: HandOver,
    fake_peer: FakePeer,
    make_token: Callable[..., Any],
    other_user: Any,
) -> None:
    """Refresh tokens of other people from before DOT knew families are none of its own."""
    hand_over(access_token=by_implicit_grant(browser, application)["access_token"])
    worker.drain()
    make_token(application, other_user)
    get_refresh_token_model().objects.update(token_family=None)
    get_application_model().objects.update(authorization_grant_type="authorization-code")

    with time_machine.travel(timezone.now() + timedelta(days=1)):
        browser.force_login(Link.objects.get().user)
        log_in(browser, application)

    assert Link.objects.count() == 1


@pytest.mark.draft("Reciprocal Authorization Flow")
@pytest.mark.rfc("6749", "4.3.3")
@pytest.mark.threat("B21")
def test_a_token_of_the_password_grant_opens_a_link_and_hands_over(
    browser: Client, application: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    token = by_password(browser, application)["access_token"]

    assert hand_over(access_token=token).status_code == 200
    worker.drain()
    assert Link.objects.get().is_two_way


@pytest.mark.draft("Reciprocal Authorization Flow")
@pytest.mark.rfc("6749", "4.4.3")
@pytest.mark.threat("B8")
def test_client_credentials_open_no_link_and_hand_nothing_over(
    browser: Client, application: Any, hand_over: HandOver
) -> None:
    token = by_client_credentials(browser, application)["access_token"]

    assert hand_over(access_token=token).json() == {"error": "invalid_grant"}
    assert not Link.objects.exists()


def test_a_login_at_a_client_that_is_no_peer_opens_no_link(
    browser: Client, peer: Peer, make_application: Callable[..., Any]
) -> None:
    log_in(browser, make_application())

    assert not Link.objects.exists()


def test_tokens_from_before_the_client_became_a_peer_open_a_link_with_the_hand_over(
    hand_over: HandOver,
    make_token: Callable[..., Any],
    application: Any,
    user: Any,
    fake_peer: FakePeer,
) -> None:
    token = make_token(application, user, "profile")

    assert hand_over(access_token=token.raw).status_code == 200

    link = Link.objects.get()
    assert link.incoming_family == token.family
    assert link.incoming_scope == "profile"
    worker.drain()
    renew(application, {"refresh_token": token.raw_refresh})


def test_each_person_has_a_link_of_their_own(
    client: Client, application: Any, user: Any, other_user: Any
) -> None:
    for person in (user, other_user):
        client.force_login(person)
        log_in(client, application)

    assert set(Link.objects.values_list("user__username", flat=True)) == {"alice", "bob"}


@pytest.mark.threat("C16", "F23")
def test_a_login_with_openid_is_kept_apart_from_what_a_code_of_ours_may_carry(
    openid_connect: None,
    browser: Client,
    application: Any,
    hand_over: HandOver,
    fake_peer: FakePeer,
) -> None:
    Peer.objects.update(allowed_scope="openid playback")
    get_application_model().objects.update(algorithm="RS256")
    tokens = log_in(browser, application, "openid playback")
    hand_over(access_token=tokens["access_token"])
    worker.drain()
    link = Link.objects.get()
    assert link.incoming_scope == "openid playback"

    save_decision(link, link.incoming_scope)
    code = mint(link, link.generation)
    response = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": code.reveal()},
        basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code == 200, response.content
    assert response.json()["scope"] == "playback"
    assert "id_token" not in response.json()


@pytest.mark.rfc("6749", "6")
def test_the_tokens_of_a_second_account_do_not_end_those_of_the_first(
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
    hand_over: Callable[..., Any],
    refresh: Callable[..., Any],
) -> None:
    """Two people of a household, each with an account there, and one account here."""
    first, second = (make_token(peer.application, user, "playback") for _ in range(2))
    for token in (first, second):
        with transaction.atomic():
            open_link(peer, user.pk, "playback", token.family)

    assert hand_over(access_token=second.raw).status_code == 200
    worker.drain()

    assert refresh(second.raw_refresh).status_code == 200
    renewed = refresh(first.raw_refresh).json()
    assert Link.objects.filter(status="active").count() == 1
    assert hand_over(access_token=renewed["access_token"], code="another").status_code == 200
    assert Link.objects.filter(status="active").count() == 2


WAITS, COMPLETE = Link.Outgoing.WAITING, Link.Outgoing.ACTIVE


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize(
    ("token_has_family", "state", "family_of_link", "is_same_link"),
    [
        (False, WAITS, "live", True),
        (False, WAITS, None, True),
        (False, COMPLETE, None, True),
        (False, COMPLETE, "live", False),
        (True, WAITS, None, True),
        (True, WAITS, "lost", True),
        (True, WAITS, "live", False),
        (True, COMPLETE, None, False),
        (True, COMPLETE, "lost", False),
    ],
)
def test_a_handed_over_token_of_another_family_keeps_to_a_link_or_gets_its_own(
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
    token_has_family: bool,
    state: str,
    family_of_link: str | None,
    is_same_link: bool,
) -> None:
    family = {
        "live": make_token(peer.application, user).family,
        "lost": uuid4(),
        None: None,
    }[family_of_link]
    with transaction.atomic():
        link = open_link(peer, user.pk, "playback", family)
    Link.objects.update(outgoing_state=state)
    token = make_token(peer.application, user, "profile")
    if not token_has_family:
        get_refresh_token_model().objects.filter(access_token=token).update(token_family=None)

    with transaction.atomic():
        found = link_of_token(peer, token)

    assert (found == link) is is_same_link
    assert Link.objects.count() == (1 if is_same_link else 2)
    if token_has_family:
        assert found.incoming_family == token.family
        assert found.account_key == key_of_family(token.family)
