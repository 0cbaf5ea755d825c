"""Every preset fits its dialect, its questions and the fields of a peer."""

import io

import pytest
from django.core.management import call_command

from reciprocal_oauth.core import plugins
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import preset_values
from reciprocal_oauth.peers.sheet import console_lines, sheet_for
from reciprocal_oauth.vendors import Preset, presets
from reciprocal_oauth.vendors.preset import filled, names_in, values_in

from .made_up import BELL, TUNES

every_preset = pytest.mark.parametrize(
    "preset", [pytest.param(each, id=each.dialect) for each in [*presets(), TUNES, BELL]]
)


@pytest.fixture
def dialects(request: pytest.FixtureRequest, preset: Preset) -> None:
    if preset in (TUNES, BELL):
        request.getfixturevalue("made_up_vendors")


@every_preset
def test_the_example_of_a_question_has_the_form_of_the_answer(preset: Preset) -> None:
    wrong = [each.name for each in preset.questions if not each.accepts(each.example)]
    odd = [
        each.name for each in preset.questions if each.default and not each.accepts(each.default)
    ]

    assert (wrong, odd) == ([], [])


@every_preset
def test_every_question_is_needed_and_every_name_is_asked_for(preset: Preset) -> None:
    asked = {each.name for each in preset.questions}
    texts = [text for text in preset.values.values() if isinstance(text, str)]
    used = set().union(*map(names_in, [*texts, *preset.redirect_uris]))

    assert used <= asked
    assert preset_values.questions_for(preset) == list(preset.questions)


@every_preset
@pytest.mark.django_db
def test_a_peer_with_the_examples_as_answers_is_saved(dialects: None, preset: Preset) -> None:
    answers = [f"--answer={each.name}={each.example}" for each in preset.questions]

    call_command(
        "reciprocal_peer", "add", "it", "--dialect", preset.dialect, *answers, stdout=io.StringIO()
    )

    peer = Peer.objects.get()
    assert preset_values.missing_redirect_uris(preset, peer) == []
    assert preset_values.differences(preset, peer) == {}
    read = preset_values.stored_answers(preset, peer)
    assert read == {each.name: each.example for each in preset.questions if not each.is_secret}


@every_preset
@pytest.mark.django_db
def test_every_entry_of_the_console_has_a_value(dialects: None, preset: Preset) -> None:
    peer = Peer(slug="it", dialect=preset.dialect, allowed_scope="profile")

    lines = console_lines(peer, sheet_for(peer, "https://us.example"))

    # An application that is not saved yet has no client ID, and no secret is shown.
    empty = [each.label for each in lines if not each.value and not each.is_secret]
    asked = {each.label for each in preset.console if names_in(each.value) & {"client_id"}}
    assert set(empty) <= asked
    assert preset.console
    assert plugins.dialect_class(preset.dialect)


def test_braces_that_name_no_value_stay() -> None:
    assert filled('{"id": "{name}"}', {"name": "x"}) == '{"id": "x"}'


@pytest.mark.parametrize(
    ("template", "text", "found"),
    [
        ("https://x.example/{a}/{b}", "https://x.example/1/2", {"a": "1", "b": "2"}),
        ("https://x.example/{a}/{a}", "https://x.example/1/1", {"a": "1"}),
        ("https://x.example/{a}/{a}", "https://x.example/1/2", None),
        ("https://x.example/{a}", "https://xyexample/1", None),
        ("fixed", "fixed", {}),
    ],
)
def test_values_are_read_back(template: str, text: str, found: dict[str, str] | None) -> None:
    assert values_in(template, text) == found
