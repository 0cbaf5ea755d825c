"""When a peer, a user or a link is deleted, its access is revoked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Link, OutboxItem, Peer

pytestmark = pytest.mark.django_db(transaction=True)


def status_with(token: Any) -> int:
    """The status of a call to a protected resource with the token."""
    headers = {"Authorization": f"Bearer {token.raw}"}
    return Client().get("/api/playback/", headers=headers).status_code


@pytest.mark.threat("Y3", "C14")
@pytest.mark.parametrize("by", ["instance", "queryset"])
def test_the_tokens_of_a_deleted_peer_are_revoked(peer: Peer, token_of_a: Any, by: str) -> None:
    assert status_with(token_of_a) == 200

    peer.delete() if by == "instance" else Peer.objects.filter(pk=peer.pk).delete()

    assert status_with(token_of_a) == 401
    assert not Link.objects.exists()


@pytest.mark.threat("Y3")
def test_the_application_of_a_peer_cannot_be_deleted_under_it(application: Any) -> None:
    with pytest.raises(ProtectedError):
        application.delete()


@pytest.mark.threat("Y1")
def test_the_outgoing_token_is_revoked_after_its_user_is_deleted(link_as_a: Link) -> None:
    get_user_model().objects.all().delete()

    row = OutboxItem.objects.get()
    assert (row.kind, row.state) == (OutboxItem.Kind.REVOCATION, OutboxItem.State.PENDING)
    assert row.link is None
    assert row.token.reveal() == "refresh-of-the-peer"


def test_the_application_is_not_exchanged_under_active_links(
    peer: Peer, token_of_a: Any, make_peer: Callable[..., Peer]
) -> None:
    other = make_peer("other")
    other_application = get_application_model().objects.get(pk=other.application_id)
    other.delete()
    peer.application = other_application

    with pytest.raises(ValidationError, match="End these links first"):
        peer.full_clean()

    Link.objects.all().delete()
    peer.full_clean()


@pytest.mark.threat("Y3")
def test_the_page_of_dot_says_why_the_application_of_a_peer_stays(
    browser: Client, peer: Peer, user: Any
) -> None:
    application = peer.application
    application.user = user
    application.save()

    response = browser.post(f"/o/applications/{application.pk}/delete/")

    assert response.status_code == 409
    assert "This application is how Music is registered here." in response.content.decode()
    assert get_application_model().objects.filter(pk=application.pk).exists()


def test_the_page_of_dot_deletes_every_other_application(browser: Client, user: Any) -> None:
    application = get_application_model().objects.create(user=user, client_id="plain")

    response = browser.post(f"/o/applications/{application.pk}/delete/")

    assert response.status_code == 302
    assert not get_application_model().objects.exists()
