"""“Register this site there”: a peer is added without copying a client ID and a secret."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.secret import Secret
from tests.fakes import FakePeer, Received, Reply

from .conftest import admin_url, text_of
from .peer_pages import errors, filled_in

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "initial-access-token-of-them"
WELL_KNOWN = "/.well-known/oauth-authorization-server"


@pytest.fixture
def metadata(fake_peer: FakePeer) -> dict[str, Any]:
    """What the metadata of the other site says; a test can change it."""
    members: dict[str, Any] = {
        "issuer": fake_peer.url,
        "authorization_endpoint": f"{fake_peer.url}/authorize",
        "token_endpoint": f"{fake_peer.url}/token",
        "registration_endpoint": f"{fake_peer.url}/reg",
    }
    fake_peer.answers[WELL_KNOWN] = lambda received: Reply.json(**members)
    return members


@pytest.fixture
def registered(fake_peer: FakePeer, metadata: dict[str, Any]) -> None:
    """The other site registers us."""

    def register(received: Received) -> Reply:
        return Reply.json(
            201,
            **json.loads(received.body),
            client_id="us-there",
            client_secret="secret-there",
            registration_access_token="management-token",
            registration_client_uri=f"{fake_peer.url}/reg/us-there",
        )

    fake_peer.answers["/reg"] = register
    fake_peer.answers["/reg/us-there"] = Reply(204, b"")


@pytest.fixture
def typed(fake_peer: FakePeer, make_peer: Callable[..., Peer]) -> dict[str, Any]:
    """What the browser sends for the form after the look-up, without our credentials."""
    application = make_peer("tv").application
    Peer.objects.all().delete()
    return filled_in(
        application,
        issuer=fake_peer.url,
        authorization_endpoint=f"{fake_peer.url}/authorize",
        token_endpoint=f"{fake_peer.url}/token",
        registration_endpoint=f"{fake_peer.url}/reg",
        client_id="",
        client_secret="",
        scope="play",
    )


def press(client: Client, typed: dict[str, Any], **more: str) -> Any:
    return client.post(admin_url(Peer, "add"), {**typed, "_register": "", **more})


def buttons(response: Any) -> int:
    return response.content.decode().count('name="_register"')


@pytest.mark.usefixtures("metadata")
def test_the_look_up_offers_it_and_names_the_host(admin: Client, fake_peer: FakePeer) -> None:
    before = admin.get(admin_url(Peer, "add"), {"dialect": "ietf"})
    response = admin.post(admin_url(Peer, "add"), {"_look_up": "", "address": fake_peer.url})

    assert (buttons(before), buttons(response)) == (0, 1)
    host = fake_peer.url.removeprefix("http://")
    assert f"lets this site register itself, at <bdi>{host}</bdi>" in response.content.decode()
    assert 'name="other_host"' not in response.content.decode()


def test_a_site_without_registration_offers_none(
    admin: Client, fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    del metadata["registration_endpoint"]

    sent = {"_look_up": "", "address": fake_peer.url, "registration_endpoint": "https://x.example"}
    assert buttons(admin.post(admin_url(Peer, "add"), sent)) == 0


@pytest.mark.rfc("7591", "3.1")
@pytest.mark.rfc("7592", "3")
@pytest.mark.usefixtures("registered")
def test_the_button_registers_this_site_and_saves_the_peer(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any]
) -> None:
    response = press(admin, typed, initial_access_token=f" {TOKEN}", our_name="The Assistant")

    assert response.status_code == 302
    (sent,) = fake_peer.to("/reg")
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    members = json.loads(sent.body)
    assert members["client_name"] == "The Assistant"
    assert members["redirect_uris"] == ["http://testserver/connections/tv/callback/"]
    assert members["scope"] == "play"
    peer = Peer.objects.get()
    assert (peer.client_id, peer.client_secret) == ("us-there", Secret("secret-there"))
    assert peer.pairing.our_token == Secret("management-token")
    assert peer.pairing.created_by is not None
    shown = admin.get(response["Location"])
    assert "Its client ID is us-there" in text_of(shown)
    assert "Next, give the other site what it needs" in text_of(shown)
    for secret in (TOKEN, "secret-there", "management-token"):
        assert secret not in shown.content.decode()


@pytest.mark.usefixtures("registered")
def test_nothing_is_sent_before_the_rest_of_the_form_is_right(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any]
) -> None:
    response = press(admin, {**typed, "name": "", "slug": "not a slug"}, initial_access_token=TOKEN)

    assert errors(response).keys() == {"name", "slug"}
    assert fake_peer.to("/reg") == []
    assert buttons(response) == 1
    assert TOKEN not in response.content.decode()
    assert 'placeholder"' not in response.content.decode()


@pytest.mark.usefixtures("registered")
def test_an_application_with_tokens_is_asked_about_before_anything_is_sent(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reciprocal_oauth.links.incoming_access.count_users", lambda app: 3)

    response = press(admin, typed)

    assert 'name="sure"' in response.content.decode()
    assert fake_peer.to("/reg") == []
    mark = response.context["adminform"].form.mark
    assert press(admin, typed, sure=mark).status_code == 302
    assert len(fake_peer.to("/reg")) == 1


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.threat("G2")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply.json(401, error="invalid_token"), "refused the initial access token"),
        (Reply.json(400, error="x", error_description="<b>No</b>"), "<b>No</b>"),
        (Reply.json(400, error="x", error_description=f"bad {TOKEN}"), "(HTTP 400 x)"),
        (Reply(500, b""), "HTTP 500"),
        (Reply(201, b"{}"), "no client_id"),
    ],
    ids=lambda each: str(each)[:40],
)
@pytest.mark.usefixtures("metadata")
def test_a_refusal_stands_beside_the_token_and_saves_nothing(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any], reply: Reply, words: str
) -> None:
    fake_peer.answers["/reg"] = reply

    response = press(admin, typed, initial_access_token=TOKEN)

    (reason,) = errors(response)["initial_access_token"]
    assert words in reason
    assert "<b>No" not in response.content.decode()
    assert TOKEN not in response.content.decode()
    assert not Peer.objects.exists()


@pytest.mark.threat("G1")
@pytest.mark.usefixtures("registered")
def test_another_host_has_to_be_confirmed(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any], metadata: dict[str, Any]
) -> None:
    elsewhere = fake_peer.url.replace("127.0.0.1", "localhost") + "/reg"
    metadata["registration_endpoint"] = typed["registration_endpoint"] = elsewhere

    response = press(admin, typed, initial_access_token=TOKEN)
    assert "at another host" in errors(response)["initial_access_token"][0]
    assert 'name="other_host"' in response.content.decode()
    assert fake_peer.to("/reg") == []

    assert press(admin, typed, other_host="on").status_code == 302
    assert len(fake_peer.to("/reg")) == 1


@pytest.mark.threat("G1")
@pytest.mark.usefixtures("registered")
def test_a_confirmation_is_for_the_host_that_was_shown(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any], metadata: dict[str, Any]
) -> None:
    metadata["registration_endpoint"] = fake_peer.url.replace("127.0.0.1", "localhost") + "/reg"

    response = press(admin, typed, initial_access_token=TOKEN, other_host="on")

    assert "at another host" in errors(response)["initial_access_token"][0]
    assert fake_peer.to("/reg") == []


@pytest.mark.threat("G1")
@pytest.mark.usefixtures("registered")
def test_the_endpoint_is_the_one_of_the_issuer_and_not_the_one_in_the_form(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any]
) -> None:
    press(admin, typed, registration_endpoint="https://elsewhere.example/reg")

    assert len(fake_peer.to("/reg")) == 1


def test_without_an_issuer_nothing_is_sent(admin: Client, typed: dict[str, Any]) -> None:
    response = press(admin, {**typed, "issuer": ""})

    assert "Enter the issuer" in errors(response)["initial_access_token"][0]


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.threat("G3")
def test_a_registration_for_a_peer_that_cannot_be_saved_is_deleted_there(
    admin: Client, fake_peer: FakePeer, typed: dict[str, Any], registered: None
) -> None:
    register: Any = fake_peer.answers["/reg"]

    def meanwhile(received: Received) -> Reply:
        get_application_model().objects.all().delete()
        reply: Reply = register(received)
        return reply

    fake_peer.answers["/reg"] = meanwhile

    response = press(admin, typed)

    assert errors(response).keys() == {"application"}
    assert [each.method for each in fake_peer.to("/reg/us-there")] == ["DELETE"]
    assert not Pairing.objects.exists()


def test_the_token_is_not_forgotten_by_the_other_button(
    admin: Client, typed: dict[str, Any]
) -> None:
    sent = {**typed, "client_id": "us", "client_secret": "x", "initial_access_token": TOKEN}
    response = admin.post(admin_url(Peer, "add"), sent)

    assert "Press “Register this site there”" in errors(response)["initial_access_token"][0]
    assert TOKEN not in response.content.decode()


@pytest.mark.usefixtures("registered")
def test_who_may_not_add_peers_registers_nothing(
    staff: Callable[..., Client], fake_peer: FakePeer, typed: dict[str, Any]
) -> None:
    assert press(staff("view_peer"), typed).status_code == 403
    assert fake_peer.requests == []
