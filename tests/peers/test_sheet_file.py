"""The sheet as a file: one site exports it, the other one imports it. What is wrong is named."""

import json
from typing import Any

import pytest

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import sheet_file
from reciprocal_oauth.peers.sheet import sheet_for
from reciprocal_oauth.peers.sheet_file import MAX_BYTES, UnusableSheet
from tests.conftest import OUR_SECRET, PEER_SECRET
from tests.sheets import DISPLAY, SAID, SHEET, sheet_that_says

BASE = "https://us.example"


def changed(part: str, **members: Any) -> bytes:
    return json.dumps({**SHEET, part: {**SHEET[part], **members}}).encode()


def problems_of(content: bytes) -> list[str]:
    with pytest.raises(UnusableSheet) as raised:
        sheet_file.read(content)
    return raised.value.problems


def test_everything_that_need_not_be_typed_is_read() -> None:
    sheet = sheet_file.read(json.dumps(SHEET).encode())

    assert sheet.values == {
        "name": "Music service",
        "homepage": "https://music.example/",
        "issuer": "https://music.example/o",
        "authorization_endpoint": "https://music.example/o/authorize/",
        "token_endpoint": "https://music.example/o/token/",
        "revocation_endpoint": "https://music.example/o/revoke_token/",
        "client_id": "us-at-music",
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "play openid",
        "reciprocal_scope": "play",
    }
    assert sheet.redirect_uris == ["https://music.example/connections/us/callback/"]


@pytest.mark.threat("W53")
def test_a_sheet_grants_nothing_here() -> None:
    sheet = sheet_file.read(json.dumps(SHEET).encode())

    assert sheet.asked_scope == "profile speak"
    assert not {"allowed_scope", "preconfigured_scope"} & sheet.values.keys()


def test_the_other_site_can_sign() -> None:
    method = {"token_endpoint_auth_method": "private_key_jwt"}
    keys = {"jwks_uri": "https://music.example/jwks/"}

    found = sheet_file.read(changed("client", **method, **keys)).values

    assert found["authenticates_here_by"] == "private_key_jwt"
    assert found["jwks_uri"] == "https://music.example/jwks/"
    assert "client.jwks_uri" in problems_of(changed("client", **method))[0]


@pytest.mark.threat("H4")
def test_a_homepage_at_another_site_is_left_out() -> None:
    content = changed("client", client_uri="https://evil.example/")

    assert "homepage" not in sheet_file.read(content).values


@pytest.mark.threat("T60")
def test_invisible_characters_in_the_name_are_left_out() -> None:
    name = sheet_file.read(changed("client", client_name="Mu\u202esic\x1b")).values["name"]

    assert name == "Music"


@pytest.mark.rfc("7591", "2")
def test_what_the_site_says_of_itself_is_read() -> None:
    sheet = sheet_file.read(sheet_that_says().encode())

    assert {name: sheet.values.get(name) for name in DISPLAY} == DISPLAY
    assert list(sheet.left_out) == []


@pytest.mark.threat("W53", "PA16")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("logo_uri", "https://evil.example/logo.png"),
        ("logo_uri", "https://music.example.evil.example/logo.png"),
        ("logo_uri", "https://music.example/" + "x" * 500),
        ("logo_uri", "//music.example/logo.png"),
        ("policy_uri", "javascript:alert(1)"),
        ("policy_uri", "http://music.example/privacy/"),
        ("tos_uri", "https://music.example@evil.example/"),
        ("tos_uri", "https://music.example:8443/terms/"),
        ("tos_uri", ["https://music.example/terms/"]),
        ("reciprocal_description", "\u202e\u200b"),
        ("reciprocal_description", {"en": "Plays music."}),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(member: str, value: Any) -> None:
    sheet = sheet_file.read(sheet_that_says(**{member: value}).encode())

    name = member.removeprefix("reciprocal_")
    assert list(sheet.left_out) == [name]
    assert {each for each in DISPLAY if each in sheet.values} == DISPLAY.keys() - {name}


@pytest.mark.threat("W53", "PA16")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("reciprocal_account_endpoint", "https://evil.example/api/whoami/"),
        ("reciprocal_account_endpoint", 7),
        ("reciprocal_account_member", "user\u202ename"),
        ("reciprocal_account_member", "a..b"),
        ("reciprocal_account_member", "a" * 101),
    ],
)
def test_the_account_endpoint_is_left_out_together_with_its_member(member: str, value: Any) -> None:
    sheet = sheet_file.read(sheet_that_says(**{member: value}).encode())

    account = {"account_endpoint", "account_member"}
    assert set(sheet.left_out) == account
    assert not account & sheet.values.keys()
    assert sheet.values["logo_uri"] == DISPLAY["logo_uri"]


@pytest.mark.threat("PA8")
def test_a_long_description_is_cut_and_is_plain() -> None:
    text = "<b>A\u202e music\nservice</b> " + "x" * 1000

    description = sheet_file.read(sheet_that_says(reciprocal_description=text).encode()).values[
        "description"
    ]

    assert description.startswith("<b>A music service</b> xxx")
    assert len(description) == 500


@pytest.mark.threat("W53")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "JSON document"),
        (b"\xff", "JSON document"),
        (b"[" * 100_000, "at most"),
        (b"[" * 50_000, "JSON document"),
        (b"[]", "“reciprocal_sheet”"),
        (b'{"issuer": "x"}', "“reciprocal_sheet”"),
        (b'{"reciprocal_sheet": 2}', "version 1 was expected"),
        (b'{"reciprocal_sheet": true}', "version 1 was expected"),
        (b'{"reciprocal_sheet": 1}', "authorization_server: a JSON object"),
        (b" " * (MAX_BYTES + 1), "at most"),
    ],
)
def test_a_file_that_is_no_sheet(content: bytes, expected: str) -> None:
    assert expected in problems_of(content)[0]


@pytest.mark.threat("W53")
@pytest.mark.parametrize(
    ("part", "member", "value", "expected"),
    [
        ("authorization_server", "issuer", None, "An https address was expected."),
        ("authorization_server", "token_endpoint", 7, "A text of at most 500 characters"),
        ("authorization_server", "token_endpoint", "http://music.example/", "https://"),
        ("authorization_server", "authorization_endpoint", "javascript:alert(1)", "Enter a URL"),
        ("authorization_server", "revocation_endpoint", "https://x@music.example/", "user name"),
        ("client", "redirect_uris", None, "A list of 1 to 5"),
        ("client", "redirect_uris", "https://music.example/", "A list of 1 to 5"),
        ("client", "redirect_uris", ["https://music.example/"] * 6, "A list of 1 to 5"),
        ("client", "redirect_uris", ["ftp://music.example/"], "https://"),
        ("client", "scope", 'pro"file', "Names of scopes"),
        ("client", "client_name", ["x"], "A text of at most"),
        ("client", "token_endpoint_auth_method", "none", "One of: client_secret_basic"),
        ("registration", "client_id", "", "Printable ASCII"),
        ("registration", "client_id", "m\u00fcsic", "Printable ASCII"),
        ("registration", "scope", "a" * 1001, "A text of at most 1000"),
        ("registration", "client_secret", "s3cret", "must not contain a secret"),
        ("registration", "registration_access_token", "t0ken", "must not contain a secret"),
    ],
)
def test_a_bad_member_is_named_with_what_was_expected(
    part: str, member: str, value: Any, expected: str
) -> None:
    problems = problems_of(changed(part, **{member: value}))

    assert len(problems) == 1
    assert problems[0].startswith(f"{part}.{member}: ")
    assert expected in problems[0]
    assert "s3cret" not in problems[0]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    document = {**SHEET, "client": {}, "registration": {}}

    assert len(problems_of(json.dumps(document).encode())) == 2


def test_unknown_members_are_ignored() -> None:
    content = json.dumps({**SHEET, "later": {"x": 1}}).encode()

    assert sheet_file.read(content) == sheet_file.read(json.dumps(SHEET).encode())


@pytest.mark.threat("W53")
def test_what_this_site_exports_another_site_imports(peer: Peer, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": f"{BASE}/o"}
    exported = json.dumps(sheet_file.document_of(peer, sheet_for(peer, BASE), BASE))

    found = sheet_file.read(exported.encode())

    assert OUR_SECRET not in exported
    assert PEER_SECRET not in exported
    assert found.values["issuer"] == f"{BASE}/o"
    assert found.values["client_id"] == "music-here"
    assert found.values["scope"] == "profile playback"
    assert found.redirect_uris == [f"{BASE}/connections/music/callback/"]
    assert found.asked_scope == "play ask-back"


def ours(settings: Any, **changes: str) -> dict[str, str]:
    """What this site says of itself in its settings, at its own address."""
    said = {name: text.replace("https://music.example", BASE) for name, text in DISPLAY.items()}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": said | changes}
    return said


def exported(peer: Peer) -> dict[str, Any]:
    return sheet_file.document_of(peer, sheet_for(peer, BASE), BASE)


def test_the_sheet_carries_what_this_site_says_of_itself(peer: Peer, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": f"{BASE}/o"}
    said = ours(settings)

    document = exported(peer)
    found = sheet_file.read(json.dumps(document).encode())

    assert SAID.keys() <= document["client"].keys()
    assert {name: found.values.get(name) for name in said} == said


def test_the_sheet_has_no_address_that_the_other_site_would_leave_out(
    peer: Peer, settings: Any
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": f"{BASE}/o"}
    elsewhere = "https://cdn.example/x"
    ours(settings, logo_uri=elsewhere, tos_uri="javascript:alert(1)", account_endpoint=elsewhere)

    sent = exported(peer)["client"].keys() & SAID.keys()

    assert sent == {"reciprocal_description", "policy_uri"}


def test_a_site_that_says_nothing_of_itself_exports_nothing(peer: Peer) -> None:
    assert not SAID.keys() & exported(peer)["client"].keys()
