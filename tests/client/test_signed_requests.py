"""Requests to a peer for which this site signs, instead of sending a secret."""

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.client.discovery import discover
from reciprocal_oauth.exceptions import AddressRefused, PeerRefused
from reciprocal_oauth.keys import key_set
from reciprocal_oauth.models import Peer, SiteKey
from reciprocal_oauth.peers.discovery import values_of
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply

pytestmark = [pytest.mark.django_db, pytest.mark.rfc("7523", "2.2")]

MakePeer = Callable[..., Peer]
REFRESH = {"grant_type": "refresh_token", "refresh_token": "r"}


@pytest.fixture
def signing(make_peer: MakePeer, fake_peer: FakePeer) -> Callable[..., Peer]:
    """Makes a peer that checks assertions."""

    def make(**values: Any) -> Peer:
        return make_peer(
            "music",
            fake_peer.url,
            **{
                "token_endpoint_auth_method": Peer.AuthMethod.PRIVATE_KEY_JWT,
                "client_secret": Secret(""),
                "issuer": f"{fake_peer.url}/o",
                **values,
            },
        )

    return make


def claims_of(form: Any, algorithm: str = "ES256") -> dict[str, Any]:
    keys = KeySet.import_key_set(key_set.public_set())
    return jwt.decode(form["client_assertion"], keys, algorithms=[algorithm]).claims


@pytest.mark.rfc("7521", "4.2")
def test_the_assertion_is_in_the_body_and_no_secret_is_anywhere(
    fake_peer: FakePeer, signing: MakePeer
) -> None:
    peer = signing()

    token_endpoint.request_token(peer, REFRESH)

    sent = fake_peer.requests[0]
    assert "Authorization" not in sent.headers
    assert {**sent.form, "client_assertion": "…"} == {
        **REFRESH,
        "client_id": peer.client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "…",
    }
    claims = claims_of(sent.form)
    assert claims["iss"] == claims["sub"] == peer.client_id


@pytest.mark.rfc("7523", "3")
@pytest.mark.threat("JC1")
def test_the_audience_is_the_issuer_whatever_the_endpoint_is(
    fake_peer: FakePeer, signing: MakePeer
) -> None:
    """A fake peer names the token endpoint of another server in its metadata, and passes on what it
    gets. The other server finds the issuer of the fake peer in the assertion."""
    issuer, victim = f"{fake_peer.url}/o", f"{fake_peer.url}/victim/token/"
    fake_peer.answers["/.well-known/oauth-authorization-server/o"] = Reply.json(
        issuer=issuer,
        authorization_endpoint=f"{fake_peer.url}/o/authorize/",
        token_endpoint=victim,
        token_endpoint_auth_methods_supported=["private_key_jwt"],
    )
    peer = signing(**values_of(discover(issuer)))
    assert peer.token_endpoint == victim

    with pytest.raises(PeerRefused):
        token_endpoint.request_token(peer, REFRESH)

    assert fake_peer.requests[-1].path == "/victim/token/"
    assert claims_of(fake_peer.requests[-1].form)["aud"] == issuer


@pytest.mark.threat("JC1")
def test_another_audience_is_used_only_if_an_administrator_enters_it(
    fake_peer: FakePeer, signing: MakePeer
) -> None:
    audience = f"{fake_peer.url}/token/"

    token_endpoint.request_token(signing(assertion_audience=audience), REFRESH)

    assert claims_of(fake_peer.requests[0].form)["aud"] == audience


@pytest.mark.threat("JC3")
def test_each_attempt_has_an_assertion_of_its_own(fake_peer: FakePeer, signing: MakePeer) -> None:
    peer = signing()
    fake_peer.answers["/token/"] = Reply(503)

    for _attempt in range(3):
        with pytest.raises(PeerRefused):
            token_endpoint.request_token(peer, REFRESH)

    assert len({claims_of(sent.form)["jti"] for sent in fake_peer.requests}) == 3


@pytest.mark.rfc("7518", "3.1")
def test_a_peer_without_es256_gets_rs256(fake_peer: FakePeer, signing: MakePeer) -> None:
    token_endpoint.request_token(signing(assertion_algorithm="RS256"), REFRESH)

    assert claims_of(fake_peer.requests[0].form, "RS256")


EVIL = "https://evil.example/o"


@pytest.mark.threat("JC2")
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": EVIL},
        {"assertion_audience": EVIL},
        {"token_endpoint": f"{EVIL}/token/"},
        {"client_id": "another-client"},
        {"issuer": ""},
        {"issuer": "no-url"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_nothing_is_signed_after_the_row_was_changed_without_this_app(
    fake_peer: FakePeer, signing: MakePeer, changes: dict[str, str]
) -> None:
    peer = signing()
    Peer.objects.filter(pk=peer.pk).update(**changes)

    with pytest.raises(AddressRefused):
        token_endpoint.request_token(Peer.objects.get(), REFRESH)

    assert fake_peer.requests == []
    assert not SiteKey.objects.exists()


@pytest.mark.threat("JC2")
def test_it_is_signed_again_after_an_administrator_has_saved_the_peer(
    fake_peer: FakePeer, signing: MakePeer
) -> None:
    peer = signing()
    Peer.objects.filter(pk=peer.pk).update(issuer=EVIL)
    Peer.objects.get().save()

    token_endpoint.request_token(Peer.objects.get(), REFRESH)

    assert claims_of(fake_peer.requests[0].form)["aud"] == EVIL
