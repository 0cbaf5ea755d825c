"""A peer that exists already gets new credentials by a pairing, and keeps its links."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import inviting, sending
from tests.conftest import PEER_SECRET, basic, post_form

from .other_site import OtherSite, code_in, register, terms

pytestmark = pytest.mark.django_db


@pytest.fixture
def by_hand(make_peer: Callable[..., Peer], other: OtherSite) -> Peer:
    """A peer that was set up by hand, and was disabled since."""
    endpoints = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
    values = {name: other.metadata[name] for name in endpoints}
    return make_peer("other", other.url, client_id="us-there", enabled=False, **values)


def renew(other: OtherSite, **values: Any) -> tuple[Pairing, dict[str, Any]]:
    """Pair again. Return the pairing, and what the other site got."""
    partner = inviting.look_up(other.issuer)
    pairing, text = inviting.invite(terms(renews=True, **values), partner=partner)
    answer = register(code_in(text), other.registration()).json()
    sending.send(pairing)
    return pairing, answer


def refreshed(answer: dict[str, Any], refresh_token: str) -> int:
    headers = basic(answer["client_id"], answer["client_secret"])
    parameters = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return int(post_form(Client(), parameters, headers).status_code)


@pytest.mark.rfc("7591", "3")
def test_a_peer_by_hand_keeps_its_application_its_client_ids_and_its_links(
    by_hand: Peer, other: OtherSite, user: Any, make_token_of_a: Callable[..., Any]
) -> None:
    token = make_token_of_a(by_hand, user)
    client_id = by_hand.application.client_id

    pairing, answer = renew(other, enable=True)

    assert (pairing.state, pairing.peer) == ("complete", by_hand)
    assert answer["client_id"] == client_id
    renewed = Peer.objects.get()
    assert renewed.application_id == by_hand.application_id
    assert (renewed.name, renewed.client_id, renewed.enabled) == ("Other", "us-there", True)
    assert renewed.client_secret.reveal() == other.answer["client_secret"]
    assert Link.objects.get().is_active
    old = {"client_id": client_id, "client_secret": PEER_SECRET}
    assert refreshed(old, token.raw_refresh) == 401
    assert refreshed(answer, token.raw_refresh) == 200


@pytest.mark.threat("PA15")
def test_a_disabled_peer_stays_disabled_unless_an_administrator_ticks_it(
    by_hand: Peer, other: OtherSite
) -> None:
    renew(other)

    assert not Peer.objects.get().enabled


def test_a_pairing_again_replaces_the_one_before(by_hand: Peer, other: OtherSite) -> None:
    first, old = renew(other)

    second, new = renew(other)

    first.refresh_from_db()
    assert (first.state, first.peer, second.peer) == ("replaced", None, by_hand)
    assert new["client_id"] == old["client_id"]
    uri = new["registration_client_uri"].removeprefix("https://testserver")
    for answer, status in ((old, 401), (new, 200)):
        headers = {"Authorization": f"Bearer {answer['registration_access_token']}"}
        assert Client().get(uri, headers=headers).status_code == status


def test_a_peer_of_another_issuer_is_not_renewed(by_hand: Peer, other: OtherSite) -> None:
    Peer.objects.update(issuer="https://elsewhere.example/o")

    with pytest.raises(PairingError, match="has the issuer https://elsewhere"):
        renew(other)

    assert not Pairing.objects.exists()


def test_a_peer_without_an_issuer_gets_the_one_of_the_pairing(
    by_hand: Peer, other: OtherSite
) -> None:
    Peer.objects.update(issuer="")

    pairing, _answer = renew(other)

    assert pairing.peer
    assert pairing.peer.issuer == other.issuer


def test_a_new_client_id_at_the_other_site_leaves_what_the_other_site_holds_here(
    by_hand: Peer, other: OtherSite, user: Any, make_token_of_a: Callable[..., Any]
) -> None:
    """The other site has lost its database, so this site is a new client there."""
    token = make_token_of_a(by_hand, user)
    other.answer["client_id"] = "us-there-again"

    pairing, answer = renew(other, enable=True)

    assert pairing.state == "complete", pairing.last_error
    assert Peer.objects.get().client_id == "us-there-again"
    assert refreshed(answer, token.raw_refresh) == 200


def test_a_client_id_that_was_changed_meanwhile_is_told(by_hand: Peer, other: OtherSite) -> None:
    pairing, text = inviting.invite(terms(renews=True), partner=inviting.look_up(other.issuer))
    assert register(code_in(text), other.registration()).status_code == 201
    by_hand.application.client_id = "changed-by-hand"
    by_hand.application.save()

    sending.send(pairing)

    assert (pairing.state, "changed meanwhile" in pairing.last_error) == ("confirmed", True)
