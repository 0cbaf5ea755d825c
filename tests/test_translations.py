"""The catalogues: complete, compiled, and true to the messages that they translate."""

import re
from pathlib import Path

import polib
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.models import Link

LOCALE = Path(reciprocal_oauth.__file__).parent / "locale"
LANGUAGES = ("ar", "de", "es", "fr", "ja")
#: What is put in by Python, and the markup.
PUT_IN = re.compile(r"%\(\w+\)[sd]|%[sd]|<[^>]+>")

in_each_language = pytest.mark.parametrize("language", LANGUAGES)


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(LOCALE / language / "LC_MESSAGES" / "django.po"))


def put_in(text: str) -> list[str]:
    return sorted(PUT_IN.findall(text))


def forms(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


def test_the_catalogues_are_those_promised() -> None:
    assert sorted(path.name for path in LOCALE.iterdir()) == list(LANGUAGES)


@in_each_language
def test_every_message_is_translated(language: str) -> None:
    entries = catalogue(language)

    assert [entry.msgid for entry in entries if not all(forms(entry)) or entry.fuzzy] == []
    assert len(entries) > 400


@in_each_language
def test_a_translation_puts_in_what_the_message_does(language: str) -> None:
    for entry in catalogue(language):
        allowed = [put_in(entry.msgid), put_in(entry.msgid_plural or entry.msgid)]
        if entry.msgid_plural:
            # “Two links” needs no number; one that has a name may be left out.
            allowed.append([each for each in allowed[1] if each != "%(counter)s"])
        for text in forms(entry):
            assert put_in(text) in allowed, f"{entry.msgid!r}: {text!r}"


@in_each_language
def test_what_is_compiled_is_what_stands_in_the_catalogue(language: str) -> None:
    compiled = polib.mofile(str(LOCALE / language / "LC_MESSAGES" / "django.mo"))

    assert {(entry.msgctxt, entry.msgid): forms(entry) for entry in compiled} == {
        (entry.msgctxt, entry.msgid): forms(entry) for entry in catalogue(language)
    }


@in_each_language
def test_the_pages_speak_it_in_its_direction(
    language: str, browser: Client, link_as_a: Link, settings: Settings
) -> None:
    settings.LANGUAGE_CODE = language

    page = browser.get(reverse("reciprocal_oauth:list")).content.decode()

    with translation.override(language):
        assert translation.gettext("Your connections") in page
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in page
    assert "Your connections" not in page
