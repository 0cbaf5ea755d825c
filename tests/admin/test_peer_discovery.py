"""A peer is added by its address: its metadata fills in the form, and what is missing is said."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client, override_settings

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Peer
from tests.fakes import FakePeer, Reply

from .conftest import admin_url, text_of
from .peer_pages import errors, filled_in, messages_of

INSERTED = "/.well-known/oauth-authorization-server/o"
OPENID = "/o/.well-known/openid-configuration"
ROOT = "/.well-known/oauth-authorization-server"


@pytest.fixture
def answer(fake_peer: FakePeer) -> Callable[..., None]:
    """Has the other site answer with metadata of its issuer ``/o``; ``None`` leaves a member
    out."""

    def serve(path: str = INSERTED, **changes: Any) -> None:
        members = {
            "issuer": f"{fake_peer.url}/o",
            "authorization_endpoint": f"{fake_peer.url}/o/authorize/",
            "token_endpoint": f"{fake_peer.url}/o/token/",
            "revocation_endpoint": f"{fake_peer.url}/o/revoke/",
            "userinfo_endpoint": f"{fake_peer.url}/o/userinfo/",
            "grant_types_supported": ["authorization_code", GRANT_TYPE],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "scopes_supported": ["play", "history"],
            **changes,
        }
        fake_peer.answers[path] = Reply.json(
            **{name: value for name, value in members.items() if value is not None}
        )

    return serve


def look_up(client: Client, address: str, /, **typed: str) -> Any:
    return client.post(admin_url(Peer, "add"), {"_look_up": "", "address": address, **typed})


def values(response: Any) -> dict[str, Any]:
    """What stands in the fields."""
    form = response.context["adminform"].form
    return {name: form[name].value() for name in form.fields}


def hint(response: Any, name: str) -> str:
    """What is said of a field that was looked up."""
    said = re.search(r"<strong[^>]*>(.*?)</strong>", str(help_of(response, name)))
    return html.unescape(said[1]) if said else ""


def scopes_to_choose(response: Any) -> dict[str, str]:
    """The checkboxes for the scopes of the peer."""
    return dict(response.context["adminform"].form.fields["scope"].widget.choices)


def help_of(response: Any, name: str) -> str:
    text: str = response.context["adminform"].form.fields[name].help_text
    return text


@pytest.mark.rfc(8414, "3")
def test_its_metadata_fills_in_the_form(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer()

    response = look_up(admin, f"{fake_peer.url}/o", dialect="ietf")

    found = values(response)
    assert found["issuer"] == f"{fake_peer.url}/o"
    assert found["authorization_endpoint"] == f"{fake_peer.url}/o/authorize/"
    assert found["token_endpoint"] == f"{fake_peer.url}/o/token/"
    assert found["revocation_endpoint"] == f"{fake_peer.url}/o/revoke/"
    assert found["userinfo_endpoint"] == f"{fake_peer.url}/o/userinfo/"
    assert found["token_endpoint_auth_method"] == "client_secret_post"
    assert found["address"] == ""
    assert errors(response) == {}
    assert scopes_to_choose(response) == {"play": "play", "history": "history"}
    assert found["slug"]
    assert messages_of(response) == [
        "Found: Issuer, Authorization endpoint, Token endpoint, Revocation endpoint, "
        "UserInfo endpoint, Authentication method. Please fill in: Name, "
        "Client ID of this site at the peer, Client secret of this site at the peer, "
        "Redirect URI of the peer."
    ]
    assert not Peer.objects.exists()


def test_the_pages_for_people_are_found(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    too_long = f"{fake_peer.url}/{'x' * 500}"
    answer(op_policy_uri=f"{fake_peer.url}/privacy", op_tos_uri=too_long)

    found = values(look_up(admin, f"{fake_peer.url}/o"))

    assert found["policy_uri"] == f"{fake_peer.url}/privacy"
    assert not found["tos_uri"]


def test_what_was_found_can_be_saved(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None], make_peer: Callable[..., Peer]
) -> None:
    answer()
    application = make_peer("tv").application
    Peer.objects.all().delete()
    typed = filled_in(application, authorization_endpoint="", token_endpoint="")

    shown = values(look_up(admin, f"{fake_peer.url}/o", **typed))
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    response = admin.post(admin_url(Peer, "add"), {**sent, "client_secret": "a-secret"})

    assert response.status_code == 302
    peer = Peer.objects.get()
    assert peer.issuer == f"{fake_peer.url}/o"
    assert peer.token_endpoint_auth_method == "client_secret_post"


def test_its_words_for_its_scopes_are_shown_and_saved(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None], make_peer: Callable[..., Peer]
) -> None:
    answer(reciprocal_scope_descriptions={"play": "Play <music>", "play#de": "Abspielen"})
    application = make_peer("tv").application
    Peer.objects.all().delete()
    typed = filled_in(application, authorization_endpoint="", token_endpoint="")

    response = look_up(admin, f"{fake_peer.url}/o", **typed)
    shown = values(response)
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    admin.post(admin_url(Peer, "add"), {**sent, "client_secret": "a-secret"})

    words = {"play": "“Play <music>” (play)", "history": "history"}
    assert scopes_to_choose(response) == words
    assert "<music>" not in response.content.decode()
    assert "words" not in messages_of(response)[0]
    assert Peer.objects.get().scope_words == {"play": {"": "Play <music>", "de": "Abspielen"}}


@pytest.mark.parametrize("sent", ["[]", '{"play": "Play"}', '{"play": {"": 1}, "x": []}'])
def test_words_of_another_form_are_not_saved(
    admin: Client, make_peer: Callable[..., Peer], sent: str
) -> None:
    application = make_peer("tv").application
    Peer.objects.all().delete()

    admin.post(admin_url(Peer, "add"), {**filled_in(application), "peer_words": sent})

    assert Peer.objects.get().scope_words == {}


@pytest.mark.rfc("9207", "3")
@pytest.mark.parametrize("promised", [True, False, None])
def test_that_its_answers_name_the_issuer_is_ticked_and_saved(
    admin: Client,
    fake_peer: FakePeer,
    answer: Callable[..., None],
    make_peer: Callable[..., Peer],
    promised: bool | None,
) -> None:
    answer(authorization_response_iss_parameter_supported=promised)
    application = make_peer("tv").application
    Peer.objects.all().delete()
    typed = filled_in(application, authorization_endpoint="", token_endpoint="")

    shown = values(look_up(admin, f"{fake_peer.url}/o", **typed))
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    admin.post(admin_url(Peer, "add"), {**sent, "client_secret": "a-secret"})

    assert Peer.objects.get().sends_iss is (promised is True)


@pytest.mark.rfc(8414, "5")
def test_openid_connect_discovery_is_the_second_choice(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer(OPENID)

    assert values(look_up(admin, f"{fake_peer.url}/o"))["issuer"] == f"{fake_peer.url}/o"


@pytest.mark.parametrize(
    "address",
    [
        "{url}",
        "{url}/",
        "{url}/o/",
        " {url}/o ",
        "{url}/.well-known/oauth-authorization-server/o",
        "{url}/o/.well-known/openid-configuration",
    ],
)
def test_what_people_take_for_the_issuer_leads_to_it(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None], address: str
) -> None:
    answer()
    answer(ROOT)

    response = look_up(admin, address.format(url=fake_peer.url))

    assert values(response)["issuer"] == f"{fake_peer.url}/o"


@pytest.mark.threat("H4")
@pytest.mark.rfc(8414, "3.3")
@pytest.mark.parametrize("other", ["https://evil.example/o", "{url}evil/o", "{url}/other"])
def test_another_issuer_is_not_taken_for_the_one_that_was_typed(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None], other: str
) -> None:
    answer(issuer=other.format(url=fake_peer.url))

    response = look_up(admin, f"{fake_peer.url}/o")

    assert "another issuer" in " ".join(errors(response)["address"])
    assert "token_endpoint" not in values(response)


def test_what_was_typed_is_kept(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer()
    typed = {
        "name": "Music",
        "slug": "not a slug",
        "token_endpoint": "https://typed.example/token/",
        "allowed_scope": "no-such-scope",
    }

    response = look_up(admin, f"{fake_peer.url}/o", **typed)

    assert values(response).items() >= typed.items()
    assert not values(response)["enabled"]
    assert errors(response) == {}
    assert hint(response, "token_endpoint") == (
        f"The metadata has {fake_peer.url}/o/token/. Your value was kept."
    )


@pytest.mark.threat("W7")
@pytest.mark.parametrize("path", [INSERTED, "/nowhere"])
def test_a_secret_is_not_sent_back(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None], path: str
) -> None:
    answer(path)

    typed = {"slug": "tv", "client_secret": "canary-client-secret"}
    response = look_up(admin, f"{fake_peer.url}/o", **typed)

    assert "kept in this page for one hour" in text_of(response)


def test_what_is_missing_is_said_beside_the_field(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer(
        revocation_endpoint=None,
        grant_types_supported=["authorization_code"],
        token_endpoint_auth_methods_supported=["tls_client_auth"],
    )

    response = look_up(admin, f"{fake_peer.url}/o")

    assert "not revoked" in hint(response, "revocation_endpoint")
    assert "does not list the reciprocal grant" in hint(response, "reciprocal_endpoint")
    assert "only: tls_client_auth" in hint(response, "token_endpoint_auth_method")
    assert errors(response) == {}


def test_of_a_document_with_a_fault_the_rest_is_filled_in(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer(token_endpoint="http://music.example/token/", authorization_endpoint=None)

    response = look_up(admin, f"{fake_peer.url}/o")

    assert values(response)["revocation_endpoint"] == f"{fake_peer.url}/o/revoke/"
    assert values(response)["address"] == f"{fake_peer.url}/o"
    found = errors(response)
    assert set(found) == {"address", "token_endpoint", "authorization_endpoint"}
    assert found["authorization_endpoint"] == ["Not found: it names no authorization_endpoint."]
    assert "https://" in found["token_endpoint"][0]


@pytest.mark.parametrize(
    "address", ["", "  ", "http://music.example", "https://", "ftp://x", "\x00"]
)
def test_an_address_that_is_none(admin: Client, address: str) -> None:
    assert set(errors(look_up(admin, address))) == {"address"}


def test_nobody_is_at_the_address(admin: Client, fake_peer: FakePeer) -> None:
    reasons = errors(look_up(admin, f"{fake_peer.url}/o"))["address"]

    assert reasons[0] == f"No metadata of {fake_peer.url}/o can be used."
    assert len(reasons) == 5
    assert [received.method for received in fake_peer.requests] == ["GET"] * 4


@pytest.mark.threat("H1")
@override_settings(RECIPROCAL_OAUTH={"DISPATCHER": "none", "HTTP_ALLOW_LOOPBACK": False})
def test_an_address_that_is_never_called(admin: Client, fake_peer: FakePeer) -> None:
    response = look_up(admin, fake_peer.url.replace("http:", "https:"))

    assert set(errors(response)) == {"address"}
    assert fake_peer.requests == []


@pytest.mark.threat("W3")
def test_markup_in_the_metadata(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer(scopes_supported=["<script>alert(1)</script>"], grant_types_supported=["<b>"])

    text = text_of(look_up(admin, f"{fake_peer.url}/o"))

    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_an_address_that_was_not_looked_up_is_not_forgotten(
    admin: Client, make_peer: Callable[..., Peer]
) -> None:
    response = admin.post(
        admin_url(Peer, "add"), filled_in(make_peer().application, address="https://tv.example")
    )

    assert errors(response)["address"] == ["Press “Look up” before you save, or empty this field."]


@pytest.mark.threat("W7")
def test_looking_up_needs_the_permission_and_post(
    staff: Callable[..., Client], admin: Client, fake_peer: FakePeer
) -> None:
    asked = {"_look_up": "", "address": fake_peer.url}

    assert look_up(staff("view_peer", "change_peer"), fake_peer.url).status_code == 403
    assert admin.get(admin_url(Peer, "add"), asked).status_code == 200

    assert fake_peer.requests == []


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_peer_is_asked(
    admin: Client, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = connections["default"]  # The fake peer answers in a thread of its own.
    found: list[bool] = []

    def note(received: Any) -> Reply:
        found.append(ours.in_atomic_block)
        return Reply(404)

    fake_peer.answers[INSERTED] = note
    monkeypatch.setitem(ours.settings_dict, "ATOMIC_REQUESTS", True)

    look_up(admin, f"{fake_peer.url}/o")

    assert found == [False]


def press_enter(client: Client, **typed: str) -> Any:
    """With the first button of the form, which is what browsers do."""
    page = text_of(client.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"}))
    buttons = re.findall(r'type="submit"[^>]*name="(\w+)"', page)
    return client.post(admin_url(Peer, "add"), {buttons[0]: "", **typed})


def test_enter_looks_up_the_address_that_was_typed(
    admin: Client, fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer()

    response = press_enter(admin, address=f"{fake_peer.url}/o")

    assert values(response)["issuer"] == f"{fake_peer.url}/o"
    assert errors(response) == {}


def test_enter_saves_as_on_every_page_of_the_admin(
    admin: Client, make_peer: Callable[..., Peer]
) -> None:
    application = make_peer("tv").application
    Peer.objects.all().delete()

    press_enter(admin, **filled_in(application), address=" ")

    assert Peer.objects.get().slug == "tv"
