"""A person ends a connection."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, OutboxItem, Peer

from ..columns import columns_of
from ..conftest import always_had, basic, post_form
from ..fakes import FakePeer, Reply

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def link(token_of_a: Any) -> Link:
    """A link whose incoming access works: the peer holds ``token_of_a``."""
    link = Link.objects.get()
    link.outgoing_state = Link.Outgoing.ACTIVE
    link.refresh_token = link.access_token = "token-to-give-back"  # type: ignore[assignment]
    link.save()
    return link


def test_the_page_asks_first(browser: Client, link: Link) -> None:
    page = browser.get(f"/connections/links/{link.pk}/disconnect/")

    assert "Disconnect Music?" in page.content.decode()
    link.refresh_from_db()
    assert link.is_active


def test_the_page_says_what_each_side_may_no_longer_do(
    browser: Client, link: Link, settings: Settings
) -> None:
    words = {"music": {"play": "Play what you like"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": words}
    Link.objects.update(outgoing_scope="openid play volume")

    page = browser.get(f"/connections/links/{link.pk}/disconnect/").content.decode()

    here, there = page.split("This site may no longer, at Music:")
    assert "<li>Control what is playing</li>" in here.split("Music may no longer, here:")[1]
    assert "<li>Play what you like</li><li>Access that the other site calls “volume”</li>" in there
    assert "openid" not in page


GIVES_BACK = "This site deletes its access to Music and asks Music to revoke it."
CANNOT_TELL = "but cannot ask Music to revoke it. End the access there as well."


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.parametrize("endpoint", ["https://music.example/revoke/", ""])
def test_the_page_promises_a_revocation_only_if_one_is_sent(
    browser: Client, link: Link, endpoint: str
) -> None:
    always_had(revocation_endpoint=endpoint, homepage="https://music.example/")
    question = f"/connections/links/{link.pk}/disconnect/"

    page = browser.get(question).content.decode()
    browser.post(question)

    queued = OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION).exists()
    assert (GIVES_BACK in page) is queued is bool(endpoint)
    assert (CANNOT_TELL in page) is (">Go to Music</a>" in page) is (not queued)


def test_without_a_token_of_the_peer_nothing_is_revoked_there(browser: Client, link: Link) -> None:
    Link.objects.update(access_token="", refresh_token="")

    page = browser.get(f"/connections/links/{link.pk}/disconnect/").content.decode()

    assert GIVES_BACK not in page
    assert CANNOT_TELL not in page


@pytest.mark.parametrize("state", [Link.Incoming.OFFERED, Link.Incoming.DENIED])
def test_what_was_only_asked_for_does_not_stop(browser: Client, link: Link, state: str) -> None:
    Link.objects.update(incoming_state=state, incoming_scope="", offered_scope="profile")

    page = browser.get(f"/connections/links/{link.pk}/disconnect/").content.decode()

    assert "It may do nothing here now." in page
    assert "See your name" not in page


def test_after_starting_over_the_list_offers_to_connect_again(browser: Client, link: Link) -> None:
    question = f"/connections/links/{link.pk}/disconnect/?start-over"
    assert "Disconnect and start over" in browser.get(question).content.decode()

    page = browser.get(browser.post(question)["Location"]).content.decode()

    assert "Connect Music again" in page
    assert (
        "Connect Music again" not in browser.get(f"/connections/?ended={link.pk}").content.decode()
    )


def test_of_a_link_that_has_ended_the_page_asks_nothing(browser: Client, link: Link) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    answer = browser.get(f"/connections/links/{link.pk}/disconnect/")

    assert (answer.status_code, answer["Location"]) == (302, f"/connections/links/{link.pk}/")


def test_the_list_leads_to_the_question_of_each_link_that_has_not_ended(
    browser: Client, link: Link
) -> None:
    question = f'href="/connections/links/{link.pk}/disconnect/"'
    assert question in browser.get("/connections/").content.decode()

    lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=False)
    assert question not in browser.get("/connections/").content.decode()


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("T3", "I6")
def test_disconnecting_ends_both_directions_at_once(
    browser: Client, link: Link, token_of_a: Any
) -> None:
    bearer = {"Authorization": f"Bearer {token_of_a.raw}"}
    assert Client().get("/api/playback/", headers=bearer).status_code == 200

    browser.post(f"/connections/links/{link.pk}/disconnect/")

    assert Client().get("/api/playback/", headers=bearer).status_code == 401
    refreshed = post_form(
        Client(),
        {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh},
        basic("music-here", "secret-of-the-peer-here"),
    )
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")
    link.refresh_from_db()
    assert not link.is_active
    assert not link.access_token
    assert not link.refresh_token


def test_the_list_confirms_it_to_the_person_alone(
    browser: Client, link: Link, other_user: Any
) -> None:
    answer = browser.post(f"/connections/links/{link.pk}/disconnect/")

    assert answer["Location"] == f"/connections/?ended={link.pk}"
    assert "Music is disconnected" in browser.get(answer["Location"]).content.decode()
    assert "is disconnected" not in browser.get("/connections/?ended=x").content.decode()
    stranger = Client()
    stranger.force_login(other_user)
    assert "is disconnected" not in stranger.get(answer["Location"]).content.decode()


def test_where_another_account_stays_connected_the_list_speaks_of_this_one_alone(
    browser: Client, link: Link
) -> None:
    Link.objects.update(subject="1", account_name="alice.plays")
    Link.objects.create(user=link.user, peer=link.peer, account_key="sub:2", subject="2")

    answer = browser.post(f"/connections/links/{link.pk}/disconnect/")

    page = browser.get(answer["Location"]).content.decode()
    banner = page[page.index('id="ro-ended"') : page.index('id="ro-links"')]
    assert "One of your connections with Music has ended" in banner
    assert "Account there: alice.plays<" in banner
    assert "Any other connection with Music continues as before." in banner
    assert "is disconnected" not in banner
    assert "can no longer do anything here" not in banner


def test_the_list_confirms_nothing_that_the_person_did_not_do(browser: Client, link: Link) -> None:
    page = f"/connections/?ended={link.pk}"
    assert "is disconnected" not in browser.get(page).content.decode()

    lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=False)
    assert "is disconnected" not in browser.get(page).content.decode()


@pytest.mark.rfc("7009", "2.1")
def test_our_token_is_revoked_at_the_peer(
    browser: Client, link: Link, fake_peer: FakePeer, peer: Peer
) -> None:
    fake_peer.answers["/revoke/"] = [Reply(503), Reply()]

    browser.post(f"/connections/links/{link.pk}/disconnect/")
    worker.drain()
    row = OutboxItem.objects.get(kind=OutboxItem.Kind.REVOCATION)
    assert row.state == OutboxItem.State.PENDING

    OutboxItem.objects.update(next_attempt_at=row.created_at)
    worker.drain()
    row.refresh_from_db()
    assert row.state == OutboxItem.State.DONE
    assert [each.form["token"] for each in fake_peer.to("/revoke/")] == ["token-to-give-back"] * 2


@pytest.mark.threat("L9")
@pytest.mark.parametrize("who", ["another user", "staff", "nobody"])
def test_nobody_else_can_see_the_question_or_end_the_link(
    link: Link, other_user: Any, who: str, fake_peer: FakePeer
) -> None:
    browser = Client()
    if who == "staff":
        browser.force_login(get_user_model().objects.create_superuser("admin", password="admin"))
    elif who == "another user":
        browser.force_login(other_user)
    before = columns_of(Link.objects.get())

    for pk in (link.pk, uuid4()):
        path = f"/connections/links/{pk}/disconnect/"
        for answer in (browser.get(path), browser.post(path)):
            if who == "nobody":
                assert answer["Location"] == f"/accounts/login/?next={path}"
            else:
                assert answer.status_code == 404

    worker.drain()
    assert columns_of(Link.objects.get()) == before
    assert fake_peer.requests == []


@pytest.fixture
def strict(user: Any) -> Client:
    """A browser in which alice is signed in, of a site that checks where forms come from."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    return strict


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}])
def test_only_a_post_ends_a_link(
    strict: Client, link: Link, method: str, headers: dict[str, str]
) -> None:
    path = f"/connections/links/{link.pk}/disconnect/?answer=yes"

    assert getattr(strict, method)(path, headers=headers).status_code in (200, 403, 405)

    link.refresh_from_db()
    assert link.is_active


@pytest.mark.threat("L13")
def test_a_form_of_another_site_cannot_end_a_link(strict: Client, link: Link) -> None:
    path = f"/connections/links/{link.pk}/disconnect/"

    assert strict.post(path).status_code == 403
    link.refresh_from_db()
    assert link.is_active

    strict.get(path)
    strict.post(path, {"csrfmiddlewaretoken": strict.cookies["csrftoken"].value})
    link.refresh_from_db()
    assert not link.is_active
