"""A refusal that comes late: the token that party B refuses has been replaced while the hand-over
was in the air."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import connect

pytestmark = pytest.mark.usefixtures("shared_database")

State = OutboxItem.State
REFUSED = Reply.json(400, error="invalid_grant")

Meanwhile = Callable[..., list[str]]


@pytest.fixture
def meanwhile(fake_peer: FakePeer, settings: Settings) -> Meanwhile:
    """Has something happen while the hand-over number ``during`` is in the air, which is refused,
    as are those before; later ones are taken. Gives the access tokens of those that arrive."""
    # A whole visit takes place in one of them, on a machine that may be busy.
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 60.0}

    def arrange(event: Callable[[], Any], *, during: int) -> list[str]:
        arrived: list[str] = []

        def answer(received: Received) -> Reply:
            match received.form["grant_type"]:
                case "authorization_code":
                    return token_response(access_token="newest", refresh_token="newest-refresh")
                case "refresh_token":
                    return token_response(access_token="renewed", refresh_token="next-refresh")
            assert received.form["grant_type"] == GRANT_TYPE
            arrived.append(received.form["access_token"])
            if len(arrived) == during:
                event()
                connections.close_all()
            return REFUSED if len(arrived) <= during else Reply()

        fake_peer.answers["/token/"] = answer
        fake_peer.answers["/revoke/"] = Reply()
        return arrived

    return arrange


@pytest.mark.threat("S10", "T2")
@pytest.mark.parametrize("renewable", [True, False])
def test_it_does_not_break_the_connection_that_the_person_has_made_anew(
    renewable: bool, granted: Link, browser: Client, meanwhile: Meanwhile
) -> None:
    if not renewable:
        Link.objects.update(refresh_token="")
    arrived = meanwhile(lambda: connect(browser), during=2 if renewable else 1)

    worker.drain()

    link = Link.objects.get()
    assert (link.outgoing_state, link.outgoing_reason) == (Link.Outgoing.ACTIVE, "")
    assert link.access_token.reveal() == "newest"
    assert link.refresh_token.reveal() == "newest-refresh"
    assert link.incoming_state == Link.Incoming.OFFERED, "the person is asked anew"
    assert "newest" not in arrived, "what was allowed to the old connection is not sent"


@pytest.mark.threat("T2")
def test_the_hand_over_is_sent_again_with_a_token_that_was_renewed_elsewhere(
    granted: Link, meanwhile: Meanwhile
) -> None:
    def renew() -> None:
        link = Link.objects.get()
        link.access_token = Secret("renewed elsewhere")
        Link.objects.update(access_token=link.access_token)

    arrived = meanwhile(renew, during=2)

    worker.drain()
    assert OutboxItem.objects.get().state == State.PENDING
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        worker.drain()

    assert OutboxItem.objects.get().state == State.ACCEPTED
    assert arrived == ["token-of-the-peer", "renewed", "renewed elsewhere"]
    assert Link.objects.get().outgoing_state == Link.Outgoing.ACTIVE
