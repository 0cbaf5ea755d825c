"""The configuration of a peer that authenticates here with a key."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from oauth2_provider.models import get_application_model

from reciprocal_oauth.checks.ids import Id
from reciprocal_oauth.models import Peer

pytestmark = pytest.mark.django_db

KEYS = "https://music.example/o/reciprocal/jwks.json"
SIGNING = {"authenticates_here_by": "private_key_jwt", "jwks_uri": KEYS}
MakePeer = Callable[..., Peer]


@pytest.fixture
def issuer(settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": "https://site.example/o",
    }


@pytest.mark.usefixtures("issuer")
@pytest.mark.threat("J7")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"jwks_uri": ""}, "jwks_uri"),
        ({"jwks_uri": "https://evil.example/jwks.json"}, "jwks_uri"),
        ({"jwks_uri": "https://music.example:8443/jwks.json"}, "jwks_uri"),
        ({"jwks_uri": "https://music.example@evil.example/jwks.json"}, "jwks_uri"),
        ({"jwks_uri": "http://music.example/jwks.json"}, "jwks_uri"),
        ({"jwks_uri": "https://10.0.0.1/jwks.json", "issuer": "https://10.0.0.1"}, "jwks_uri"),
        ({"issuer": ""}, "issuer"),
        ({"dialect": "smartthings"}, "authenticates_here_by"),
        ({"authenticates_here_by": "tls"}, "authenticates_here_by"),
        (
            {"authenticates_here_by": "secret", "jwks_uri": "https://evil.example/jwks.json"},
            "jwks_uri",
        ),
    ],
    ids=repr,
)
def test_a_wrong_value_is_refused(make_peer: MakePeer, changes: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_peer("music", "https://music.example", **{**SIGNING, **changes})

    assert field in caught.value.message_dict


@pytest.mark.threat("J3")
def test_without_a_fixed_issuer_no_peer_can_sign(make_peer: MakePeer) -> None:
    with pytest.raises(ValidationError, match="OIDC_ISS_ENDPOINT"):
        make_peer("music", "https://music.example", **SIGNING)


def test_an_issuer_that_is_removed_later_is_reported(
    make_peer: MakePeer, issuer: None, settings: Any
) -> None:
    def reported() -> list[Any]:
        return [e for e in run_checks(databases=["default"]) if e.id == Id.KEYS_WITHOUT_ISSUER]

    make_peer("music", "https://music.example", **SIGNING)
    assert reported() == []
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}

    assert ["music" in each.msg for each in reported()] == [True]
    Peer.objects.update(authenticates_here_by="secret")
    assert reported() == []


def test_the_command_sets_it_and_prints_no_secret(issuer: None) -> None:
    out = io.StringIO()
    call_command(
        *("reciprocal_peer", "add", "music", "--name", "Music", "--json"),
        *("--issuer", "https://music.example/o", "--client-id", "us", "--client-secret", "x"),
        *("--authorization-endpoint", "https://music.example/o/authorize/"),
        *("--token-endpoint", "https://music.example/o/token/"),
        *("--redirect-uri", "https://music.example/callback/"),
        *("--authenticates-here-by", "private_key_jwt", "--jwks-uri", KEYS),
        stdout=out,
    )

    peer = Peer.objects.get()
    assert (peer.authenticates_here_by, peer.jwks_uri) == ("private_key_jwt", KEYS)
    assert "application_client_secret" not in json.loads(out.getvalue())


def test_the_command_names_the_flag_of_a_wrong_value(issuer: None, make_peer: MakePeer) -> None:
    make_peer("music", "https://music.example")

    with pytest.raises(CommandError, match="--jwks-uri: Enter the address of the keys"):
        call_command(
            "reciprocal_peer", "add", "music", "--authenticates-here-by", "private_key_jwt"
        )


@pytest.mark.threat("J5")
def test_a_release_of_dot_that_knows_keys_is_told(issuer: None, make_peer: MakePeer) -> None:
    names = {field.name for field in get_application_model()._meta.concrete_fields}
    if "client_jwks_uri" not in names:
        pytest.skip("This release of DOT knows no keys of clients.")
    peer = make_peer("music", "https://music.example", **SIGNING)

    application = get_application_model().objects.get()
    assert application.token_endpoint_auth_method == "private_key_jwt"
    assert application.client_jwks_uri == KEYS
    application.full_clean()

    peer.authenticates_here_by = "secret"
    peer.save()
    application.refresh_from_db()
    assert (application.token_endpoint_auth_method, application.client_jwks_uri) == ("", "")
