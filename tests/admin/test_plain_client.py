"""A client that knows only RFC 7591 has used an invitation, and an administrator enters its
endpoints."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import inviting

from ..conftest import basic, post_form
from ..pairing.conftest import issuer  # noqa: F401
from ..pairing.other_site import OtherSite, code_in, terms
from ..pairing.plain_client import register_plain, registration_of
from .conftest import admin_url, text_of

pytestmark = pytest.mark.django_db(transaction=True)

State = Pairing.State
APPLICATION = get_application_model()._meta.model_name
MAY_PAIR = ("add_peer", f"add_{APPLICATION}")
OUR_SECRET = "canary-client-secret"


@pytest.fixture
def other() -> Iterator[OtherSite]:
    site = OtherSite()
    yield site
    site.stop()


@pytest.fixture
def answer(db: None, other: OtherSite) -> dict[str, Any]:
    """The response to the client that has used an invitation for whoever has it."""
    _pairing, text = inviting.invite(terms(asked_scope="play"))
    return register_plain(code_in(text), other)


def address_of_form() -> str:
    query = f"?dialect=ietf&pairing={Pairing.objects.get().pk}"
    return f"{admin_url(Peer, 'add')}{query}"


def filled(client: Client, other: OtherSite) -> dict[str, Any]:
    """The form after a look-up of the other site, with what it has issued to this site."""
    page = client.get(address_of_form())
    typed = {name: value or "" for name, value in page.context["adminform"].form.initial.items()}
    typed = {name: value for name, value in typed.items() if name not in ("dialect", "pairing")}
    typed |= {"dialect": "ietf", "token_endpoint_auth_method": "client_secret_basic"}
    looked_up = client.post(address_of_form(), {**typed, "address": other.issuer, "_look_up": "1"})
    data = looked_up.context["adminform"].form.data.dict()
    data.pop("_look_up")
    return {**data, "client_id": "us-there", "client_secret": OUR_SECRET}


def test_the_page_of_the_pairing_leads_to_the_form(admin: Client, answer: dict[str, Any]) -> None:
    page = text_of(admin.get(admin_url(Pairing, "change", Pairing.objects.get().pk)))

    assert address_of_form().replace("&", "&amp;") in page

    form = admin.get(address_of_form())
    assert form.status_code == 200
    text = text_of(form)
    assert answer["client_id"] in text
    assert answer["redirect_uris"][0] in text
    assert "https://testserver/connections/other/callback/" in text
    known = {"slug", "application", "authenticates_here_by", "jwks_uri"}
    assert not known & form.context["adminform"].form.fields.keys()


def test_one_save_makes_the_peer_and_its_application(
    admin: Client, other: OtherSite, answer: dict[str, Any]
) -> None:
    response = admin.post(address_of_form(), {**filled(admin, other), "enabled": "on"})

    assert response.status_code == 302, response.context["adminform"].form.errors
    peer, pairing = Peer.objects.select_related("application").get(), Pairing.objects.get()
    assert (pairing.state, pairing.peer_id) == (State.COMPLETE, peer.pk)
    assert pairing.confirmed_by is not None
    assert (peer.slug, peer.issuer, peer.scope) == ("other", other.issuer, "play")
    assert peer.allowed_scope == "playback history"
    assert peer.application.client_id == answer["client_id"]
    assert peer.application.redirect_uris.split() == answer["redirect_uris"]
    sent = {"grant_type": "refresh_token", "refresh_token": "unknown"}
    credentials = basic(answer["client_id"], answer["client_secret"])
    assert post_form(Client(), sent, credentials, "/o/token/").json() == {"error": "invalid_grant"}
    assert registration_of(answer).status_code == 200
    page = text_of(admin.get(admin_url(Pairing, "change", pairing.pk)))
    assert other.url.removeprefix("http://") in page
    assert answer["client_secret"] not in page


def test_nothing_is_made_if_a_value_is_wrong(
    admin: Client, other: OtherSite, answer: dict[str, Any]
) -> None:
    response = admin.post(address_of_form(), {**filled(admin, other), "token_endpoint": "here"})

    assert "token_endpoint" in response.context["adminform"].form.errors
    assert (Peer.objects.count(), get_application_model().objects.count()) == (0, 0)
    assert Pairing.objects.get().state == State.ACCEPTED


@pytest.mark.threat("PA2")
def test_a_pairing_that_was_withdrawn_meanwhile_makes_no_peer(
    admin: Client, other: OtherSite, answer: dict[str, Any]
) -> None:
    data = filled(admin, other)
    inviting.withdraw(Pairing.objects.get())

    response = admin.post(address_of_form(), data)

    (error,) = response.context["adminform"].form.non_field_errors()
    assert error == "This pairing does not wait for endpoints any more: withdrawn."
    assert (Peer.objects.count(), get_application_model().objects.count()) == (0, 0)


@pytest.mark.parametrize(("may", "status"), [(MAY_PAIR, 200), (("add_peer", "view_pairing"), 403)])
def test_only_who_may_pair_can_do_it(
    staff: Callable[..., Client], answer: dict[str, Any], may: tuple[str, ...], status: int
) -> None:
    assert staff(*may).get(address_of_form()).status_code == status


def test_keys_at_another_host_than_the_issuer_are_refused(
    admin: Client, other: OtherSite, answer: dict[str, Any]
) -> None:
    elsewhere = "https://keys.example/jwks.json"
    Pairing.objects.update(its_auth_method="private_key_jwt", jwks_uri=elsewhere)

    response = admin.post(address_of_form(), filled(admin, other))

    (error,) = response.context["adminform"].form.non_field_errors()
    assert "must be at the address of the issuer" in error


@pytest.mark.parametrize("value", ["no-uuid", "6e1a6d7c-0f0a-4b71-8f31-3a1d6d1d2f57"])
def test_a_pairing_that_does_not_exist_is_not_found(admin: Client, value: str) -> None:
    page = f"{admin_url(Peer, 'add')}?dialect=ietf&pairing={value}"

    assert admin.get(page).status_code == 404
