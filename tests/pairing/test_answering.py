"""This site answers the registration of the other site (RFC 7591, sections 3.2.1 and 3.2.2)."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import due, inviting, sending

from .other_site import OUR_ISSUER, REGISTER, OtherSite, register, terms

pytestmark = pytest.mark.django_db

State = Pairing.State
InState = Callable[[str], tuple[Pairing, str]]
UNAUTHORIZED = {"error": "invalid_token"}


def assert_unauthorized(response: Any) -> None:
    """The response is the same for each token that is not good."""
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert response["Cache-Control"] == "no-store"


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.rfc("7592", "3")
def test_the_response_has_the_members_of_rfc_7591_and_rfc_7592(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    response = register(invited[1], other.registration(scope="playback profile"))

    assert (response.status_code, response["Content-Type"]) == (201, "application/json")
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")
    answer = response.json()
    secret, token = answer.pop("client_secret"), answer.pop("registration_access_token")
    assert len(secret) >= 43
    assert len(token) == 43
    assert isinstance(answer.pop("client_id_issued_at"), int)
    pairing = Pairing.objects.get()
    client_id = pairing.issued_client_id
    sent = other.registration()
    assert answer == {
        "client_id": client_id,
        "client_secret_expires_at": 0,
        "registration_client_uri": f"https://testserver{REGISTER}{client_id}/",
        **{
            name: sent[name]
            for name in (
                "client_name",
                "client_uri",
                "redirect_uris",
                "grant_types",
                "response_types",
                "token_endpoint_auth_method",
                "reciprocal_issuer",
            )
        },
        "scope": "playback",  # "profile" was not allowed.
        "reciprocal_client_name": "testserver",
        "reciprocal_allowed_scope": "playback history",
        "reciprocal_key_thumbprints": pairing.our_thumbprints,
        "reciprocal_state": "waiting",
        "reciprocal_enabled": False,
    }


@pytest.mark.rfc("7591", "3.2.1")
def test_who_signs_gets_no_secret(invited: tuple[Pairing, str], other: OtherSite) -> None:
    jwks_uri = f"{other.url}/o/reciprocal/jwks.json"
    body = other.registration(token_endpoint_auth_method="private_key_jwt", jwks_uri=jwks_uri)

    answer = register(invited[1], body).json()

    assert (answer["token_endpoint_auth_method"], answer["jwks_uri"]) == (
        "private_key_jwt",
        jwks_uri,
    )
    assert {"client_secret", "client_secret_expires_at"} & set(answer) == set()


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.parametrize("words", ["inviter accepted", "inviter confirmed"])
def test_the_registration_can_be_read_and_holds_no_secret(
    in_state: InState, other: OtherSite, words: str
) -> None:
    _pairing, code = in_state(words)
    answer = register(code, other.registration()).json()

    response = read(answer)

    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    hidden = ("client_secret", "client_secret_expires_at", "registration_access_token")
    answer = {name: value for name, value in answer.items() if name not in hidden}
    answer.pop("client_id_issued_at")
    assert response.json() == answer


def read(answer: dict[str, Any], token: str | None = None, method: str = "GET") -> Any:
    """Use the client configuration endpoint (RFC 7592, section 2.1)."""
    token = answer["registration_access_token"] if token is None else token
    path = answer["registration_client_uri"].removeprefix("https://testserver")
    return Client().generic(method, path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.threat("PA10")
def test_only_the_token_of_a_registration_reads_it(
    complete: Pairing, other: OtherSite, make_peer: Callable[..., Peer]
) -> None:
    other_code = inviting.invite(terms("third"))[1].reveal().rpartition("code=")[2]
    third = register(other_code, other.registration()).json()
    of_peer = {
        "registration_client_uri": f"https://testserver{REGISTER}{complete.issued_client_id}/"
    }

    for token in (third["registration_access_token"], other_code, other.reverse_token, "", "x"):
        assert_unauthorized(read(of_peer, token))


@pytest.mark.rfc("9110", "15.5.6")
def test_another_method_is_refused_in_json(db: None) -> None:
    response = Client().get(REGISTER)

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response.json() == {"error": "invalid_request"}


# Tokens


@pytest.mark.rfc("6750", "3.1")
@pytest.mark.threat("PA3")
@pytest.mark.parametrize(
    "token", [None, "", "x", "y" * 43, "Basic", "\u00e9" * 43, "z" * 7000], ids=ascii
)
def test_without_a_good_code_nothing_is_registered(
    invited: tuple[Pairing, str], other: OtherSite, token: str | None
) -> None:
    assert_unauthorized(register(token, other.registration()))

    assert Pairing.objects.get().state == State.OPEN
    assert other.requests == []


@pytest.mark.rfc("6750", "2.1")
def test_a_code_is_taken_from_the_header_alone(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    _pairing, code = invited
    client = Client()
    client.cookies["code"] = code
    path = f"{REGISTER}?access_token={code}"

    refused = client.post(path, other.registration(), content_type="application/json")
    as_basic = register(None, other.registration(), Authorization=f"Basic {code}")

    assert_unauthorized(refused)
    assert_unauthorized(as_basic)


@pytest.mark.threat("PA3")
@pytest.mark.parametrize("ended_by", ["withdrawn", "expired", "switched off"])
def test_a_code_that_is_over_is_refused_like_an_unknown_one(
    invited: tuple[Pairing, str], other: OtherSite, settings: Settings, ended_by: str
) -> None:
    pairing, code = invited
    with time_machine.travel(timezone.now(), tick=False) as clock:
        if ended_by == "withdrawn":
            inviting.withdraw(pairing)
        elif ended_by == "expired":
            clock.shift(timedelta(days=1))
        else:
            settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_PAIRINGS": False}
        assert_unauthorized(register(code, other.registration()))


@pytest.mark.threat("PA3")
@pytest.mark.parametrize(
    "words", ["inviter accepted", "inviter confirmed", "accepter registered", "inviter open"]
)
def test_the_same_request_gets_the_same_bytes_and_another_one_nothing(
    in_state: InState, other: OtherSite, words: str
) -> None:
    _pairing, token = in_state(words)
    body = other.registration(
        reciprocal_registration_token=... if words.startswith("accepter") else other.reverse_token
    )
    if words == "accepter registered":
        body["reciprocal_issuer"] = other.issuer

    first = register(token, body)
    again = register(token, body)
    differs = register(token, {**body, "scope": "history"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert_unauthorized(differs)
    assert Pairing.objects.count() == 1
    assert get_application_model().objects.count() == Peer.objects.count() <= 1


def test_the_answer_is_deleted_as_soon_as_it_is_used(complete: Pairing, other: OtherSite) -> None:
    answer = json.loads(complete.answer.reveal())
    assert read(answer).status_code == 200

    complete.refresh_from_db()
    assert not complete.answer


def test_the_answer_is_kept_for_a_day_at_most(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    body = other.registration()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        register(code, body)
        sending.send(pairing)
        assert pairing.state == State.COMPLETE
        clock.shift(timedelta(days=1))
        assert_unauthorized(register(code, body))
        due.run()  # The test of the new peer comes first.
        due.run()

    pairing.refresh_from_db()
    assert not pairing.answer


# Section by state: the reverse registration


@pytest.mark.rfc("9110", "10.2.3")
def test_who_is_too_early_is_told_when_to_come_again(in_state: InState, other: OtherSite) -> None:
    """The response to our own registration is not stored yet."""
    pairing, token = in_state("accepter draft")
    body = other.registration(reciprocal_registration_token=...)

    early = register(token, body)
    sending.send(pairing)
    later = register(token, body)

    assert (early.status_code, early["Retry-After"]) == (503, "2")
    assert early.json() == {"error": "temporarily_unavailable"}
    assert later.status_code == 201
    assert later.json()["reciprocal_state"] == "complete"


@pytest.mark.threat("PA1")
def test_the_reverse_token_serves_the_inviting_site_alone(
    in_state: InState, thief: OtherSite
) -> None:
    pairing, token = in_state("accepter registered")

    assert_unauthorized(register(token, thief.registration(reciprocal_registration_token=...)))

    pairing.refresh_from_db()
    assert (pairing.state, Peer.objects.count()) == (State.REGISTERED, 0)


@pytest.mark.threat("PA9")
def test_each_scope_is_what_one_asks_and_the_other_allows(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    body = other.registration(
        scope="openid playback profile admin", reciprocal_allowed_scope="play other"
    )

    answer = register(reverse_token, body).json()

    peer = Peer.objects.get()
    assert answer["scope"] == "playback"
    assert (peer.scope, peer.reciprocal_scope) == ("play", "play")
    assert (peer.allowed_scope, peer.preconfigured_scope) == ("playback history", "playback")
    assert not peer.enabled


@pytest.mark.threat("PA9")
def test_enabled_is_what_the_administrator_has_ticked(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    Pairing.objects.update(enable=True)

    answer = register(reverse_token, other.registration()).json()

    assert (Peer.objects.get().enabled, answer["reciprocal_enabled"]) == (True, True)


def test_a_person_who_connects_again_has_one_connection_there(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    register(reverse_token, other.registration())

    assert Peer.objects.get().revoke_replaced


def test_a_short_name_that_was_taken_meanwhile_can_be_freed(
    registered: Pairing, reverse_token: str, other: OtherSite, make_peer: Callable[..., Peer]
) -> None:
    other_peer = make_peer("other")

    taken = register(reverse_token, other.registration())

    assert taken.status_code == 503
    registered.refresh_from_db()
    assert "short name “other”" in registered.last_error
    assert get_application_model().objects.count() == 1
    other_peer.delete()
    assert register(reverse_token, other.registration()).status_code == 201


# Bodies (section 3.2.2)

WRONG = {
    "not JSON": b"{",
    "not UTF-8": b'{"client_name": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "nothing": b"",
    "too deep": b"[" * 16000,
    "too long": b'{"a": "' + b"x" * 17000 + b'"}',
    "a number that is too long": b'{"a": ' + b"1" * 5000 + b"}",
}
WRONG_MEMBERS: dict[str, dict[str, Any]] = {
    "a name that is none": {"client_name": 7},
    "a NUL": {"client_name": "a\x00b"},
    "an authentication without secret": {"token_endpoint_auth_method": "none"},
    "HS256": {"token_endpoint_auth_method": "client_secret_jwt"},
    "a key without its address": {"token_endpoint_auth_method": "private_key_jwt"},
    "a key elsewhere": {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": "https://evil.example/jwks.json",
    },
    "grants without codes": {"grant_types": ["client_credentials"]},
    "grants that are no list": {"grant_types": "authorization_code"},
    "responses without codes": {"response_types": ["token"]},
    "an issuer with a query": {"reciprocal_issuer": "https://other.example/o?a=b"},
    "an issuer of plain http": {"reciprocal_issuer": "http://other.example/o"},
    "an issuer that is no text": {"reciprocal_issuer": {"a": "b"}},
    "an issuer that looks like another one": {"reciprocal_issuer": "https://\u043ether.example/o"},
    "an issuer with half of an address": {"reciprocal_issuer": "https://[::1"},
    "an issuer that is too long": {"reciprocal_issuer": "https://other.example/" + "o" * 500},
    "a scope with a quote": {"scope": 'play"back'},
    "a scope that is a list": {"scope": ["playback"]},
    "too many scopes": {"scope": " ".join(f"scope-{number}" for number in range(200))},
    "an offer with a line break": {"reciprocal_allowed_scope": "a\nb"},
    "a short token": {"reciprocal_registration_token": "short"},
    "no token": {"reciprocal_registration_token": ...},
    "a token with blanks": {"reciprocal_registration_token": "x" * 40 + "\r\nX: y"},
}
WRONG_URIS: dict[str, Any] = {
    "none": [],
    "missing": ...,
    "no list": "https://other.example/callback/",
    "not texts": [1],
    "another site": ["https://evil.example/callback/"],
    "another port": ["http://127.0.0.1:1/callback/"],
    "plain http": ["http://other.example/callback/"],
    "a fragment": ["{url}/callback/#a"],
    "a user name": ["http://x@127.0.0.1/callback/"],
    "a blank": ["{url}/callback/ https://evil.example/"],
    "a script": ["javascript:alert(1)"],
    "too many": [f"{{url}}/callback/{number}/" for number in range(6)],
    "one of two": ["{url}/callback/", "https://evil.example/"],
    "too long": ["{url}/" + "c" * 500],
}


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_body_that_cannot_be_read_does_not_use_up_the_code(
    invited: tuple[Pairing, str], other: OtherSite, body: bytes
) -> None:
    pairing, code = invited

    response = register(code, body)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    assert register(code, other.registration()).status_code == 201


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_another_content_type_does_not_use_up_the_code(
    invited: tuple[Pairing, str], other: OtherSite, content_type: str
) -> None:
    response = register(invited[1], other.registration(), content_type=content_type)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    assert register(invited[1], other.registration()).status_code == 201


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.threat("PA9")
@pytest.mark.parametrize("changes", WRONG_MEMBERS.values(), ids=WRONG_MEMBERS)
def test_a_wrong_member_is_named_and_does_not_use_up_the_code(
    invited_all: tuple[Pairing, str], other: OtherSite, changes: dict[str, Any]
) -> None:
    pairing, code = invited_all

    response = register(code, other.registration(**changes))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    said = response.json()["error_description"]
    assert any(name in said for name in (*changes, "jwks_uri"))
    assert register(code, other.registration()).status_code == 201


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.threat("PA1")
@pytest.mark.parametrize("uris", WRONG_URIS.values(), ids=WRONG_URIS)
def test_a_redirect_uri_elsewhere_is_refused(
    invited: tuple[Pairing, str], other: OtherSite, uris: Any
) -> None:
    pairing, code = invited
    if isinstance(uris, list):
        uris = [
            each.replace("{url}", other.url) if isinstance(each, str) else each for each in uris
        ]

    response = register(code, other.registration(redirect_uris=uris))

    assert response.status_code == 400
    wanted = "invalid_redirect_uri", "invalid_client_metadata"
    assert response.json()["error"] in (
        wanted if uris in ([1], WRONG_URIS["no list"]) else wanted[:1]
    )
    assert register(code, other.registration()).status_code == 201


def test_this_site_does_not_pair_with_itself(
    invited_all: tuple[Pairing, str], other: OtherSite
) -> None:
    body = other.registration(
        reciprocal_issuer=OUR_ISSUER,
        redirect_uris=["https://testserver/connections/other/callback/"],
    )

    assert register(invited_all[1], body).status_code == 400


@pytest.mark.rfc("7591", "2")
def test_members_that_nobody_knows_are_ignored(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    body = other.registration(software_id="x", contacts=["a@b.example"], reciprocal_later=1)

    answer = register(invited[1], body).json()

    assert {"software_id", "contacts", "reciprocal_later"} & set(answer) == set()


@pytest.mark.rfc("6585", "4")
def test_who_guesses_codes_is_slowed_down(invited: tuple[Pairing, str], other: OtherSite) -> None:
    for _ in range(10):
        assert_unauthorized(register("x" * 43, other.registration()))

    limited = register("x" * 43, other.registration())
    elsewhere = register("x" * 43, other.registration(), Client(REMOTE_ADDR="192.0.2.7"))
    good = register(invited[1], other.registration())

    assert (limited.status_code, limited["Retry-After"]) == (429, "60")
    assert limited.json() == {"error": "temporarily_unavailable"}
    assert elsewhere.status_code == 401
    assert good.status_code == 201, "behind a proxy, the address can be that of all sites"


@pytest.mark.rfc("7591", "3.1")
@pytest.mark.parametrize("append_slash", [False, True])
def test_a_registration_without_the_last_slash_is_answered_too(
    invited: tuple[Pairing, str], other: OtherSite, settings: Settings, append_slash: bool
) -> None:
    settings.APPEND_SLASH = append_slash
    headers = {"Authorization": f"Bearer {invited[1]}"}
    path, body = REGISTER.removesuffix("/"), json.dumps(other.registration())

    answer = Client().post(path, body, content_type="application/json", headers=headers)

    assert answer.status_code == 201


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.parametrize("client_id", ["%00", "a%00b", "%ff", "%f0%9f%94%91", "x" * 5000])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_client_id_that_cannot_be_is_unknown(db: None, client_id: str, method: str) -> None:
    headers = {"Authorization": "Bearer none"}

    answer = Client().generic(method, f"{REGISTER}{client_id}/", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_token"})
