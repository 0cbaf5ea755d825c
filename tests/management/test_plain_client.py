"""A client that knows only RFC 7591 uses an invitation, and ``reciprocal_peer add --pairing`` makes
its peer when its endpoints are known."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import due, inviting, plain_client

from ..conftest import basic, post_form
from ..pairing.conftest import invited_all, issuer, other  # noqa: F401
from ..pairing.other_site import OtherSite, code_in, register, terms
from ..pairing.plain_client import plain_registration, register_plain, registration_of
from ..provider.signing import JWKS_PATH, claims_of, make_key, parameters, publish, sign
from .peer_command import refusal, run

pytestmark = pytest.mark.django_db(transaction=True)

State = Pairing.State
OUR_SECRET = "canary-of-ours"


@pytest.fixture
def there(other: OtherSite) -> tuple[str, ...]:  # noqa: F811
    """The flags for what the administrator of the other site has said."""
    return (
        *("--discover", other.issuer),
        *("--client-id", "us-there", "--client-secret", "-"),
    )


def add(*flags: str) -> Any:
    return json.loads(run("add", "other", "--pairing", *flags, "--json", stdin=f"{OUR_SECRET}\n"))


def show() -> str:
    out = io.StringIO()
    call_command("reciprocal_pair", "show", "other", stdout=out)
    return out.getvalue()


def asks_for_a_token(authentication: dict[str, str], form: dict[str, str] | None = None) -> Any:
    """The response to a token request of the client, with a refresh token that does not exist."""
    sent = {"grant_type": "refresh_token", "refresh_token": "unknown", **(form or {})}
    response = post_form(Client(), sent, authentication, "/o/token/")
    return response.status_code, response.json()["error"]


@pytest.mark.rfc("7591", "3.2.1")
def test_the_peer_gets_the_credentials_that_the_client_has_already(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    answer = register_plain(invited_all[1], other)
    credentials = basic(answer["client_id"], answer["client_secret"])
    assert asks_for_a_token(credentials) == (401, "invalid_client")

    added = add(*there)

    peer = Peer.objects.select_related("application").get()
    assert (peer.slug, peer.name, peer.enabled) == ("other", "Other", False)
    assert (peer.issuer, peer.client_id) == (other.issuer, "us-there")
    assert peer.client_secret.reveal() == OUR_SECRET
    assert (peer.scope, peer.allowed_scope) == ("play", "playback history")
    assert peer.preconfigured_scope == "playback"
    assert peer.application.client_id == answer["client_id"]
    assert peer.application.redirect_uris.split() == answer["redirect_uris"]
    assert added["pairing"]["state"] == "complete"
    assert "application_client_secret" not in added
    Peer.objects.update(enabled=True)
    assert asks_for_a_token(credentials) == (400, "invalid_grant")


@pytest.mark.rfc("7591", "2")
def test_a_client_with_a_key_signs(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    key = make_key()
    publish(other, key)
    answer = register_plain(
        invited_all[1],
        other,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=f"{other.url}{JWKS_PATH}",
    )
    assert "client_secret" not in answer

    add(*there, "--enable")

    signed = sign(key, claims_of(answer["client_id"], aud="https://testserver/o"))
    assert asks_for_a_token({}, parameters(signed)) == (400, "invalid_grant")


@pytest.mark.rfc("7592", "2.1")
def test_the_client_reads_its_registration_before_and_afterwards(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    answer = register_plain(invited_all[1], other)
    before = registration_of(answer)
    add(*there)

    after = registration_of(answer)

    assert (before.status_code, after.status_code) == (200, 200)
    assert before.json() == after.json()
    assert not [name for name in after.json() if name.startswith("reciprocal_")]


def test_the_connection_is_tested_afterwards(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    register_plain(invited_all[1], other)
    add(*there)

    due.run()

    pairing = Pairing.objects.get()
    assert (pairing.task, pairing.last_error) == ("", "")
    assert pairing.findings
    assert not pairing.issued_client_secret
    assert "it may hold here" in show()


def test_nothing_is_made_if_a_value_is_wrong(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    register_plain(invited_all[1], other)

    reasons = refusal(
        "add", "other", "--pairing", *there, "--allowed-scope", "rule", stdin=f"{OUR_SECRET}\n"
    )

    assert "--allowed-scope" in reasons
    assert Pairing.objects.get().state == State.ACCEPTED


@pytest.mark.threat("PA2")
def test_a_pairing_that_was_withdrawn_meanwhile_makes_no_peer(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register_plain(invited_all[1], other)
    lock = plain_client.lock

    def withdrawn_first(pairing: Pairing) -> Pairing:
        inviting.withdraw(pairing)
        return lock(pairing)

    monkeypatch.setattr(plain_client, "lock", withdrawn_first)

    with pytest.raises(CommandError, match="does not wait for endpoints any more: withdrawn"):
        add(*there)

    assert (Peer.objects.count(), get_application_model().objects.count()) == (0, 0)


def test_what_the_client_has_registered_cannot_be_given(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    register_plain(invited_all[1], other)

    with pytest.raises(CommandError, match=r"Leave out --redirect-uri, --register\.$"):
        add(*there, "--redirect-uri", "https://other.example/callback/", "--register")


def test_a_site_that_can_pair_is_not_added_in_this_way(
    invited_all: tuple[Pairing, str],  # noqa: F811
    there: tuple[str, ...],
) -> None:
    with pytest.raises(CommandError, match="^--pairing: No pairing with this short name waits"):
        add(*there)


def test_show_says_who_has_used_the_invitation(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    answer = register_plain(invited_all[1], other)

    out = show()

    assert answer["redirect_uris"][0] in out
    assert "reciprocal_peer add other --pairing" in out
    assert "check number" not in out


def test_a_peer_that_exists_keeps_its_application_and_gets_new_credentials(
    peer: Peer,
    other: OtherSite,  # noqa: F811
) -> None:
    Peer.objects.update(issuer="")
    _pairing, text = inviting.invite(terms(slug=peer.slug, renews=True))
    answer = register_plain(code_in(text), other)
    assert answer["client_id"] == peer.application.client_id

    run("add", peer.slug, "--pairing", "--enable")

    assert Peer.objects.get().application_id == peer.application_id
    credentials = basic(answer["client_id"], answer["client_secret"])
    assert asks_for_a_token(credentials) == (400, "invalid_grant")


@pytest.mark.rfc("7591", "3.2.2")
def test_the_keys_of_a_client_are_at_the_address_of_its_redirect_uris(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
) -> None:
    body = plain_registration(
        other,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://elsewhere.example/jwks.json",
    )

    response = register(invited_all[1], body)

    assert response.status_code == 400
    assert "jwks_uri must be at the address" in response.json()["error_description"]


@pytest.mark.rfc("7592", "2.2")
def test_an_update_of_the_client_leaves_what_an_administrator_has_entered(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    answer = register_plain(invited_all[1], other)
    add(*there, "--homepage", "https://other.example/")
    body = {"client_id": answer["client_id"], **plain_registration(other, client_name="New")}

    response = registration_of(answer, "PUT", body)

    assert response.status_code == 200, response.content
    peer = Peer.objects.get()
    assert (peer.homepage, peer.issuer) == ("https://other.example/", other.issuer)


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.parametrize(("ends", "reason"), [("us", "revoked_here"), ("them", "revoked_by_peer")])
def test_the_history_says_who_has_ended_the_pairing(
    invited_all: tuple[Pairing, str],  # noqa: F811
    other: OtherSite,  # noqa: F811
    there: tuple[str, ...],
    make_token_of_a: Any,
    user: Any,
    ends: str,
    reason: str,
) -> None:
    answer = register_plain(invited_all[1], other)
    add(*there, "--enable")
    make_token_of_a(Peer.objects.get(), user)

    if ends == "us":
        call_command("reciprocal_pair", "end", "other", "--yes", stdout=io.StringIO())
    else:
        assert registration_of(answer, "DELETE").status_code == 204
        due.run()

    assert Link.objects.get().incoming_reason == reason
    assert not Peer.objects.get().enabled
    assert registration_of(answer).status_code == 401
