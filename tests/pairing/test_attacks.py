"""Who has an invitation, or answers one, and is not who it is for."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model
from pytest_django import Settings

from reciprocal_oauth.exceptions import AddressRefused, PairingError, PeerError
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import accepting, due, inviting, sending

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import Reply
from ..names import Names
from .other_site import METADATA, REGISTER, OtherSite, code_in, register, terms

pytestmark = pytest.mark.django_db

State = Pairing.State


@pytest.fixture
def connections_made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses to which this process has opened connections."""
    made: list[Any] = []
    connect = socket.socket.connect

    def counting(self: socket.socket, address: Any) -> None:
        made.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", counting)
    return made


def nobody_is_in() -> bool:
    return not Peer.objects.exists() and not get_application_model().objects.exists()


# A stolen invitation


@pytest.mark.threat("PA1")
def test_a_thief_cannot_use_an_invitation_for_another_site(
    invited: tuple[Pairing, str], other: OtherSite, thief: OtherSite
) -> None:
    pairing, code = invited

    assert register(code, thief.registration()).status_code == 401
    sending.send(pairing)

    assert (pairing.state, pairing.claims) == (State.OPEN, 0)
    assert thief.requests == other.requests == []
    assert nobody_is_in()


@pytest.mark.threat("PA1")
def test_a_thief_who_claims_to_be_the_invited_site_gets_nothing_and_the_code_is_open_again(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    other.answers[REGISTER] = Reply.json(401, error="invalid_token")
    stolen = register(code, other.registration(reciprocal_registration_token="t" * 43))
    assert stolen.status_code == 201
    sending.send(pairing)

    assert pairing.state == State.OPEN
    assert "somebody else used the invitation" in pairing.last_error
    assert nobody_is_in()
    assert authenticates_with(stolen.json()) == 401
    assert reads_with(stolen.json()) == 401

    other.answers[REGISTER] = Reply.json(201, **other.answer)
    assert register(code, other.registration()).status_code == 201
    sending.send(pairing)
    assert pairing.state == State.COMPLETE
    assert authenticates_with(stolen.json()) == 401


@pytest.mark.threat("PA1")
def test_a_thief_cannot_keep_an_invitation_open_for_ever(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    other.answers[REGISTER] = Reply.json(401, error="invalid_token")

    for number in range(5):
        body = other.registration(reciprocal_registration_token=f"{number}" * 43)
        assert register(code, body).status_code == 201
        sending.send(pairing)

    assert (pairing.state, pairing.claims) == (State.FAILED, 5)
    assert register(code, other.registration()).status_code == 401


@pytest.mark.threat("PA2", "PA6")
def test_who_uses_an_invitation_for_everybody_gets_nothing_before_it_is_confirmed(
    invited_all: tuple[Pairing, str], other: OtherSite, thief: OtherSite
) -> None:
    pairing, code = invited_all
    stolen = register(code, thief.registration(client_name="Other"))

    sending.send(pairing)
    due.run()

    assert (pairing.state, pairing.issuer) == (State.ACCEPTED, thief.issuer)
    assert thief.requests == []
    assert nobody_is_in()
    assert authenticates_with(stolen.json()) == 401
    assert register(code, other.registration()).status_code == 401, "the real one is told"
    inviting.withdraw(pairing)
    assert reads_with(stolen.json()) == 401


@pytest.mark.threat("PA2")
def test_what_a_thief_got_ends_when_the_invitation_is_withdrawn(
    invited_all: tuple[Pairing, str], thief: OtherSite
) -> None:
    pairing, code = invited_all
    register(code, thief.registration())
    inviting.withdraw(pairing)

    with pytest.raises(PairingError):
        inviting.confirm(pairing)
    sending.send(pairing)

    assert (pairing.state, thief.requests) == (State.WITHDRAWN, [])
    assert not any(bool(getattr(pairing, name)) for name in Pairing.without_secrets())


def authenticates_with(answer: dict[str, Any]) -> int:
    """The status of a request for a token, with the credentials of a registration."""
    headers = basic(answer["client_id"], answer["client_secret"])
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    return int(post_form(Client(), form, headers).status_code)


def reads_with(answer: dict[str, Any]) -> int:
    path = answer["registration_client_uri"].removeprefix("https://testserver")
    headers = {"Authorization": f"Bearer {answer['registration_access_token']}"}
    return int(Client().get(path, headers=headers).status_code)


# Addresses


@pytest.mark.threat("PA5")
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1:8443",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "internal.example",
    ],
)
def test_an_invitation_does_not_reach_the_network_of_this_site(
    host: str, settings: Settings, names: Names, connections_made: list[Any]
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HTTP_ALLOW_LOOPBACK": False}
    names.resolve("internal.example", "10.0.0.1")
    names.resolve("2130706433", "127.0.0.1")
    text = f"https://{host}/connections/pair/#v=1&iss=https://{host}/o&code={'c' * 43}"

    with pytest.raises(AddressRefused):
        accepting.look_up(text)

    assert connections_made == []


@pytest.mark.threat("PA5")
def test_a_name_that_changes_its_address_is_checked_again(
    settings: Settings, names: Names, connections_made: list[Any], accepted: Pairing
) -> None:
    Pairing.objects.update(issuer="https://rebinds.example/o")
    connections_made.clear()
    names.resolve("rebinds.example", "169.254.169.254")

    sending.send(accepted)

    assert connections_made == []
    assert accepted.state == State.FAILED


@pytest.mark.threat("PA5")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(other: OtherSite, thief: OtherSite, status: int) -> None:
    to_thief = Reply(status, b"", {"Location": f"{thief.url}{METADATA}"})
    other.answers[METADATA] = to_thief

    with pytest.raises(PeerError):
        accepting.look_up(other.invitation())

    assert thief.requests == []


@pytest.mark.threat("PA5")
def test_a_registration_is_not_redirected(
    accepted: Pairing, other: OtherSite, thief: OtherSite
) -> None:
    other.answers[REGISTER] = Reply(307, b"", {"Location": f"{thief.url}{REGISTER}"})

    sending.send(accepted)

    assert thief.requests == []
    assert accepted.state != State.REGISTERED


@pytest.mark.threat("PA6")
@pytest.mark.parametrize("words", ["without a code", "with a code"])
def test_a_claimed_issuer_is_not_called_before_somebody_confirms_it(
    invited_all: tuple[Pairing, str], other: OtherSite, words: str
) -> None:
    pairing, code = invited_all

    response = register(code if words == "with a code" else "x" * 43, other.registration())
    sending.send(pairing)
    due.run()

    assert response.status_code == (201 if words == "with a code" else 401)
    assert other.requests == []


@pytest.mark.threat("PA6")
def test_a_confirmed_issuer_inside_the_network_is_not_called(
    invited_all: tuple[Pairing, str],
    other: OtherSite,
    settings: Settings,
    names: Names,
    connections_made: list[Any],
) -> None:
    pairing, code = invited_all
    url = "https://inside.example"
    names.resolve("inside.example", "192.168.0.1")
    body = other.registration(
        reciprocal_issuer=f"{url}/o",
        redirect_uris=[f"{url}/connections/us/callback/"],
        client_uri=f"{url}/",
    )
    assert register(code, body).status_code == 201

    inviting.confirm(pairing)
    sending.send(pairing)

    assert connections_made == []
    assert (pairing.state, bool(pairing.last_error)) == (State.FAILED, True)


# Two sites mixed


@pytest.mark.threat("PA7")
@pytest.mark.parametrize(
    "member",
    [
        "reciprocal_registration_endpoint",
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "userinfo_endpoint",
    ],
)
def test_a_site_that_names_an_endpoint_elsewhere_gets_nothing(
    other: OtherSite, thief: OtherSite, member: str
) -> None:
    other.metadata[member] = f"{thief.url}/collect/"

    with pytest.raises(PairingError):
        accepting.look_up(other.invitation())

    assert thief.requests == []
    assert not other.received


@pytest.mark.threat("PA7")
def test_an_endpoint_that_has_moved_elsewhere_since_gets_nothing(
    accepted: Pairing, other: OtherSite, thief: OtherSite
) -> None:
    other.metadata["reciprocal_registration_endpoint"] = f"{thief.url}{REGISTER}"

    sending.send(accepted)

    assert thief.requests == []
    assert not other.received
    assert "another site" in accepted.last_error


@pytest.mark.threat("PA7")
@pytest.mark.rfc("8414", "3.3")
def test_metadata_of_another_issuer_is_not_used(other: OtherSite, thief: OtherSite) -> None:
    other.metadata["issuer"] = thief.issuer

    with pytest.raises(PeerError):
        accepting.look_up(other.invitation())

    assert thief.requests == []


@pytest.mark.threat("PA7")
def test_a_site_that_passes_on_what_it_was_sent_gains_nothing(
    accepted: Pairing, reverse_token: str, other: OtherSite, thief: OtherSite
) -> None:
    """This site has accepted an invitation of one site. That site has sent the registration on to
    another one, in the name of this site, and the other one now registers here."""
    sending.send(accepted)
    (sent,) = other.received
    assert json.loads(sent.body)["reciprocal_registration_token"] == reverse_token

    response = register(reverse_token, thief.registration(reciprocal_registration_token=...))

    assert response.status_code == 401
    assert nobody_is_in()


@pytest.mark.threat("PA7")
def test_the_code_of_an_invitation_is_sent_to_the_registration_endpoint_alone(
    accepted: Pairing, other: OtherSite
) -> None:
    code = accepted.code.reveal()

    sending.send(accepted)

    carried = [each for each in other.requests if code in str(each)]
    assert [each.path for each in carried] == [REGISTER]
    assert code not in carried[0].path + carried[0].body


# Names


NAMES = {
    "markup": "<b>Your bank</b>",
    "right to left": "Your\u202e knab\u2066",
    "line breaks": "Your\r\n\u2028bank",
    "invisible": "Your\u200b\ufeff\u00ad bank",
    "half of a pair": "Your \ud800bank",
    "long": "Your bank" * 1000,
}


@pytest.mark.threat("PA8")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_plain_text_on_one_line(
    invited_all: tuple[Pairing, str], other: OtherSite, name: str
) -> None:
    pairing, code = invited_all

    assert register(code, other.registration(client_name=name)).status_code == 201

    pairing.refresh_from_db()
    assert pairing.name.isprintable()
    assert 0 < len(pairing.name) <= 200


@pytest.mark.threat("PA8")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_name_in_a_response_is_plain_text_too(
    accepted: Pairing, other: OtherSite, name: str
) -> None:
    other.answer["reciprocal_client_name"] = name

    sending.send(accepted)

    assert accepted.state == State.REGISTERED, accepted.last_error
    assert accepted.name.isprintable()
    assert 0 < len(accepted.name) <= 200


# A response that is not what was asked for


@pytest.mark.threat("PA9", "PA7")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("token_endpoint_auth_method", "none"),
        ("token_endpoint_auth_method", "private_key_jwt"),
        ("token_endpoint_auth_method", ["client_secret_basic"]),
        ("token_endpoint_auth_method", None),
        ("client_secret", None),
        ("client_secret", ""),
        ("registration_access_token", None),
        ("registration_client_uri", None),
    ],
)
def test_a_response_that_gives_something_else_ends_the_pairing(
    accepted: Pairing, other: OtherSite, member: str, value: Any
) -> None:
    other.answer[member] = value

    sending.send(accepted)

    assert (accepted.state, bool(accepted.last_error)) == (State.FAILED, True)
    assert not accepted.our_client_secret
    assert nobody_is_in()


@pytest.mark.threat("PA9")
def test_keys_do_not_become_secrets(other: OtherSite) -> None:
    other.metadata["token_endpoint_auth_methods_supported"] = [
        "client_secret_basic",
        "private_key_jwt",
    ]
    other.metadata["token_endpoint_auth_signing_alg_values_supported"] = ["ES256"]
    offer = accepting.look_up(other.invitation())
    pairing = accepting.accept(offer, terms())
    other.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_basic"]

    sending.send(pairing)

    (sent,) = other.received
    assert json.loads(sent.body)["token_endpoint_auth_method"] == "private_key_jwt"
    assert pairing.state == State.FAILED


@pytest.mark.threat("PA7")
@pytest.mark.parametrize("uri", ["{thief}/register/", "http://10.0.0.1/", "x", 7])
def test_the_address_of_our_registration_must_be_at_the_other_site(
    accepted: Pairing, other: OtherSite, thief: OtherSite, uri: Any
) -> None:
    text = uri.replace("{thief}", thief.url) if isinstance(uri, str) else uri
    other.answer["registration_client_uri"] = text

    sending.send(accepted)

    assert accepted.state == State.DRAFT
    assert "registration_client_uri" in accepted.last_error
    assert thief.requests == []


# Tokens of a registration elsewhere


@pytest.mark.threat("PA13")
@pytest.mark.parametrize("which", ["code", "registration token", "reverse token"])
def test_a_token_of_a_registration_opens_nothing_else(
    complete: Pairing,
    invited: tuple[Pairing, str],
    other: OtherSite,
    make_peer: Callable[..., Peer],
    which: str,
) -> None:
    answer = json.loads(complete.answer.reveal())
    token = {
        "code": invited[1],
        "registration token": answer["registration_access_token"],
        "reverse token": other.reverse_token,
    }[which]
    make_peer("music")

    api = Client().get("/api/playback/", headers={"Authorization": f"Bearer {token}"})
    handed_over = post_form(
        Client(),
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:reciprocal",
            "code": "code",
            "client_id": "music-here",
            "access_token": token,
        },
        basic("music-here", PEER_SECRET),
    )
    as_code = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": token},
        basic("music-here", PEER_SECRET),
    )

    assert (api.status_code, handed_over.status_code, as_code.status_code) == (401, 400, 400)
    assert handed_over.json()["error"] == as_code.json()["error"] == "invalid_grant"
    assert not get_access_token_model().objects.exists()


# Pairing again


@pytest.mark.threat("PA15")
def test_a_disabled_peer_cannot_come_back_by_itself(complete: Pairing, other: OtherSite) -> None:
    code = Pairing.objects.get().code_hash
    Peer.objects.update(enabled=False)
    assert code

    with pytest.raises(PairingError, match="renew this peer"):
        inviting.invite(terms("other"))
    with pytest.raises(PairingError, match="renew this peer"):
        accepting.accept(accepting.look_up(other.invitation()), terms("other"))

    assert not Peer.objects.get().enabled


@pytest.mark.threat("PA15")
def test_a_renewal_keeps_the_peer_disabled_and_its_client_id(
    complete: Pairing, other: OtherSite
) -> None:
    before = Peer.objects.select_related("application").get()
    partner = inviting.look_up(other.issuer)
    pairing, text = inviting.invite(terms("other", renews=True), partner=partner)
    answer = register(code_in(text), other.registration()).json()

    sending.send(pairing)

    assert pairing.state == State.COMPLETE, pairing.last_error
    peer = Peer.objects.select_related("application").get()
    assert (peer.pk, peer.enabled) == (before.pk, False)
    assert peer.application.client_id == before.application.client_id == answer["client_id"]
    assert peer.application.client_secret != before.application.client_secret
    complete.refresh_from_db()
    assert (complete.state, complete.peer) == (State.REPLACED, None)


@pytest.mark.threat("PA15")
def test_another_site_cannot_renew_a_peer(
    complete: Pairing, other: OtherSite, thief: OtherSite
) -> None:
    pairing, text = inviting.invite(terms("other", renews=True))
    assert register(code_in(text), thief.registration()).status_code == 201

    with pytest.raises(PairingError, match="pair with the same site"):
        inviting.confirm(pairing)

    assert Peer.objects.get().issuer == other.issuer
