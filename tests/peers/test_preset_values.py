"""What the preset of a vendor and the answers say about a peer."""

from dataclasses import replace

import pytest

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import preset_values
from reciprocal_oauth.secret import Secret
from tests.vendors.made_up import TUNES

ANSWERS = {"vendor_id": "V7", "client_id": "tunes.us", "client_secret": "our-secret"}


def test_the_secret_is_not_shown_in_the_values() -> None:
    values = preset_values.values_for(TUNES, ANSWERS)

    assert values.fields["client_secret"] == Secret("our-secret")
    assert "our-secret" not in repr(values)


def test_an_answer_left_blank_has_its_default() -> None:
    values = preset_values.values_for(TUNES, {**ANSWERS, "stage": ""})

    assert values.fields["dialect_options"] == "stage=live\nskill=V7"


def test_a_line_without_an_answer_is_left_out() -> None:
    stage = replace(TUNES.questions[-1], default="")
    preset = replace(TUNES, questions=(*TUNES.questions[:-1], stage))

    assert preset_values.values_for(preset, ANSWERS).fields["dialect_options"] == "skill=V7"


def test_what_is_known_otherwise_is_not_asked_for() -> None:
    given = {"client_id": "x", "client_secret": "y", "dialect_options": "skill=V1"}

    asked = preset_values.questions_for(TUNES, given=given, has_redirect_uris=True)

    assert [each.name for each in asked] == ["stage"]


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        (ANSWERS, []),
        ({**ANSWERS, "vendor_id": ""}, ["vendor_id"]),
        ({**ANSWERS, "stage": "moon"}, ["stage"]),
        ({**ANSWERS, "vendor_id": "V7\n"}, ["vendor_id"]),
        ({}, ["vendor_id", "client_id", "client_secret"]),
    ],
)
def test_problems_are_told_by_question(answers: dict[str, str], names: list[str]) -> None:
    assert list(preset_values.problems_of(TUNES.questions, answers)) == names


def test_redirect_uris_that_the_application_lacks(peer: Peer) -> None:
    application = peer.application
    application.redirect_uris = "https://us.tunes.example/link/V7 https://us.example/own"

    assert preset_values.missing_redirect_uris(TUNES, peer) == ["https://eu.tunes.example/link/V7"]

    application.redirect_uris = "https://us.example/own"
    assert preset_values.missing_redirect_uris(TUNES, peer) == [
        "https://eu.tunes.example/link/…",
        "https://us.tunes.example/link/…",
    ]


def test_a_redirect_uri_of_another_vendor_id_is_missing(peer: Peer) -> None:
    peer.dialect_options = "skill=V7"
    peer.application.redirect_uris = (
        "https://us.tunes.example/link/V7 https://eu.tunes.example/link/V8"
    )

    assert preset_values.missing_redirect_uris(TUNES, peer) == ["https://eu.tunes.example/link/V7"]


def test_what_differs_from_the_preset(peer: Peer) -> None:
    assert preset_values.differences(TUNES, peer) == {
        "token_endpoint": "https://api.tunes.example/token",
        "token_endpoint_auth_method": "client_secret_post",
    }


def test_people_who_start_here_are_asked_for_all_that_the_vendor_may_have() -> None:
    """No vendor sends the parameter ``reciprocal``."""
    starts = replace(TUNES, values={**TUNES.values, "authorization_endpoint": "https://x.example"})
    given = {"allowed_scope": "openid playback"}

    assert preset_values.values_for(starts, ANSWERS, given=given).fields["preconfigured_scope"] == (
        "playback"
    )
    chosen = {**given, "preconfigured_scope": "profile"}
    assert preset_values.values_for(starts, ANSWERS, given=chosen).fields[
        "preconfigured_scope"
    ] == ("profile")
    assert "preconfigured_scope" not in preset_values.values_for(TUNES, ANSWERS, given=given).fields
