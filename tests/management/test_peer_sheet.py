"""``reciprocal_peer show --sheet`` writes what ``reciprocal_peer add --sheet`` of the other site
reads."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from reciprocal_oauth.models import Peer
from tests.conftest import OUR_SECRET, PEER_SECRET
from tests.sheets import DISPLAY, SAID, SHEET, sheet_that_says

from .peer_command import CANARY, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "music.json"
    path.write_text(json.dumps(SHEET))
    return path


@pytest.mark.django_db
def test_a_peer_is_added_by_its_sheet_and_a_secret(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "music", "--sheet", str(file), "--client-secret", CANARY)

    peer = Peer.objects.get()
    assert peer.name == "Music service"
    assert peer.client_id == "us-at-music"
    assert peer.token_endpoint == "https://music.example/o/token/"
    assert peer.scope == "play openid"
    assert peer.allowed_scope == ""
    assert peer.application.redirect_uris == "https://music.example/connections/us/callback/"
    said = capsys.readouterr().err
    assert "The sheet says that it is from https://music.example/o." in said
    assert "It asks for these scopes here: profile speak." in said


@pytest.mark.django_db
def test_the_sheet_comes_from_standard_input(file: Path) -> None:
    run("add", "music", "--sheet", "-", "--client-secret", CANARY, stdin=file.read_text())

    assert Peer.objects.get().client_id == "us-at-music"


@pytest.mark.django_db
def test_other_flags_take_precedence(file: Path) -> None:
    uri = "https://music.example/other/"
    given = ["--client-secret", CANARY, "--scope", "listen", "--redirect-uri", uri]

    run("add", "music", "--sheet", str(file), *given)

    peer = Peer.objects.get()
    assert peer.scope == "listen"
    assert peer.application.redirect_uris == uri


@pytest.mark.django_db
@pytest.mark.threat("W53")
def test_changes_of_a_peer_by_a_sheet_need_a_confirmation(file: Path) -> None:
    added = ["--client-secret", CANARY, "--name", "Ours", "--scope", "listen"]
    run("add", "music", "--sheet", str(file), *added)
    moved = json.loads(file.read_text().replace("us/callback", "other/callback"))
    file.write_text(json.dumps(moved))

    with pytest.raises(CommandError, match="--accept-changes: Give this flag to change the redir"):
        run("add", "music", "--sheet", str(file))
    run("add", "music", "--sheet", str(file), "--accept-changes")

    peer = Peer.objects.get()
    assert peer.application.redirect_uris == "https://music.example/connections/other/callback/"
    assert (peer.name, peer.scope) == ("Ours", "listen")


def shown_of(peer: Peer) -> dict[str, str]:
    return {name: getattr(peer, name) for name in DISPLAY}


@pytest.mark.django_db
def test_a_peer_shows_what_its_sheet_says_of_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(sheet_that_says())

    run("add", "music", "--sheet", str(file), "--client-secret", CANARY, "--tos-uri", "")

    assert shown_of(Peer.objects.get()) == {**DISPLAY, "tos_uri": ""}
    assert "left out" not in capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.threat("W53", "PA16")
def test_the_command_says_which_values_of_a_sheet_it_has_left_out(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "logo_uri": "https://evil.example/logo.png",
        "policy_uri": "javascript:alert(1)",
        "reciprocal_account_member": "a" * 101,
    }
    file.write_text(sheet_that_says(**bad))

    run("add", "music", "--sheet", str(file), "--client-secret", CANARY)

    gone = ("logo_uri", "policy_uri", "account_endpoint", "account_member")
    assert shown_of(Peer.objects.get()) == {**DISPLAY, **dict.fromkeys(gone, "")}
    said = capsys.readouterr().err
    flags = "--logo-uri, --policy-uri, --account-endpoint, --account-member"
    assert f"Its values for {flags} cannot be used, and were left out." in said
    assert "must be at https://music.example." in said
    assert "evil.example" not in said


@pytest.mark.django_db
@pytest.mark.threat("W53")
def test_a_sheet_fills_in_what_is_blank_after_a_confirmation(file: Path) -> None:
    run("add", "music", "--sheet", str(file), "--client-secret", CANARY, "--description", "Ours")
    file.write_text(sheet_that_says())

    with pytest.raises(CommandError, match="--accept-changes: Give this flag to change address of"):
        run("add", "music", "--sheet", str(file))
    run("add", "music", "--sheet", str(file), "--accept-changes")

    assert shown_of(Peer.objects.get()) == {**DISPLAY, "description": "Ours"}


@pytest.mark.django_db
@pytest.mark.threat("W53")
def test_another_address_in_a_sheet_needs_the_secret_again(file: Path) -> None:
    run("add", "music", "--sheet", str(file), "--client-secret", CANARY)
    file.write_text(file.read_text().replace("music.example/o/token", "evil.example/o/token"))

    with pytest.raises(CommandError, match="enter the client secret again"):
        run("add", "music", "--sheet", str(file), "--accept-changes")

    assert Peer.objects.get().token_endpoint == "https://music.example/o/token/"


@pytest.mark.django_db
@pytest.mark.threat("RV2")
def test_other_hosts_in_a_sheet_are_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("add", "music", "--sheet", str(file), "--client-secret", CANARY)
    assert "It also names" not in capsys.readouterr().err
    file.write_text(
        file.read_text().replace("music.example/o/token", "xn--msic-0ra.example/o/token")
    )

    run("add", "other", "--sheet", str(file), "--client-secret", CANARY)

    assert "It also names https://xn--msic-0ra.example. Ask" in capsys.readouterr().err


@pytest.mark.django_db
def test_standard_input_that_is_no_text() -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe{"), encoding="utf-8")

    with pytest.raises(CommandError, match="Standard input is not a text"):
        run("add", "music", "--sheet", "-", stdin=stdin)


@pytest.mark.django_db
def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "sheet.json").write_text('{"reciprocal_sheet": 1}')

    with pytest.raises(CommandError, match=r"authorization_server: a JSON object was expected"):
        run("add", "music", "--sheet", str(tmp_path / "sheet.json"))
    with pytest.raises(CommandError, match=r"--sheet: .*none.json: No such file"):
        run("add", "music", "--sheet", str(tmp_path / "none.json"))
    with pytest.raises(CommandError, match="Only one value can be read from standard input"):
        run("add", "music", "--sheet", "-", "--client-secret", "-")

    assert not Peer.objects.exists()


@pytest.mark.threat("W53")
def test_the_sheet_is_exported_without_a_secret(peer: Peer) -> None:
    text = run("show", "music", "--sheet", "--json", "--base-url", "https://us.example")

    document = json.loads(text)
    assert document["reciprocal_sheet"] == 1
    assert document["registration"]["client_id"] == "music-here"
    assert document["client"]["redirect_uris"] == ["https://us.example/connections/music/callback/"]
    assert OUR_SECRET not in text
    assert PEER_SECRET not in text


def test_the_exported_sheet_carries_what_this_site_says_of_itself(
    peer: Peer, settings: Any
) -> None:
    base = "https://us.example"
    said = {name: text.replace("https://music.example", base) for name, text in DISPLAY.items()}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": said}

    document = json.loads(run("show", "music", "--sheet", "--json", "--base-url", base))

    assert SAID.keys() <= document["client"].keys()


def test_without_its_own_address_this_site_exports_no_file(peer: Peer) -> None:
    with pytest.raises(CommandError, match="--base-url or in BASE_URL"):
        run("show", "music", "--sheet", "--json")

    assert "our client type" in run("show", "music", "--sheet")


def test_show_knows_the_address_of_this_site(peer: Peer, settings: Any) -> None:
    assert "its address is not known. Set BASE_URL" in run("show", "music")
    assert json.loads(run("show", "music", "--json"))["this_site"] == {
        "base_url": None,
        "issuer": None,
        "redirect_uri": None,
    }
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "BASE_URL": "https://us.example"}

    callback = "https://us.example/connections/music/callback/"
    text = run("show", "music")

    assert "base URL                    https://us.example" in text
    assert f"redirect URI for this peer  {callback}" in text
    assert json.loads(run("show", "music", "--json"))["this_site"] == {
        "base_url": "https://us.example",
        "issuer": "https://us.example/o",
        "redirect_uri": callback,
    }
