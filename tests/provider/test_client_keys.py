"""A peer authenticates with a key: it signs an assertion, and no secret is shared."""

import base64
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_application_model

from reciprocal_oauth import oauth2_urls
from reciprocal_oauth.models import InboxItem, Link, Peer, UsedAssertion

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer
from .signing import (
    ISSUER,
    JWKS_PATH,
    Signer,
    claims_of,
    make_key,
    parameters,
    publish,
    sign,
)

pytestmark = pytest.mark.django_db

Post = Callable[..., Any]
REFUSED = (401, {"error": "invalid_client"})
#: Where clients authenticate beside the token endpoint; the last one only in later releases of DOT.
ROUTES = {str(each.pattern).rstrip("/") for each in oauth2_urls.urlpatterns}


@pytest.fixture
def post(signer: Signer) -> Post:
    """Sends a token request with an unknown refresh token; ``None`` leaves a parameter out."""

    def send(headers: dict[str, str] | None = None, path: str = "/o/token/", **changes: Any) -> Any:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": "unknown",
            "client_id": signer.client_id,
            **(signer.authentication() if "client_assertion" not in changes else {}),
            **changes,
        }
        sent = {name: value for name, value in form.items() if value is not None}
        return post_form(Client(), sent, headers or {}, path)

    return send


def is_authenticated(response: Any) -> bool:
    """Whether only the refresh token was refused (RFC 6749, section 5.2)."""
    return (response.status_code, response.json()) == (400, {"error": "invalid_grant"})


def refusal(response: Any) -> tuple[int, Any]:
    return response.status_code, response.json()


# What a peer with a key can do


@pytest.mark.rfc("7523", "2.2")
@pytest.mark.rfc("7521", "4.2")
def test_a_peer_hands_over_a_code(
    signer: Signer, hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    response = hand_over(access_token=token_of_a.raw, headers={}, **signer.authentication())

    assert response.status_code == 200
    assert InboxItem.objects.count() == 1


@pytest.mark.rfc("7523", "2.2")
def test_a_peer_redeems_a_reciprocal_code(
    signer: Signer, reciprocal_code: Callable[..., str], redeem: Callable[..., Any]
) -> None:
    response = redeem(reciprocal_code(), headers={}, **signer.authentication())

    assert response.status_code == 200
    assert response.json()["scope"] == "playback"


@pytest.mark.rfc("7521", "4.2")
def test_a_code_is_not_redeemed_without_an_assertion(
    signer: Signer, reciprocal_code: Callable[..., str], redeem: Callable[..., Any]
) -> None:
    assert refusal(redeem(reciprocal_code(), headers={}, client_id=signer.client_id)) == REFUSED


@pytest.mark.rfc("7523", "2.2")
def test_a_peer_refreshes_introspects_and_revokes_a_token(
    signer: Signer, token_of_a: Any, post: Post
) -> None:
    refreshed = post(refresh_token=token_of_a.raw_refresh)
    assert refreshed.status_code == 200
    token = refreshed.json()["access_token"]

    assert post(path="/o/introspect/", token=token).json()["active"] is True
    assert post(path="/o/revoke_token/", token=token).status_code == 200
    assert post(path="/o/introspect/", token=token).json() == {"active": False}


@pytest.mark.rfc("7521", "4.2")
def test_the_client_id_beside_the_assertion_is_optional(signer: Signer, post: Post) -> None:
    assert is_authenticated(post(client_id=None))


@pytest.mark.rfc("7518", "3.1")
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256", "EdDSA"])
def test_each_of_these_algorithms_is_accepted(
    signer: Signer, fake_peer: FakePeer, post: Post, algorithm: str
) -> None:
    key = make_key(algorithm)
    publish(fake_peer, key)
    assertion = sign(key, claims_of(signer.client_id), algorithm)

    assert is_authenticated(post(**parameters(assertion)))


@pytest.mark.rfc("7515", "4")
@pytest.mark.parametrize("typ", ["JWT", "client-authentication+jwt", None])
def test_the_header_may_say_what_it_is(signer: Signer, post: Post, typ: str | None) -> None:
    assertion = sign(signer.key, claims_of(signer.client_id), typ=typ)

    assert is_authenticated(post(**parameters(assertion)))


@pytest.mark.rfc("7519", "4.1.3")
def test_the_audience_may_be_a_list_with_the_issuer_alone(signer: Signer, post: Post) -> None:
    assert is_authenticated(post(**signer.authentication(aud=[ISSUER])))


@pytest.mark.rfc("7523", "3")
@pytest.mark.parametrize(
    "times",
    [
        {"exp": -29},
        {"exp": 329},
        {"iat": 29},
        {"nbf": 29},
        {"iat": -9999},
        {"exp": 60.5},
    ],
    ids=repr,
)
def test_the_clocks_may_differ_by_half_a_minute(
    signer: Signer, post: Post, times: dict[str, float]
) -> None:
    with time_machine.travel("2030-01-01T12:00:00+00:00", tick=False):
        now = int(time.time())
        changed = {name: now + seconds for name, seconds in times.items()}

        assert is_authenticated(post(**signer.authentication(**changed)))


# What is refused. The response is always the same


def hmac_with_the_public_key(signer: Signer) -> str:
    secret = base64.urlsafe_b64encode(signer.key.export_to_pem()).decode().rstrip("=")
    return sign(JWK(kty="oct", k=secret), claims_of(signer.client_id), "HS256")


def unsigned(signer: Signer) -> str:
    parts = ({"alg": "none"}, claims_of(signer.client_id))
    encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts]
    return ".".join(each.rstrip("=") for each in encoded) + "."


def of_a_stranger(signer: Signer) -> str:
    return sign(make_key(kid="x"), claims_of(signer.client_id), kid=signer.key["kid"])


def with_changed_claims(signer: Signer) -> str:
    header, _claims, signature = signer.assertion().split(".")
    claims = json.dumps(claims_of(signer.client_id, exp=int(time.time()) + 200)).encode()
    return f"{header}.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{signature}"


def with_a_claim_twice(signer: Signer) -> str:
    claims = json.dumps(claims_of(signer.client_id))
    return sign(signer.key, claims[:-1] + ', "aud": "https://site.example/o"}')


BAD: dict[str, Callable[[Signer], str]] = {
    "not a jwt": lambda signer: "garbage",
    "too long": lambda signer: signer.assertion(more="x" * 8 * 1024),
    "alg none": unsigned,
    "alg HS256": hmac_with_the_public_key,
    "signed by another key": of_a_stranger,
    "changed claims": with_changed_claims,
    "a claim twice": with_a_claim_twice,
    "crit": lambda signer: sign(signer.key, claims_of(signer.client_id), crit=["b64"], b64=True),
    "typ of an access token": lambda signer: sign(
        signer.key, claims_of(signer.client_id), typ="at+jwt"
    ),
    "no claims": lambda signer: sign(signer.key, {}),
    "claims that are a list": lambda signer: sign(signer.key, "[]"),
    **{
        f"{name}={value!r}": lambda signer, name=name, value=value: signer.assertion(
            **{name: value}
        )
        for name, value in [
            ("iss", "somebody"),
            ("iss", None),
            ("sub", "somebody"),
            ("sub", None),
            ("aud", "https://site.example/o/token/"),
            ("aud", "https://site.example/o/"),
            ("aud", "http://testserver/o"),
            ("aud", [ISSUER, "https://other.example"]),
            ("aud", [ISSUER, ISSUER]),
            ("aud", {}),
            ("aud", None),
            ("exp", None),
            ("exp", True),
            ("exp", "soon"),
            ("exp", 1e300),
            ("exp", 0),
            ("jti", None),
            ("jti", ""),
            ("jti", 7),
            ("jti", "x" * 257),
        ]
    },
    **{
        f"{name} {seconds:+}": lambda signer, name=name, seconds=seconds: signer.assertion(
            **{name: int(time.time()) + seconds}
        )
        for name, seconds in [("exp", -31), ("exp", 340), ("iat", 40), ("nbf", 40)]
    },
}


@pytest.mark.rfc("7523", "3")
@pytest.mark.threat("J3", "J6")
@pytest.mark.parametrize("name", BAD)
def test_an_assertion_that_proves_nothing_is_refused(
    signer: Signer, post: Post, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assertion = BAD[name](signer)

    with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
        assert refusal(post(**parameters(assertion))) == REFUSED

    assert "An assertion of peer music was refused" in caplog.text
    assert assertion not in caplog.text
    assert UsedAssertion.objects.count() == 0


@pytest.mark.rfc("7521", "4.2.1")
@pytest.mark.rfc("6749", "2.3")
@pytest.mark.threat("J8")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": None},
        {"client_assertion_type": None},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion": ""},
        {"client_assertion": ["a", "b"]},
        {"client_secret": PEER_SECRET},
        {"client_secret": ""},
        {"client_id": "somebody"},
        {"headers": basic("music-here", PEER_SECRET)},
        {"headers": {"Authorization": "Bearer x"}},
    ],
    ids=repr,
)
def test_an_assertion_comes_alone_and_complete(
    signer: Signer, post: Post, changes: dict[str, Any]
) -> None:
    assert refusal(post(**{**signer.authentication(), **changes})) == REFUSED


@pytest.mark.rfc("7521", "4.2")
@pytest.mark.threat("J8")
@pytest.mark.parametrize("where", ["token", "revoke_token", "introspect", "par"])
def test_an_assertion_in_the_query_is_refused(signer: Signer, post: Post, where: str) -> None:
    if where not in ROUTES:
        pytest.skip("DOT has no such endpoint.")
    path = f"/o/{where}/?client_assertion=x"

    assert refusal(post(path=path, token="x")) == REFUSED


@pytest.mark.rfc("7521", "4.2")
@pytest.mark.threat("J8")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion_type": "x"},
        {"client_assertion": ""},
        {"client_secret": PEER_SECRET},
        {"headers": basic("music-here", PEER_SECRET)},
        {"client_id": "music"},
    ],
    ids=repr,
)
def test_a_hand_over_has_one_way_of_authenticating(
    signer: Signer, hand_over: Callable[..., Any], token_of_a: Any, changes: dict[str, Any]
) -> None:
    sent = {"headers": {}, **signer.authentication(), **changes}

    assert refusal(hand_over(access_token=token_of_a.raw, **sent)) == REFUSED
    assert not InboxItem.objects.exists()


# A secret is refused


@pytest.mark.rfc("9700", "2.5")
@pytest.mark.threat("J5")
@pytest.mark.parametrize("where", ["token", "revoke_token", "device-authorization", "par"])
@pytest.mark.parametrize("how", ["basic", "body", "client_id alone"])
def test_the_secret_of_a_peer_with_a_key_opens_nothing(
    signer: Signer, where: str, how: str
) -> None:
    if where not in ROUTES:
        pytest.skip("DOT has no such endpoint.")
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    headers = basic(signer.client_id, PEER_SECRET) if how == "basic" else {}
    if how != "basic" or where == "device-authorization":
        form["client_id"] = signer.client_id
    if how == "body":
        form["client_secret"] = PEER_SECRET

    response = post_form(Client(), form, headers, f"/o/{where}/")

    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"


@pytest.mark.threat("J5")
def test_the_secret_of_a_peer_with_a_key_introspects_nothing(
    signer: Signer, token_of_a: Any
) -> None:
    headers = basic(signer.client_id, PEER_SECRET)

    response = post_form(Client(), {"token": token_of_a.raw}, headers, "/o/introspect/")

    assert response.status_code == 403


@pytest.mark.threat("J5")
def test_the_secret_of_a_peer_with_a_key_hands_nothing_over(
    signer: Signer, hand_over: Callable[..., Any], token_of_a: Any
) -> None:
    assert refusal(hand_over(access_token=token_of_a.raw)) == REFUSED


@pytest.mark.threat("J5")
def test_a_peer_with_a_key_does_not_become_a_public_client(signer: Signer, post: Post) -> None:
    get_application_model().objects.update(client_type="public")

    assert refusal(post(client_assertion=None)) == REFUSED
    assert refusal(post(client_assertion=None, client_secret="")) == REFUSED


@pytest.mark.threat("J5")
def test_a_peer_with_a_secret_cannot_sign(signer: Signer, post: Post) -> None:
    Peer.objects.update(authenticates_here_by="secret")

    assert refusal(post()) == REFUSED
    secret = basic(signer.client_id, PEER_SECRET)
    assert is_authenticated(post(secret, client_assertion=None))


@pytest.mark.threat("J8")
def test_nobody_uses_a_parameter_as_a_proof(
    signer: Signer, reciprocal_code: Callable[..., str], redeem: Callable[..., Any]
) -> None:
    Peer.objects.update(authenticates_here_by="secret")
    get_application_model().objects.update(client_secret="", hash_client_secret=False)

    response = redeem(
        reciprocal_code(), headers={}, client_id=signer.client_id, _proved_by="x", client_secret=""
    )

    assert response.status_code in (400, 401)
    assert Link.objects.get().incoming_state != Link.Incoming.ACTIVE


# Other clients


@pytest.mark.rfc("7521", "4.2")
def test_for_a_client_that_is_no_peer_dot_decides(
    signer: Signer, make_application: Callable[..., Any], post: Post
) -> None:
    make_application("plain")
    right = basic("plain", PEER_SECRET)

    assert is_authenticated(post(right, client_assertion=None, client_id="plain"))
    alone = post(client_id="plain", **parameters(sign(signer.key, claims_of("plain"))))
    assert refusal(alone) == REFUSED


# Once


@pytest.mark.rfc("7523", "3")
@pytest.mark.threat("J2")
def test_an_assertion_is_used_once(signer: Signer, post: Post) -> None:
    sent = signer.authentication()

    assert is_authenticated(post(**sent))
    assert refusal(post(**sent)) == REFUSED
    assert refusal(post(path="/o/revoke_token/", token="x", **sent)) == REFUSED


@pytest.mark.threat("J2")
def test_an_assertion_that_is_used_many_times_at_once_is_accepted_once(
    shared_database: None, signer: Signer, post: Post, at_once: Callable[..., list[Any]]
) -> None:
    sent = signer.authentication()

    responses = at_once(8, lambda: post(**sent))

    assert sorted(each.status_code for each in responses) == [400, *[401] * 7]
    assert UsedAssertion.objects.count() == 1


@pytest.mark.threat("J2")
def test_two_peers_may_use_the_same_id(
    signer: Signer, make_peer: Callable[..., Peer], fake_peer: FakePeer, post: Post
) -> None:
    other = make_peer(
        "radio",
        fake_peer.url,
        authenticates_here_by="private_key_jwt",
        jwks_uri=fake_peer.url + JWKS_PATH,
    )
    second = Signer(other.application.client_id, signer.key)

    assert is_authenticated(post(**signer.authentication(jti="1")))
    assert is_authenticated(post(client_id=None, **second.authentication(jti="1")))


# Which issuer


@pytest.mark.threat("J3")
def test_the_host_header_does_not_choose_the_audience(
    signer: Signer, dot_settings: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    dot_settings(OIDC_ISS_ENDPOINT="")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    sent = {**form, **signer.authentication(aud="http://localhost/o")}

    response = post_form(Client(HTTP_HOST="localhost"), sent, {})

    assert refusal(response) == REFUSED
    assert "another audience" in caplog.text


def test_the_issuer_of_the_settings_is_the_audience(
    signer: Signer, dot_settings: Callable[..., None], post: Post
) -> None:
    dot_settings(OIDC_ISS_ENDPOINT="https://issuer.example/there")

    assert is_authenticated(post(**signer.authentication(aud="https://issuer.example/there")))
    assert refusal(post()) == REFUSED
