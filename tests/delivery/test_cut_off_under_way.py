"""The connection is cut while a hand-over is under way: whichever came first, nothing is sent after
the cut, nothing that was sent gives access, and the worker goes on."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, Peer, ReciprocalCode
from reciprocal_oauth.party_a import send

from ..fakes import FakePeer, Received, Reply
from ..party_a.visits import call_api, redeem, refresh

pytestmark = pytest.mark.usefixtures("shared_database")

State = OutboxItem.State


class Held:
    """A worker in a thread of its own, held at a point of its work until it is let go."""

    def __init__(self) -> None:
        self._reached, self._go_on = threading.Event(), threading.Event()
        self._faults: list[BaseException] = []
        self._thread = threading.Thread(target=self._work)

    def hold(self) -> None:
        self._reached.set()
        assert self._go_on.wait(20)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any, **options: Any) -> Any:
            self.hold()
            return function(*arguments, **options)

        return held

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within this, the worker is held."""
        self._thread.start()
        try:
            assert self._reached.wait(20)
            yield
        finally:
            self._go_on.set()
            self._thread.join()
        assert self._faults == []

    def _work(self) -> None:
        try:
            worker.drain()
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            connections.close_all()


@pytest.fixture
def held(fake_peer: FakePeer) -> Held:
    fake_peer.answers["/token/"] = fake_peer.answers["/revoke/"] = Reply()
    return Held()


def claimed(held: Held, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "_hand_over", held.before(send._hand_over))


def token_in_hand(held: Held, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "fresh_access_token", held.before(send.fresh_access_token))


def about_to_mint(held: Held, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "mint", held.before(send.mint))


def sent(held: Held, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(received: Received) -> Reply:
        held.hold()
        return Reply()

    fake_peer.answers["/token/"] = answer


def disconnect(browser: Client, link: Link) -> None:
    assert browser.post(f"/connections/links/{link.pk}/disconnect/").status_code == 302


def delete_user(browser: Client, link: Link) -> None:
    link.user.delete()


def disable_peer(browser: Client, link: Link) -> None:
    Peer.objects.update(enabled=False)


def delete_peer(browser: Client, link: Link) -> None:
    link.peer.delete()


CUTS = [disconnect, delete_user, disable_peer, delete_peer]
#: After these, the peer is told that we no longer use its token.
TOLD = (disconnect, delete_user)


def assert_nothing_is_left(fake_peer: FakePeer, cut: Callable[..., None], posts: int) -> None:
    """Also in the three days in which a hand-over is tried again."""
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(8):
            worker.drain()
            clock.shift(timedelta(hours=12))
    assert len(fake_peer.to("/token/")) == posts
    assert len(fake_peer.to("/revoke/")) == (1 if cut in TOLD else 0)
    handovers = OutboxItem.objects.filter(kind=OutboxItem.Kind.HANDOVER)
    assert not handovers.exclude(state__in=[State.CANCELLED, State.DONE]).exists()
    assert not ReciprocalCode.objects.filter(
        state=ReciprocalCode.State.LIVE, link__peer__enabled=True
    ).exists()


@pytest.mark.threat("T3", "Y1", "Y3")
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("moment", [claimed, token_in_hand, about_to_mint, sent])
def test_a_hand_over_that_is_cut_off_gives_nothing(
    moment: Callable[..., None],
    cut: Callable[..., None],
    held: Held,
    granted: Link,
    application: Any,
    browser: Client,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    moment(held, fake_peer, monkeypatch)

    with held.working():
        cut(browser, granted)
        posts = len(fake_peer.to("/token/"))

    assert posts == (1 if moment is sent else 0)
    assert_nothing_is_left(fake_peer, cut, posts)
    if posts:
        code = fake_peer.to("/token/")[0].form["code"]
        refused = redeem(code, application)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert not get_access_token_model().objects.exists()
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    if cut is disable_peer:
        granted.refresh_from_db()
        assert granted.incoming_reason == Link.Reason.PEER_DISABLED


@pytest.mark.threat("T3", "Y1", "Y3")
@pytest.mark.parametrize("cut", CUTS)
def test_what_the_peer_redeemed_before_it_was_cut_off_is_worthless(
    cut: Callable[..., None],
    held: Held,
    granted: Link,
    application: Any,
    browser: Client,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It redeems the code before it answers."""
    sent(held, fake_peer, monkeypatch)

    with held.working():
        tokens = redeem(fake_peer.to("/token/")[0].form["code"], application).json()
        assert call_api(tokens["access_token"]) == 200
        cut(browser, granted)

    assert call_api(tokens["access_token"]) in (401, 403)
    assert refresh(tokens["refresh_token"], application).status_code == 400
    assert_nothing_is_left(fake_peer, cut, 1)
    if cut is not disable_peer:
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()
    assert not get_grant_model().objects.exists()
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.threat("Y3")
def test_the_application_of_a_peer_stays_while_codes_are_on_their_way(
    held: Held,
    granted: Link,
    browser: Client,
    user: Any,
    application: Any,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application.user = user
    application.save()
    sent(held, fake_peer, monkeypatch)

    with held.working():
        refused = browser.post(f"/o/applications/{application.pk}/delete/")

    assert refused.status_code == 409
    assert redeem(fake_peer.to("/token/")[0].form["code"], application).status_code == 200
    granted.refresh_from_db()
    assert granted.is_two_way
