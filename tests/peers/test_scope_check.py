"""The connection check compares the scopes with what both sites have."""

from typing import Any

import pytest

from reciprocal_oauth.compat import SettingsScopes
from reciprocal_oauth.models import Peer
from tests.fakes import FakePeer, Reply

from .conftest import CALLBACK, METADATA, authorizing, describe, findings

KEY = "-----BEGIN PRIVATE KEY-----"


class OnlyProfile(SettingsScopes):
    """A scopes backend that offers one scope to clients."""

    def get_available_scopes(self, *args: Any, **kwargs: Any) -> list[str]:
        return ["profile"]


def set_provider(settings: Any, **values: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **values}


def test_scopes_that_both_sites_have_pass(good_peer: FakePeer) -> None:
    assert findings()["scopes"] == (
        "passed",
        "Scopes there: play ask-back. Scopes here: profile playback.",
    )


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize("field", ["scope", "reciprocal_scope"])
@pytest.mark.parametrize(
    ("mistyped", "meant"), [("pley", "Did you mean “play”?"), ("zzz", "the scope “zzz”")]
)
def test_a_mistyped_scope_is_named_by_a_peer_that_checks_scopes(
    good_peer: FakePeer, field: str, mistyped: str, meant: str
) -> None:
    Peer.objects.update(**{field: f"ask-back {mistyped}"})

    state, reason = findings()["scopes"]

    assert state == "failed"
    assert f"“{mistyped}”" in reason
    assert meant in reason
    assert "“ask-back”" not in reason


@pytest.mark.rfc("6749", "3.3")
def test_a_mistyped_scope_is_found_at_a_peer_that_ignores_it(good_peer: FakePeer) -> None:
    good_peer.answers["/authorize/"] = _ignoring_scopes
    Peer.objects.update(scope="pley")

    assert findings()["scopes"][0] == "failed"


def _ignoring_scopes(received: Any) -> Reply:
    return authorizing(scopes=received.parameters.get("scope", ""))(received)


@pytest.mark.rfc("8414", "2")
def test_a_scope_that_is_not_listed_may_exist(good_peer: FakePeer) -> None:
    good_peer.answers["/authorize/"] = _ignoring_scopes
    Peer.objects.update(scope="https://api.example/auth/calendar")

    state, reason = findings()["scopes"]

    assert state == "unknown"
    assert "It may have more scopes than it lists." in reason


@pytest.mark.rfc("8414", "2")
def test_a_peer_that_refuses_made_up_scopes_has_those_that_it_does_not_list(
    good_peer: FakePeer,
) -> None:
    good_peer.answers["/authorize/"] = authorizing(scopes="hidden ask-back")
    Peer.objects.update(scope="hidden")

    assert findings()["scopes"][0] == "passed"


@pytest.mark.parametrize("state", ["passed", "unknown"])
def test_without_a_list_the_response_tells_or_nothing_does(
    good_peer: FakePeer, peer: Peer, state: str
) -> None:
    describe(good_peer, peer, scopes_supported=None)
    if state == "unknown":
        good_peer.answers["/authorize/"] = _ignoring_scopes

    assert findings()["scopes"][0] == state


def test_scopes_that_are_refused_together_only(good_peer: FakePeer) -> None:
    def one_at_a_time(received: Any) -> Reply:
        scopes = received.parameters["scope"]
        return authorizing(scopes="" if " " in scopes else scopes)(received)

    good_peer.answers["/authorize/"] = one_at_a_time

    assert findings()["scopes"] == (
        "failed",
        "The peer refuses the scope “play ask-back” (invalid_scope).",
    )


@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.2.1")
@pytest.mark.parametrize(
    ("members", "state"),
    [
        ({}, "failed"),
        ({"scopes_supported": ["play", "ask-back", "openid"]}, "failed"),
        (
            {
                "scopes_supported": ["play", "ask-back", "openid"],
                "jwks_uri": "https://music.example/keys",
            },
            "passed",
        ),
    ],
)
def test_openid_needs_a_peer_that_offers_it(
    good_peer: FakePeer, peer: Peer, members: dict[str, Any], state: str
) -> None:
    describe(good_peer, peer, **members)
    good_peer.answers["/authorize/"] = authorizing(scopes="openid play ask-back")
    Peer.objects.update(scope="openid play")

    found, reason = findings()["scopes"]

    assert (found, "does not offer OpenID Connect" in reason) == (state, state == "failed")


def test_openid_needs_an_issuer(good_peer: FakePeer) -> None:
    Peer.objects.update(scope="openid play", issuer="")

    state, reason = findings()["scopes"]

    assert state == "failed"
    assert "the issuer of the peer is not known" in reason


@pytest.mark.parametrize("field", ["allowed_scope", "preconfigured_scope"])
def test_a_scope_that_this_site_has_no_more_is_named(good_peer: FakePeer, field: str) -> None:
    Peer.objects.update(**{field: "profil"})

    state, reason = findings()["scopes"]

    assert state == "failed"
    assert "“profil” here, but this site has no such scope. Did you mean “profile”?" in reason


@pytest.fixture
def openid_here(good_peer: FakePeer, settings: Any) -> None:
    """The peer may ask for ``openid`` here."""
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "openid": "Sign in"}
    set_provider(settings, SCOPES=scopes, OIDC_ENABLED=True, OIDC_RSA_PRIVATE_KEY=KEY)
    Peer.objects.update(allowed_scope="openid profile", preconfigured_scope="profile")


def test_a_secret_with_a_dollar_sign_is_no_hash(openid_here: None, application: Any) -> None:
    type(application).objects.update(algorithm="HS256", client_secret="a$b")

    assert findings()["scopes"][0] == "passed"


@pytest.mark.parametrize(
    ("algorithm", "provider", "state", "words"),
    [
        ("RS256", {}, "passed", ""),
        ("", {}, "failed", "has no algorithm"),
        ("RS256", {"OIDC_RSA_PRIVATE_KEY": ""}, "failed", "OIDC_RSA_PRIVATE_KEY"),
        ("HS256", {}, "failed", "only a hash of it is stored"),
        ("RS256", {"OIDC_ENABLED": False}, "failed", "OpenID Connect is off"),
        ("", {"OIDC_ENABLED": False}, "failed", "OpenID Connect is off"),
    ],
)
def test_id_tokens_for_the_peer_can_be_signed(
    openid_here: None,
    application: Any,
    settings: Any,
    algorithm: str,
    provider: dict[str, Any],
    state: str,
    words: str,
) -> None:
    """OpenID Connect may be switched on, or off, after the peer was added."""
    set_provider(settings, **provider)
    type(application).objects.update(algorithm=algorithm)

    found, reason = findings()["scopes"]

    assert (found, words in reason) == (state, True)


def test_what_the_scopes_backend_keeps_from_the_peer_is_named(
    good_peer: FakePeer, settings: Any
) -> None:
    set_provider(settings, SCOPES_BACKEND_CLASS="tests.peers.test_scope_check.OnlyProfile")

    state, reason = findings()["scopes"]

    assert state == "failed"
    assert "“playback” here, but the scopes backend" in reason


def test_the_scopes_here_are_checked_although_the_peer_is_down(good_peer: FakePeer) -> None:
    Peer.objects.update(allowed_scope="profil", token_endpoint="https://10.0.0.1/token/")

    found = findings()

    assert found["name"][0] == found["scopes"][0] == "failed"
    assert found["metadata"][0] == "unknown"


def test_no_metadata_leaves_the_scopes_open(good_peer: FakePeer) -> None:
    del good_peer.answers[METADATA]
    good_peer.answers["/authorize/"] = _with_another_redirect_uri

    assert findings()["scopes"][0] == "unknown"


def _with_another_redirect_uri(received: Any) -> Reply:
    return authorizing(registered=f"{CALLBACK}x")(received)
