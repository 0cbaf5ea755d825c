"""The configuration: each wrong value gets a text that says what was expected."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reciprocal_oauth.conformance.cli import main
from reciprocal_oauth.conformance.config import load
from reciprocal_oauth.conformance.errors import UsageError

Write = Callable[..., Path]
SUBJECT = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("users =", "user =", "subject.user is not known. Is users meant?"),
        ('users = ["alice"]', 'users = "alice"', 'users is a list of names, such as ["alice"'),
        ('users = ["alice"]', 'users = ["a", "a"]', "users names a user twice"),
        ("redeem = 0.5", 'redeem = "soon"', "waits.redeem is a number of seconds, not 'soon'"),
        ("redeem = 0.5", "redeem = -1", "waits.redeem is a number of seconds, not -1"),
        ("redeem = 0.5", "redeems = 1", "waits.redeems is not known. Is redeem meant?"),
        ('client_id = "party-b"', "", "subject.at_tester.client_id is missing"),
        ('client_id = "tester"', "client_id = 7", "client_id is a text, not of the type int"),
        (f'"{SUBJECT}/token"', '"/token"', 'subject.token_endpoint is "/token", which is no URL'),
        (f'"{SUBJECT}/token"', '"http://h:x/"', "which is no URL"),
        ("[waits]", "[wait]", "wait is not known. Is waits meant?"),
        ('kind = "follow"', 'kind = "folow"', 'driver.kind is "folow"'),
        ("[waits]", 'auth = "digest"\n[waits]', 'tester.at_subject.auth is "basic" or "body"'),
        ("[subject]", "[subject]\napi = 7", 'subject.api is a URL, or a table {url = "…"'),
        ("[subject]", "[subject]\npkce = 1", "subject.pkce is true or false, not 1"),
        ("[waits]", '[dialect]\ngrant_type = "x"\n[waits]', "dialect.name is missing"),
        ("[waits]", '[dialect]\nname = "x"\ntoken_in = "y"\n[waits]', 'dialect.token_in is "body"'),
        ('"secret-of-party-b"', '"env:NOT_SET_ANYWHERE"', "NOT_SET_ANYWHERE, which is not set"),
        ("[subject]", "[subject", "is not TOML"),
        ("quiet = 0.3", "quiet = nan", "waits.quiet is a number of seconds, not nan"),
        ("quiet = 0.3", "quiet = inf", "waits.quiet is a number of seconds, not inf"),
        ('users = ["alice"]', "users = []", "users is a list of names"),
        ('client_secret = "secret-of-party-b"', 'client_secret = ""', "client_secret is missing"),
        (f'"{SUBJECT}/token"', f'"{SUBJECT}/token#x"', "without blanks and without #"),
        (
            f'authorization_endpoint = "{SUBJECT}/authorize"',
            "",
            "authorization_endpoint is missing",
        ),
        (
            "[waits]",
            '[tester.at_subject.second]\nclient_id = "tester"\nclient_secret = "x"\n[waits]',
            "second is the same client",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    config_b: Write, capsys: pytest.CaptureFixture[str], old: str, new: str, expected: str
) -> None:
    path = config_b(SUBJECT, **{old: new})

    status = main(["b", "--config", str(path)])

    captured = capsys.readouterr()
    assert expected in captured.err
    assert (status, captured.out) == (2, "")


def test_a_secret_can_come_from_the_environment(
    config_b: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_B", "from-the-environment")
    path = config_b(SUBJECT, **{'"secret-of-party-b"': '"env:SECRET_OF_B"'})

    assert load(path, "b").subject.at_tester.client_secret == "from-the-environment"


def test_a_party_a_must_say_where_it_wants_its_users_back(config_b: Write) -> None:
    with pytest.raises(UsageError, match=r"subject.at_tester.redirect_uri is missing"):
        load(config_b(SUBJECT), "a")


def test_patience_makes_all_waits_longer_but_not_the_life_of_codes(config_b: Write) -> None:
    path = config_b(SUBJECT, **{"redeem = 0.5": "redeem = 0.5\ncode_lifetime = 60"})
    waits = load(path, "b", patience=3).waits

    assert (waits.redeem, waits.max_wait, waits.code_lifetime) == (1.5, 6, 60)


def test_the_command_line_takes_the_place_of_the_file(config_b: Write) -> None:
    config = load(config_b(SUBJECT), "b", listen="[::1]:8765", public_url="https://t.example/x/")

    assert config.address() == ("::1", 8765)
    assert config.base_url == "https://t.example/x"


def test_a_certificate_without_its_key_is_refused(config_b: Write) -> None:
    with pytest.raises(UsageError, match="needs both"):
        load(config_b(SUBJECT), "b", tls_cert="cert.pem")


@pytest.mark.parametrize("role", ["a", "b"])
def test_the_file_that_init_writes_is_a_configuration(role: str, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"

    assert main(["init", role, "--output", str(path)]) == 0

    config = load(path, role)
    assert config.tester.client_secret != config.subject.at_tester.client_secret
    assert set(":+%/") <= set(config.tester.client_secret)
    assert path.stat().st_mode & 0o077 == 0


def test_init_keeps_a_file_that_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.toml"
    path.write_text("mine")

    assert main(["init", "b", "--output", str(path)]) == 2

    assert path.read_text() == "mine"
    assert "exists" in capsys.readouterr().err


def test_the_sheet_says_what_to_register(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_b(
        SUBJECT, **{'listen = "127.0.0.1': 'public_url = "https://t.example"\nlisten = "127.0.0.1'}
    )

    assert main(["sheet", "--config", str(path)]) == 0

    printed = capsys.readouterr().out
    for value in ("https://t.example/callback", "secret-of-the-tester", "secret-of-party-b"):
        assert value in printed
    assert "https://t.example/token" in printed


# --- Systems that are in use ---------------------------------------------------------------------


def test_a_subject_on_another_computer_is_refused(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_b("https://192.0.2.7")

    assert main(["b", "--config", str(path)]) == 2

    assert "--yes-this-is-a-test-system" in capsys.readouterr().err


def test_http_to_another_computer_is_refused_although_it_is_a_test_system(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_b("http://192.0.2.7")

    assert main(["b", "--config", str(path), "--yes-this-is-a-test-system"]) == 2

    assert "--insecure-http" in capsys.readouterr().err


def test_a_host_without_an_address_is_named(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_b("http://nowhere.invalid")

    assert main(["b", "--config", str(path)]) == 2

    assert "nowhere.invalid has no address" in capsys.readouterr().err


# --- Files and options ---------------------------------------------------------------------------


def test_two_reports_do_not_take_the_same_place(
    config_b: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    same = str(tmp_path / "x.json")

    assert main(["b", "--config", str(config_b(SUBJECT)), "--json", same, "--html", same]) == 2

    assert "x.json is named twice" in capsys.readouterr().err


def test_a_report_does_not_take_the_place_of_the_configuration(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_b(SUBJECT)

    assert main(["b", "--config", str(path), "--json", str(path)]) == 2

    assert "is named twice" in capsys.readouterr().err


@pytest.mark.parametrize("patience", ["0", "-1", "nan", "inf"])
def test_patience_is_a_number_above_0(
    config_b: Write, capsys: pytest.CaptureFixture[str], patience: str
) -> None:
    assert main(["b", "--config", str(config_b(SUBJECT)), f"--patience={patience}"]) == 2

    assert "--patience is a number above 0" in capsys.readouterr().err


def test_a_tester_that_listens_everywhere_says_how_it_is_reached(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["b", "--config", str(config_b(SUBJECT)), "--listen", "0.0.0.0:8765"]) == 2

    assert "Say by public_url how it reaches the tester" in capsys.readouterr().err


def test_the_sheet_knows_the_options_of_the_network(
    config_b: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(config_b(SUBJECT))

    assert main(["sheet", "--config", path, "--public-url", "https://tester.example"]) == 0

    assert "https://tester.example/callback" in capsys.readouterr().out


def test_the_template_is_ascii_so_that_any_terminal_writes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for role in ("a", "b"):
        main(["init", role])

    assert capsys.readouterr().out.isascii()


def test_a_configuration_may_begin_with_a_byte_order_mark(config_b: Write) -> None:
    path = config_b(SUBJECT)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert load(path, "b").tester.client_id == "tester"
