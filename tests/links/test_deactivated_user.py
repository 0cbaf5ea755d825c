"""After a user was deactivated or deleted, the outgoing access is neither used nor stored."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

import reciprocal_oauth
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.exceptions import NotLinked
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import resending

from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import begin

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("T41")]

REFUSED = Reply.json(400, error="unsupported_token_type")


def deactivate() -> None:
    get_user_model().objects.update(is_active=False)


def deactivated_meanwhile(answer: Reply) -> Callable[[Received], Reply]:
    def reply(received: Received) -> Reply:
        deactivate()
        return answer

    return reply


def revoked_there(fake_peer: FakePeer) -> list[str]:
    worker.drain()
    return [received.form["token"] for received in fake_peer.to("/revoke/")]


def test_no_new_session_is_opened(link_as_a: Link, user: Any) -> None:
    deactivate()
    user.refresh_from_db()

    with pytest.raises(NotLinked):
        reciprocal_oauth.get_session_for(user, "music")
    assert not reciprocal_oauth.get_links(user, "music").exists()


@pytest.mark.parametrize("who", ["as it was read before", "as it is now"])
def test_an_open_session_makes_no_more_calls(
    link_as_a: Link, user: Any, fake_peer: FakePeer, who: str
) -> None:
    fake_peer.answers["/api"] = Reply()
    session = reciprocal_oauth.get_session_for(user, "music")
    deactivate()
    if who == "as it is now":
        session = reciprocal_oauth.get_session(Link.objects.get())

    with pytest.raises(NotLinked):
        session.get(f"{fake_peer.url}/api")

    assert fake_peer.requests == []
    get_user_model().objects.update(is_active=True)
    assert session.get(f"{fake_peer.url}/api").status_code == 200


def test_tokens_of_a_redemption_are_revoked_instead_of_stored(
    token_of_a: Any, hand_over: Callable[..., Any], fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = deactivated_meanwhile(token_response())
    fake_peer.answers["/revoke/"] = Reply()
    assert hand_over(access_token=token_of_a.raw).status_code == 200

    worker.drain()

    link, item = Link.objects.get(), InboxItem.objects.get()
    assert not link.has_outgoing_tokens
    assert link.outgoing_state == Link.Outgoing.WAITING
    assert (item.state, item.code.reveal()) == (InboxItem.State.CANCELLED, "")
    assert revoked_there(fake_peer) == ["refresh-of-the-peer"]


@pytest.mark.parametrize("connected_before", [False, True])
def test_tokens_of_a_connection_are_revoked_instead_of_stored(
    browser: Client, user: Any, peer: Peer, fake_peer: FakePeer, connected_before: bool
) -> None:
    if connected_before:
        begin(browser).come_back()
    before = Link.objects.values_list("pk", "outgoing_grant").first()
    answer = token_response(access_token="new", refresh_token="new-refresh")
    fake_peer.answers["/token/"] = deactivated_meanwhile(answer)
    fake_peer.answers["/revoke/"] = Reply()

    response = begin(browser).come_back()

    assert response.status_code == 303
    assert Link.objects.values_list("pk", "outgoing_grant").first() == before
    assert revoked_there(fake_peer) == ["new-refresh"]


def test_tokens_of_a_connection_are_revoked_when_the_user_is_deleted_meanwhile(
    browser: Client, user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    def delete_user(received: Received) -> Reply:
        get_user_model().objects.all().delete()
        return token_response(access_token="new", refresh_token="new-refresh")

    fake_peer.answers["/token/"] = delete_user
    fake_peer.answers["/revoke/"] = Reply()

    begin(browser).come_back()

    assert not Link.objects.exists()
    assert revoked_there(fake_peer) == ["new-refresh"]


@pytest.mark.rfc("7009", "2.2.1")
@pytest.mark.parametrize("answer", [REFUSED, Reply(403, b"")])
def test_the_token_of_a_deleted_user_is_not_kept_when_the_peer_refuses_to_revoke_it(
    link_as_a: Link, user: Any, fake_peer: FakePeer, answer: Reply
) -> None:
    fake_peer.answers["/revoke/"] = answer
    user.delete()

    worker.drain()

    row = OutboxItem.objects.get()
    assert (row.state, row.token.reveal()) == (OutboxItem.State.FAILED, "")
    with pytest.raises(resending.NotPossible):
        resending.resend(row)


def test_a_token_whose_revocation_has_failed_is_deleted_with_the_user(
    link_as_a: Link, user: Any, fake_peer: FakePeer, browser: Client
) -> None:
    fake_peer.answers["/revoke/"] = REFUSED
    browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")
    worker.drain()
    assert OutboxItem.objects.get().token, "an administrator may send it again"

    user.delete()

    assert OutboxItem.objects.get().token.reveal() == ""


def test_a_revocation_that_is_stopped_after_the_user_was_deleted_keeps_no_token(
    link_as_a: Link, user: Any
) -> None:
    user.delete()

    resending.cancel(OutboxItem.objects.get())

    row = OutboxItem.objects.get()
    assert (row.state, row.token.reveal()) == (OutboxItem.State.CANCELLED, "")
