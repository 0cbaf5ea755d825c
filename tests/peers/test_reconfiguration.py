"""Somebody changes a peer's address or our client ID: stored secrets are not sent to it."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

import reciprocal_oauth
from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.exceptions import AddressRefused, DecryptionError, NotLinked, PeerError
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.models.binding import binding_of
from reciprocal_oauth.peers import connection_check
from reciprocal_oauth.secret import Secret

from ..admin.conftest import admin_url, staff  # noqa: F401
from ..admin.peer_pages import errors, values_of
from ..conftest import OUR_SECRET, basic, post_form
from ..fakes import FakePeer, Reply, token_response

pytestmark = pytest.mark.django_db(transaction=True)

PLACES = ("token_endpoint", "revocation_endpoint", "reciprocal_endpoint")


@pytest.fixture
def elsewhere() -> Iterator[FakePeer]:
    """A server of an attacker who may change peers."""
    other = FakePeer()
    other.answers["/token/"] = token_response(access_token="of-elsewhere")
    other.answers["/revoke/"] = Reply()
    yield other
    other.stop()


@pytest.fixture
def expired(link_as_a: Link) -> Link:
    """A link with an expired access token: the next call refreshes it."""
    Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    link_as_a.refresh_from_db()
    return link_as_a


def seen_by(server: FakePeer) -> str:
    """Everything that was sent to a server, with decoded credentials."""
    seen = ""
    for request in server.requests:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        seen += base64.b64decode(value).decode() if kind == "Basic" else value
        seen += request.path + request.body
    return seen


def reconfigure(peer: Peer, **changes: Any) -> None:
    """Change the peer as an administrator does who knows the secret for the new address."""
    peer.refresh_from_db()
    peer.client_secret = Secret("secret-for-elsewhere")
    for name, value in changes.items():
        setattr(peer, name, value)
    peer.save()


def call_in_every_way(link: Link) -> None:
    """Do everything that sends something to the peer of a link."""
    connection_check.run(Peer.objects.get())
    for token in (None, link.access_token):
        with pytest.raises((NotLinked, PeerError)):
            fresh_access_token(Link.objects.get(), not_this=token)
    OutboxItem.objects.create(peer=link.peer, link=link, generation=link.generation)
    lifecycle.queue_revocation(link)
    worker.drain()


# The client secret


@pytest.mark.threat("X50")
@pytest.mark.parametrize(
    "place", [*PLACES, "authorization_endpoint", "userinfo_endpoint", "issuer", "homepage"]
)
def test_a_form_with_another_address_needs_the_client_secret_again(
    staff: Callable[..., Client],  # noqa: F811
    peer: Peer,
    elsewhere: FakePeer,
    place: str,
) -> None:
    url = f"{elsewhere.url}/token/"
    page = admin_url(Peer, "change", peer.pk)
    sent = values_of(peer, client_secret="", **{place: url})

    response = staff("view_peer", "change_peer").post(page, sent)

    (reason,) = errors(response)["client_secret"]
    assert "enter the client secret again" in reason
    assert url in reason
    peer.refresh_from_db()
    assert getattr(peer, place) != url


@pytest.mark.threat("X50")
@pytest.mark.parametrize("place", PLACES)
def test_code_that_saves_another_address_needs_the_client_secret_again(
    peer: Peer, elsewhere: FakePeer, place: str
) -> None:
    setattr(peer, place, f"{elsewhere.url}/token/")

    for options in ({}, {"update_fields": [place]}):
        with pytest.raises(ValidationError, match="enter the client secret again"):
            peer.save(**options)

    peer.refresh_from_db()
    assert elsewhere.url not in getattr(peer, place)


@pytest.mark.threat("X50", "X120")
@pytest.mark.parametrize("read_from", ["the same row", "another copy of the row"])
def test_assigning_the_stored_secret_does_not_count_as_entering_it(
    peer: Peer, elsewhere: FakePeer, read_from: str
) -> None:
    """A form or a serializer assigns values that a person did not change. Under another short name
    the secret is encrypted again, but it is still the same secret."""
    found = Peer.objects.get()
    found.slug = "another-name"
    source = found if read_from == "the same row" else Peer.objects.get()
    found.client_secret = source.client_secret
    found.token_endpoint = f"{elsewhere.url}/token/"

    with pytest.raises(ValidationError, match="enter the client secret again"):
        found.save()

    connection_check.run(Peer.objects.get())
    assert seen_by(elsewhere) == ""


@pytest.mark.threat("X50")
def test_another_client_id_needs_the_client_secret_again(peer: Peer) -> None:
    peer.client_id = "somebody-else"

    with pytest.raises(ValidationError, match="at the peer: us-at-music → somebody-else"):
        peer.save()


@pytest.mark.threat("X50")
def test_another_path_at_the_same_origin_does_not_need_it(peer: Peer, fake_peer: FakePeer) -> None:
    peer.token_endpoint = f"{fake_peer.url}/v2/token/"
    peer.reciprocal_endpoint = f"{fake_peer.url}/v2/reciprocal/"
    peer.full_clean()
    peer.save()

    assert Peer.objects.get().token_endpoint.endswith("/v2/token/")


@pytest.mark.threat("X50", "X51")
@pytest.mark.parametrize("change", ["address", "client id"])
def test_after_an_update_in_the_database_nothing_is_sent(
    peer: Peer, link_as_a: Link, fake_peer: FakePeer, elsewhere: FakePeer, change: str
) -> None:
    if change == "address":
        Peer.objects.update(**dict.fromkeys(PLACES, f"{elsewhere.url}/token/"))
    else:
        Peer.objects.update(client_id="us-as-somebody-else")
    link_as_a.refresh_from_db()

    call_in_every_way(link_as_a)

    assert seen_by(elsewhere) == ""
    assert OUR_SECRET not in seen_by(fake_peer)


@pytest.mark.threat("X50")
def test_the_connection_check_says_why_it_sends_nothing(peer: Peer, elsewhere: FakePeer) -> None:
    Peer.objects.update(token_endpoint=f"{elsewhere.url}/token/")

    findings = connection_check.run(Peer.objects.get())

    assert any("The client secret was entered for another" in each.reason for each in findings)
    assert connection_check.has_failed(findings)


# Tokens


@pytest.mark.threat("X51")
@pytest.mark.parametrize("place", ["token_endpoint", "reciprocal_endpoint"])
def test_tokens_are_not_sent_to_the_new_address_and_the_person_must_connect_again(
    peer: Peer, link_as_a: Link, browser: Client, elsewhere: FakePeer, place: str
) -> None:
    reconfigure(peer, **{place: f"{elsewhere.url}/token/"})
    worker.drain()

    link_as_a.refresh_from_db()
    assert link_as_a.outgoing_state == Link.Outgoing.BROKEN
    assert link_as_a.outgoing_reason == Link.Reason.RECONFIGURED
    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()
    assert "An administrator of this site has changed the settings of Music" in page
    assert "Connect again" in page
    for secret in (OUR_SECRET, "token-of-the-peer", "refresh-of-the-peer"):
        assert secret not in seen_by(elsewhere)


@pytest.mark.threat("X51")
def test_tokens_are_revoked_at_the_old_address(
    peer: Peer, link_as_a: Link, fake_peer: FakePeer, elsewhere: FakePeer
) -> None:
    fake_peer.answers["/revoke/"] = Reply()

    reconfigure(peer, token_endpoint=f"{elsewhere.url}/token/")
    worker.drain()

    assert [each.form["token"] for each in fake_peer.to("/revoke/")] == ["refresh-of-the-peer"]


@pytest.mark.threat("X51")
def test_a_pending_revocation_is_not_sent_to_the_new_address(
    peer: Peer, link_as_a: Link, elsewhere: FakePeer
) -> None:
    lifecycle.end_link(link_as_a, Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    reconfigure(peer, revocation_endpoint=f"{elsewhere.url}/revoke/")
    worker.drain()

    row = OutboxItem.objects.get()
    assert (row.state, row.reason) == (OutboxItem.State.FAILED, Link.Reason.RECONFIGURED)
    assert elsewhere.requests == []


@pytest.mark.threat("X51")
def test_a_pending_code_is_not_sent_to_the_new_address(
    peer: Peer, link_as_a: Link, elsewhere: FakePeer
) -> None:
    InboxItem.objects.create(
        peer=peer, link=link_as_a, code=Secret("code-of-the-peer"), code_hash="x"
    )

    reconfigure(peer, token_endpoint=f"{elsewhere.url}/token/")
    worker.drain()

    row = InboxItem.objects.get()
    assert (row.state, row.reason) == (InboxItem.State.FAILED, Link.Reason.RECONFIGURED)
    assert elsewhere.requests == []


@pytest.mark.threat("X51")
def test_a_visit_that_started_before_the_change_fails(
    peer: Peer, browser: Client, fake_peer: FakePeer, elsewhere: FakePeer
) -> None:
    response = browser.post("/connections/music/connect/")
    state = parse_qs(urlsplit(response["Location"]).query)["state"][0]
    reconfigure(peer, token_endpoint=f"{elsewhere.url}/token/")

    callback = {"code": "code-of-the-peer", "state": state, "iss": f"{fake_peer.url}/o"}
    page = browser.get("/connections/music/callback/", callback, follow=True).content.decode()

    assert "The response came from another site than Music, so it was not used." in page
    assert elsewhere.requests == []
    assert not Link.objects.exists()


@pytest.mark.threat("X51")
def test_a_session_sends_the_token_only_to_the_old_address(
    peer: Peer, link_as_a: Link, fake_peer: FakePeer, elsewhere: FakePeer
) -> None:
    fake_peer.answers["/api/"] = Reply()
    before = reciprocal_oauth.get_session(Link.objects.get())
    reconfigure(peer, homepage=f"{elsewhere.url}/")
    after = reciprocal_oauth.get_session(Link.objects.get())

    for session in (before, after):
        assert session.get(f"{fake_peer.url}/api/").status_code == 200
        with pytest.raises(AddressRefused):
            session.get(f"{elsewhere.url}/api/")
    assert elsewhere.requests == []


@pytest.mark.threat("X51")
def test_a_link_that_was_connected_at_the_new_address_works_there(
    peer: Peer, expired: Link, elsewhere: FakePeer
) -> None:
    reconfigure(peer, token_endpoint=f"{elsewhere.url}/token/")
    expired.refresh_from_db()
    expired.outgoing_state = Link.Outgoing.ACTIVE
    expired.bound_to = Peer.objects.get().binding
    expired.refresh_token = Secret("given-there")
    expired.save()

    assert fresh_access_token(Link.objects.get()).reveal() == "of-elsewhere"

    assert "given-there" in seen_by(elsewhere)
    assert "secret-for-elsewhere" in seen_by(elsewhere)


@pytest.mark.threat("X50", "X51")
def test_a_changed_binding_in_the_database_makes_secrets_unreadable(
    peer: Peer, link_as_a: Link, fake_peer: FakePeer, elsewhere: FakePeer
) -> None:
    url = f"{elsewhere.url}/token/"
    Peer.objects.update(token_endpoint=url)
    bound_to = binding_of(Peer.objects.get())
    for model in (Peer, Link):
        model.objects.update(bound_to=bound_to)

    with pytest.raises(DecryptionError, match="belongs to another row"):
        fresh_access_token(Link.objects.get()).reveal()
    with pytest.raises(DecryptionError, match="belongs to another row"):
        token_endpoint.post(Peer.objects.get(), url, {})
    assert elsewhere.requests == []


# Confirmation and history


@pytest.fixture
def posted(peer: Peer, link_as_a: Link, elsewhere: FakePeer) -> dict[str, Any]:
    """What the browser sends to change the token endpoint of the peer."""
    url = f"{elsewhere.url}/token/"
    return values_of(peer, client_secret="canary-client-secret", token_endpoint=url)


@pytest.mark.threat("W51")
def test_a_change_is_shown_before_it_is_saved_and_kept_in_the_history(
    staff: Callable[..., Client],  # noqa: F811
    peer: Peer,
    posted: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    browser = staff("view_peer", "change_peer")
    page = admin_url(Peer, "change", peer.pk)
    was, will_be = peer.token_endpoint, posted["token_endpoint"]

    asked = browser.post(page, posted)

    text = asked.content.decode()
    assert errors(asked)["__all__"] == [
        "Nothing is saved yet: read the changes on this page and confirm them."
    ]
    assert f'Token endpoint: <code dir="ltr">{was}</code> → <code dir="ltr">{will_be}' in text
    assert "1 connection stops working, and the person has to connect again." in text
    assert Peer.objects.get().token_endpoint == was
    assert "canary" not in text
    assert not LogEntry.objects.exists()

    sure = {"sure": asked.context["adminform"].form.mark}
    assert browser.post(page, {**posted, **sure}).status_code == 302

    assert Peer.objects.get().token_endpoint == will_be
    history = LogEntry.objects.get().get_change_message()
    assert history == (
        f"Changed Token endpoint ({was} → {will_be}) and Client secret of this site at the peer."
    )
    (record,) = [each for each in caplog.records if each.name == "reciprocal_oauth.peers"]
    assert record.getMessage() == (
        f"Peer music was reconfigured: token endpoint: {was} → {will_be}"
    )


@pytest.mark.threat("W51")
def test_a_confirmation_is_for_one_change_only(
    staff: Callable[..., Client],  # noqa: F811
    peer: Peer,
    posted: dict[str, Any],
    fake_peer: FakePeer,
) -> None:
    browser = staff("view_peer", "change_peer")
    page = admin_url(Peer, "change", peer.pk)
    sure = {"sure": browser.post(page, posted).context["adminform"].form.mark}

    other = {**posted, **sure, "token_endpoint": "https://other.example/token/"}
    response = browser.post(page, other)

    assert "__all__" in errors(response)
    assert Peer.objects.get().token_endpoint == f"{fake_peer.url}/token/"


def test_a_change_of_scope_needs_no_confirmation(
    staff: Callable[..., Client],  # noqa: F811
    peer: Peer,
) -> None:
    sent = values_of(peer, client_secret="", scope="listen")

    page = admin_url(Peer, "change", peer.pk)
    assert staff("view_peer", "change_peer").post(page, sent).status_code == 302


# The application


@pytest.fixture
def other_application(db: None) -> Any:
    return get_application_model().objects.create(
        name="Other",
        client_id="other",
        client_secret="secret-of-other",
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://other.example/callback/",
    )


@pytest.mark.threat("C50")
@pytest.mark.parametrize("options", [{}, {"update_fields": ["application"]}])
def test_code_cannot_replace_the_application_while_links_are_active(
    peer: Peer, token_of_a: Any, other_application: Any, options: dict[str, Any]
) -> None:
    peer.application = other_application

    with pytest.raises(ValidationError, match="End these links first"):
        peer.save(**options)

    assert Peer.objects.get().application_id != other_application.pk


@pytest.mark.threat("C50")
def test_tokens_of_the_former_application_are_revoked(
    client: Client, peer: Peer, user: Any, make_token: Any, other_application: Any
) -> None:
    old = peer.application
    token = make_token(old, user)
    peer.application = other_application
    peer.save()

    assert not get_access_token_model().objects.filter(application=old).exists()
    parameters = {"grant_type": "refresh_token", "refresh_token": token.raw_refresh}
    response = post_form(client, parameters, basic("music-here", "secret-of-the-peer-here"))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.threat("C50")
@pytest.mark.parametrize("grant", ["refresh", "code"])
def test_the_former_application_gets_nothing_after_an_update_in_the_database(
    client: Client,
    peer: Peer,
    token_of_a: Any,
    link_as_a: Link,
    other_application: Any,
    grant: str,
) -> None:
    from reciprocal_oauth.party_a import codes

    if grant == "refresh":
        parameters = {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh}
    else:
        Link.objects.filter(pk=link_as_a.pk).update(
            incoming_state=Link.Incoming.GRANTED, incoming_scope="profile", generation=1
        )
        link_as_a.refresh_from_db()
        code = codes.mint(link_as_a, 1)
        parameters = {"grant_type": "authorization_code", "code": code.reveal()}
    Peer.objects.update(application=other_application)

    response = post_form(client, parameters, basic("music-here", "secret-of-the-peer-here"))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
