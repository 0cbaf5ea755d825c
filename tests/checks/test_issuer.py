"""The checks of the issuer of this site, and of the words for the scopes of peers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.urls import include, path
from pytest_django import Settings

from reciprocal_oauth.checks import Id
from reciprocal_oauth.models import Peer

pytestmark = pytest.mark.django_db

#: Without ``metadata_urlpatterns``.
urlpatterns = [path("o/", include("reciprocal_oauth.oauth2_urls"))]


def found(*ids: Id, databases: list[str] | None = None) -> list[CheckMessage]:
    return [each for each in run_checks(databases=databases) if each.id in ids]


def set_provider(settings: Settings, **values: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **values}


@pytest.mark.rfc("8414", "3")
@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ("", []),
        ("https://us.example/o", []),
        ("https://us.example/shop/o", []),  # The whole site can be below /shop.
        ("https://us.example/o/", ["with a slash at the end"]),
        ("https://us.example", ["publishes no metadata for this issuer"]),
        ("https://us.example/oauth", ["publishes no metadata for this issuer"]),
        ("https://[::1/o", ["is not the URL of an issuer"]),
        ("us.example/o", ["is not the URL of an issuer"]),
        (
            "https://us.example/",
            ["with a slash at the end", "publishes no metadata for this issuer"],
        ),
    ],
)
def test_metadata_is_at_the_issuer(settings: Settings, issuer: str, words: list[str]) -> None:
    set_provider(settings, OIDC_ISS_ENDPOINT=issuer)
    settings.ROOT_URLCONF = "tests.checks.test_issuer"

    messages = found(Id.UNFIT_ISSUER)

    assert len(messages) == len(words)
    assert all(each in message.msg for message, each in zip(messages, words, strict=True))
    if words and "no metadata" in words[-1]:
        assert '"https://us.example/o"' in (messages[-1].hint or "")


@pytest.mark.rfc("8414", "3.1")
def test_the_routes_for_metadata_can_publish_it(settings: Settings) -> None:
    """They are at the root of the host."""
    set_provider(settings, OIDC_ISS_ENDPOINT="https://us.example")

    assert found(Id.UNFIT_ISSUER) == []


@pytest.mark.rfc("8414", "3.1")
@pytest.mark.parametrize("issuer", ["https://us.example/oauth", "https://us.example/a/b"])
def test_a_path_that_does_not_fit_is_found_where_the_metadata_are_at_the_root_too(
    settings: Settings, issuer: str
) -> None:
    """The layout of the quickstart: the route of DOT takes every path of an issuer."""
    set_provider(settings, OIDC_ISS_ENDPOINT=issuer)

    (message,) = found(Id.UNFIT_ISSUER)

    assert "is included at /o" in message.msg
    assert "only clients that know RFC 8414" in message.msg
    assert '"https://us.example/o"' in (message.hint or "")


@pytest.mark.parametrize(
    ("accepts", "issuer", "is_found"),
    [(True, "", True), (True, "https://us.example/o", False), (False, "", False)],
)
def test_a_site_that_may_pair_needs_an_issuer(
    settings: Settings, accepts: bool, issuer: str, is_found: bool
) -> None:
    set_provider(settings, OIDC_ISS_ENDPOINT=issuer)
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_PAIRINGS": accepts}

    assert found(Id.NO_ISSUER) == []
    deployed = [
        each for each in run_checks(include_deployment_checks=True) if each.id == Id.NO_ISSUER
    ]
    assert ["cannot pair" in each.msg for each in deployed] == [True] * is_found


@pytest.mark.parametrize(
    ("values", "is_found"),
    [
        ({"OIDC_ENABLED": True}, True),
        ({"OIDC_ENABLED": False}, False),
        ({"OIDC_ENABLED": True, "OIDC_ISS_ENDPOINT": "https://us.example/o"}, False),
    ],
)
def test_openid_connect_with_peers_needs_a_fixed_issuer(
    peer: Peer, settings: Settings, values: dict[str, Any], is_found: bool
) -> None:
    set_provider(settings, **values)

    assert bool(found(Id.NO_ISSUER, databases=["default"])) is is_found
    assert found(Id.NO_ISSUER) == []  # Without a database, nobody knows.


def test_without_peers_the_issuer_may_be_missing(settings: Settings) -> None:
    set_provider(settings, OIDC_ENABLED=True)

    assert found(Id.NO_ISSUER, databases=["default"]) == []


def words(settings: Settings, **of_peers: dict[str, str]) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "PEER_SCOPES": of_peers}


ALL = {"play": "Play music", "ask-back": "See your name"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"music": ALL}, []),
        ({}, ["no words: play, ask-back."]),
        ({"music": {"play": "Play music"}}, ["no words: ask-back."]),
        ({"musci": ALL}, ["has the key 'musci'", "no words: play, ask-back."]),
        ({"music": ALL, "weather": ALL}, ["has the key 'weather'"]),
    ],
)
def test_the_scopes_of_a_peer_have_words(
    peer: Peer, settings: Settings, given: dict[str, Any], expected: list[str]
) -> None:
    words(settings, **given)

    messages = found(Id.PEER_SCOPES, databases=["default"])

    assert len(messages) == len(expected)
    for message, text in zip(messages, expected, strict=True):
        assert text in message.msg
    assert found(Id.PEER_SCOPES) == []


def test_a_close_match_is_named(peer: Peer, settings: Settings) -> None:
    words(settings, musci=ALL)

    assert found(Id.PEER_SCOPES, databases=["default"])[0].hint == 'Did you mean "music"?'


def test_words_of_the_peer_itself_are_enough(peer: Peer) -> None:
    Peer.objects.update(scope_words={scope: {"": text} for scope, text in ALL.items()})

    assert found(Id.PEER_SCOPES, databases=["default"]) == []


@pytest.mark.parametrize(
    "values", [{"enabled": False}, {"scope": "openid", "reciprocal_scope": ""}]
)
def test_scopes_that_nobody_reads_need_none(peer: Peer, values: dict[str, Any]) -> None:
    Peer.objects.update(**values)

    assert found(Id.PEER_SCOPES, databases=["default"]) == []


def test_before_the_peers_are_set_up_the_setting_may_name_them(
    settings: Settings, make_peer: Callable[..., Peer]
) -> None:
    words(settings, music=ALL)

    assert found(Id.PEER_SCOPES, databases=["default"]) == []
