"""The catalogues: complete, compiled, and true to the messages that they translate."""

import re
from pathlib import Path

import polib
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

import example_project
import reciprocal_oauth
from reciprocal_oauth.models import Link

#: Where they are, and how many messages each has at least.
LOCALES = {
    Path(package.__file__).parent / "locale": at_least
    for package, at_least in ((reciprocal_oauth, 400), (example_project, 90))
}
LANGUAGES = ("ar", "de", "es", "fr", "ja")
#: What is put in by Python, and the markup.
PUT_IN = re.compile(r"%\(\w+\)[sd]|%[sd]|<[^>]+>")

in_each_language = pytest.mark.parametrize("language", LANGUAGES)
of_each_package = pytest.mark.parametrize("locale", LOCALES, ids=lambda path: path.parent.name)


def catalogue(locale: Path, language: str) -> polib.POFile:
    return polib.pofile(str(locale / language / "LC_MESSAGES" / "django.po"))


def put_in(text: str) -> list[str]:
    return sorted(PUT_IN.findall(text))


def forms(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


@of_each_package
def test_the_catalogues_are_those_promised(locale: Path) -> None:
    assert sorted(path.name for path in locale.iterdir()) == list(LANGUAGES)


@of_each_package
@in_each_language
def test_every_message_is_translated(locale: Path, language: str) -> None:
    entries = catalogue(locale, language)

    assert [entry.msgid for entry in entries if not all(forms(entry)) or entry.fuzzy] == []
    assert len(entries) >= LOCALES[locale]


@of_each_package
@in_each_language
def test_a_translation_puts_in_what_the_message_does(locale: Path, language: str) -> None:
    for entry in catalogue(locale, language):
        allowed = [put_in(entry.msgid), put_in(entry.msgid_plural or entry.msgid)]
        if entry.msgid_plural:
            # “Two links” needs no number; one that has a name may be left out.
            allowed.append([each for each in allowed[1] if each != "%(counter)s"])
        for text in forms(entry):
            assert put_in(text) in allowed, f"{entry.msgid!r}: {text!r}"


@of_each_package
@in_each_language
def test_what_is_compiled_is_what_stands_in_the_catalogue(locale: Path, language: str) -> None:
    compiled = polib.mofile(str(locale / language / "LC_MESSAGES" / "django.mo"))

    assert {(entry.msgctxt, entry.msgid): forms(entry) for entry in compiled} == {
        (entry.msgctxt, entry.msgid): forms(entry) for entry in catalogue(locale, language)
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
