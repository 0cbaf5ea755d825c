"""Fixtures of the provider's tests: reciprocal codes as the peer receives them, other settings."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth import signals
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import consent

from ..conftest import PEER_SECRET, basic, post_form
from ..dot import OAuthLibCoreMixin
from ..fakes import FakePeer
from ..party_a.visits import link_both_ways
from .doors import Tokens
from .signing import ISSUER, JWKS_PATH, Signer, make_key, publish


@pytest.fixture
def dot_settings(settings: Any) -> Iterator[Callable[..., None]]:
    """Changes members of ``OAUTH2_PROVIDER``. DOT's views keep the server that they have built, so
    it is built anew with each request, and forgotten afterwards."""

    def change(**members: Any) -> None:
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
            **members,
        }

    yield change
    forget_servers()


def forget_servers(view: type = OAuthLibCoreMixin) -> None:
    if "_oauthlib_core" in vars(view):
        del view._oauthlib_core
    for subclass in view.__subclasses__():
        forget_servers(subclass)


@pytest.fixture(scope="session")
def signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def openid_connect(settings: Any, dot_settings: Callable[..., None], signing_key: str) -> None:
    """The site is an OpenID provider as well."""
    dot_settings(
        OIDC_ENABLED=True,
        OIDC_RSA_PRIVATE_KEY=signing_key,
        SCOPES={"openid": "Know who you are", **settings.OAUTH2_PROVIDER["SCOPES"]},
    )


@pytest.fixture
def make_application(db: None) -> Callable[..., Any]:
    """Makes an application of a client that is no peer."""

    def make(client_id: str = "plain", **values: Any) -> Any:
        return get_application_model().objects.create(
            **{
                "name": client_id,
                "client_id": client_id,
                "client_secret": PEER_SECRET,
                "client_type": "confidential",
                "authorization_grant_type": "authorization-code",
                "redirect_uris": f"https://{client_id}.example/callback/",
                **values,
            }
        )

    return make


@pytest.fixture
def reciprocal_code(link_as_a: Link, fake_peer: FakePeer) -> Callable[..., str]:
    """Lets the person allow the reverse, delivers, and gives the code that the peer received."""

    def issue(scope: str = "playback", link: Link = link_as_a) -> str:
        consent.allow(link, scope.split())
        worker.drain()
        return fake_peer.to("/token/")[-1].form["code"]

    return issue


@pytest.fixture
def redeem(application: Any) -> Callable[..., Any]:
    """Redeems a code at our token endpoint as the peer would (RFC 6749, section 4.1.3)."""

    def post(code: str, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
        if headers is None:
            headers = basic(application.client_id, PEER_SECRET)
        parameters = {"grant_type": "authorization_code", "code": code, **more}
        return post_form(Client(), parameters, headers)

    return post


@pytest.fixture
def refresh(application: Any) -> Callable[..., Any]:
    """Renews a token at our token endpoint as the peer would (RFC 6749, section 6)."""

    def post(refresh_token: str, **more: str) -> Any:
        parameters = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
        return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))

    return post


@pytest.fixture
def signer(peer: Peer, fake_peer: FakePeer, settings: Any) -> Signer:
    """The peer, which authenticates with a key from now on. Its secret still exists."""
    key = make_key()
    publish(fake_peer, key)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ISSUER}
    peer.authenticates_here_by, peer.jwks_uri = "private_key_jwt", fake_peer.url + JWKS_PATH
    peer.full_clean()
    peer.save()
    return Signer(peer.application.client_id, key)


@pytest.fixture
def tokens(browser: Client, fake_peer: FakePeer, peer: Peer, application: Any) -> Tokens:
    """Those of a link that works both ways."""
    tokens = Tokens(browser, link_both_ways(browser, fake_peer, application))
    assert Link.objects.get().is_two_way
    return tokens


@pytest.fixture
def broken() -> Iterator[list[tuple[str, str]]]:
    """The directions that were announced as broken, with the reason."""
    heard: list[tuple[str, str]] = []

    def note(sender: type, link: Link, direction: str, reason: str, **_arguments: Any) -> None:
        heard.append((direction, reason))

    signals.direction_broken.connect(note)
    yield heard
    signals.direction_broken.disconnect(note)


def call_api(access_token: str, path: str = "/api/playback/") -> Any:
    """A call of a protected resource here, which needs the scope ``playback``."""
    return Client().get(path, headers={"Authorization": f"Bearer {access_token}"})


def assert_token_is_dead(access_token: str) -> None:
    """The token opens nothing any more (RFC 6750, section 3.1)."""
    response = call_api(access_token)
    assert response.status_code == 401
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
