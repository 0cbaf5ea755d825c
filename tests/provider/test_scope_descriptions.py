"""This site tells other sites what its scopes mean, in the languages of this site."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.functional import lazystr
from django.utils.translation import get_language

from reciprocal_oauth.client import discovery
from reciprocal_oauth.core import scopes

from ..fakes import FakePeer, Reply

PATH = "/.well-known/oauth-authorization-server/o"


@pytest.fixture
def describe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has this site describe its scopes: a text, or one for each language."""

    def set_to(described: dict[str, Any]) -> None:
        def in_language() -> dict[str, Any]:
            return {
                name: text
                if isinstance(text, str)
                else lazystr(text.get(get_language(), text["en"]))
                for name, text in described.items()
            }

        monkeypatch.setattr(scopes, "described", in_language)

    return set_to


@pytest.fixture
def languages(settings: Any) -> None:
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("pt-br", "Português")]


def described(client: Client) -> dict[str, str] | None:
    document = client.get(PATH).json()
    found: dict[str, str] | None = document.get("reciprocal_scope_descriptions")
    return found


def test_each_scope_has_a_text(client: Client) -> None:
    assert described(client) == {name: str(text) for name, text in scopes.described().items()}


@pytest.mark.rfc("7591", "2.2")
@pytest.mark.usefixtures("languages")
def test_a_text_that_differs_in_another_language_has_the_tag_of_the_language(
    client: Client, describe: Any
) -> None:
    describe({"play": {"en": "Play", "de": "Abspielen", "pt-br": "Play"}, "write": "Write"})

    assert described(client) == {"play": "Play", "write": "Write", "play#de": "Abspielen"}


@pytest.mark.parametrize("language", ["de", "pt-br"])
@pytest.mark.usefixtures("languages")
def test_the_language_of_who_asks_changes_nothing(
    client: Client, describe: Any, language: str
) -> None:
    describe({"play": {"en": "Play", "de": "Abspielen"}})
    before = described(client)

    client.cookies["django_language"] = language
    assert client.get(PATH, headers={"Accept-Language": language}).json()
    assert described(client) == before


def test_a_site_that_chose_no_languages_describes_in_its_default_one_only(
    client: Client, describe: Any
) -> None:
    describe({"play": {"en": "Play", "de": "Abspielen"}})

    assert described(client) == {"play": "Play"}


@pytest.mark.usefixtures("languages")
def test_a_site_with_very_many_scopes_keeps_its_metadata_short(
    client: Client, describe: Any, fake_peer: FakePeer
) -> None:
    describe({f"scope-{n}": {"en": "я" * 300, "de": "ü" * 300} for n in range(300)})

    texts = described(client)

    assert texts
    assert len(json.dumps(texts)) < 25 * 1024
    assert {len(text) for text in texts.values()} == {200}
    document = {**client.get(PATH, secure=True).json(), "issuer": fake_peer.url}
    fake_peer.answers["/.well-known/oauth-authorization-server"] = Reply.json(**document)
    assert len(discovery.discover(fake_peer.url).scope_descriptions) == len(texts)


@pytest.mark.usefixtures("languages")
def test_what_is_published_is_what_another_site_reads(
    client: Client, describe: Any, fake_peer: FakePeer
) -> None:
    describe({"play": {"en": "Play", "pt-br": "Tocar"}, "odd#de": "Odd", "silent": " "})
    document = {**client.get(PATH, secure=True).json(), "issuer": fake_peer.url}
    fake_peer.answers["/.well-known/oauth-authorization-server"] = Reply.json(**document)

    metadata = discovery.discover(fake_peer.url)

    assert metadata.scope_descriptions == {"play": {"": "Play", "pt-br": "Tocar"}}


def test_a_site_that_does_not_pair_says_nothing_about_them(client: Client, settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_PAIRINGS": False}

    assert described(client) is None
