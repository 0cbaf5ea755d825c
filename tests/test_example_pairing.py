"""The two example sites become peers of each other as in the demo."""

from pathlib import Path

import pytest

from example_project.pairing import pair
from example_project.sites import free_ports, running, two_sites

pytestmark = pytest.mark.two_process


@pytest.mark.threat("PA12")
def test_the_demo_shows_the_invitation_without_its_code_and_pairs_once(tmp_path: Path) -> None:
    first, second = free_ports()
    assistant, music = two_sites(tmp_path, ports=(first, second), paired=True)
    said: list[str] = []
    again: list[str] = []

    with running(assistant, music, prepare=True):
        pair(assistant, music, said.append)
        pair(assistant, music, again.append)
        pairings = [
            site.manage_json("reciprocal_pair", "list", "--json") for site in (assistant, music)
        ]

    text = "\n".join(said)
    assert f"{assistant.url}/connections/pair/#v=1&iss=" in text
    assert "&code=…" in text
    assert again == ["The sites are paired since an earlier run.\n"]
    (at_assistant,), (at_music,) = pairings
    assert at_assistant["state"] == at_music["state"] == "complete"
    assert at_assistant["check_number"] == at_music["check_number"] != ""
    assert at_assistant["auth_method"] == at_music["auth_method"] == "private_key_jwt"


def test_sites_at_other_ports_are_paired_again_with_the_same_peers(tmp_path: Path) -> None:
    for first, second in (free_ports(), free_ports()):
        assistant, music = two_sites(tmp_path, ports=(first, second), paired=True)
        with running(assistant, music, prepare=True):
            pair(assistant, music)
            peers = [
                site.manage_json("reciprocal_peer", "list", "--json") for site in (assistant, music)
            ]

    (at_assistant,), (at_music,) = peers
    assert (at_assistant["issuer"], at_music["issuer"]) == (music.issuer, assistant.issuer)
    assert at_assistant["account_endpoint"] == f"{music.url}/api/whoami/"
    assert at_assistant["enabled"]
    assert at_music["client_id"] == music.client_id
