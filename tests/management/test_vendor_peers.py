"""``reciprocal_peer add --dialect``: the preset of a vendor fills in a new peer."""

import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer

from .peer_command import CANARY, Terminal, refusal, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("made_up_vendors")]

#: What the console of the vendor shows, as flags.
ANSWERS = (
    *("--answer", "vendor_id=V77", "--answer", "client_id=tunes.us"),
    *("--answer", f"client_secret={CANARY}"),
)


def add(*arguments: str, **options: Any) -> str:
    return run("add", "tunes", "--dialect", "tunes", *arguments, **options)


def refused(*arguments: str, **options: Any) -> dict[str, list[str]]:
    return refusal("add", "tunes", "--dialect", "tunes", *arguments, **options)


def uris() -> list[str]:
    application = Peer.objects.get().application
    return str(application.redirect_uris).split()


# Adding


def test_the_preset_fills_in_everything_that_the_console_does_not_show() -> None:
    add(*ANSWERS, "--allowed-scope", "profile")

    peer = Peer.objects.get()
    assert (peer.slug, peer.name, peer.dialect) == ("tunes", "Tunes & Co", "tunes")
    assert peer.token_endpoint == "https://api.tunes.example/token"
    assert peer.token_endpoint_auth_method == "client_secret_post"
    assert peer.client_id == "tunes.us"
    assert peer.client_secret.reveal() == CANARY
    assert peer.options == {"stage": "live", "skill": "V77"}
    assert peer.allowed_scope == "profile"
    assert peer.application.name == "Tunes & Co"
    assert peer.application.client_type == "confidential"
    assert uris() == ["https://eu.tunes.example/link/V77", "https://us.tunes.example/link/V77"]


def test_a_vendor_without_questions_needs_nothing_else() -> None:
    run("add", "bell", "--dialect", "bell")

    assert Peer.objects.get().client_id == ""
    assert uris() == ["https://social.bell.example/redirect"]


def test_flags_win_over_the_preset() -> None:
    add(
        *("--name", "Jukebox", "--token-endpoint", "https://test.tunes.example/token"),
        *("--auth-method", "client_secret_basic", "--client-id", "odd id"),
        *("--client-secret", CANARY, "--redirect-uri", "https://one.example/only"),
        *("--dialect-option", "skill=V5", "--dialect-option", "stage=test"),
    )

    peer = Peer.objects.get()
    assert peer.name == "Jukebox"
    assert peer.token_endpoint == "https://test.tunes.example/token"
    assert peer.token_endpoint_auth_method == "client_secret_basic"
    assert peer.client_id == "odd id"
    assert peer.options == {"skill": "V5", "stage": "test"}
    assert uris() == ["https://one.example/only"]


def test_an_option_of_the_dialect_is_changed_without_the_others() -> None:
    add(*ANSWERS, "--dialect-option", "stage=test")

    assert Peer.objects.get().options == {"skill": "V77", "stage": "test"}
    assert re.search(r"^dialect-option +skill=V77 stage=test$", run("show", "tunes"), re.MULTILINE)


def test_a_wrong_option_of_the_dialect_names_its_flag() -> None:
    assert list(refused(*ANSWERS, "--dialect-option", "stage=moon")) == ["--dialect-option"]


def test_the_secret_is_read_from_standard_input() -> None:
    text = add(
        *ANSWERS[:4],
        *("--answer", "client_secret=-", "--application-client-secret", "-"),
        stdin=f"{CANARY}\nsecret-of-tunes\n",
    )

    assert Peer.objects.get().client_secret.reveal() == CANARY
    assert check_password("secret-of-tunes", Peer.objects.get().application.client_secret)
    assert CANARY not in text
    assert "secret-of-tunes" not in text


# Refusing


def test_without_a_terminal_one_error_lists_every_missing_answer() -> None:
    assert refused() == {
        "--answer vendor_id": [
            "“Vendor ID” is missing. Where the console shows it: Tunes console, Account."
        ],
        "--answer client_id or --client-id": [
            "“Messaging client ID” is missing. Where the console shows it: Tunes console, "
            "Permissions."
        ],
        "--answer client_secret or --client-secret": [
            "“Messaging client secret” is missing. Where the console shows it: Tunes console, "
            "Permissions."
        ],
    }


def test_an_answer_with_another_form_is_refused_with_an_example() -> None:
    reasons = refused(*ANSWERS[2:4], "--answer", "vendor_id=77", "--answer", "client_secret=short")

    assert reasons == {
        "--answer vendor_id": [
            "“Vendor ID” has another form, such as V123. Where the console shows it: Tunes "
            "console, Account."
        ],
        "--answer client_secret or --client-secret": [
            "“Messaging client secret” has another form, such as 0123abcd. Where the console "
            "shows it: Tunes console, Permissions."
        ],
    }
    assert "short" not in str(reasons)


@pytest.mark.parametrize("given", ["vendor", "color=red"])
def test_of_an_answer_that_is_none_the_names_are_told(given: str) -> None:
    with pytest.raises(CommandError, match="NAME is one of: vendor_id, client_id"):
        add("--answer", given)


def test_answers_need_the_dialect_of_a_vendor() -> None:
    with pytest.raises(CommandError, match="Give --dialect too, with one of: tunes, bell"):
        run("add", "tunes", "--answer", "vendor_id=V7")


def test_an_answer_and_its_flag_are_not_both_taken() -> None:
    with pytest.raises(CommandError, match="--client-id: Give this flag or --answer client_id"):
        add(*ANSWERS, "--client-id", "tunes.other")


def test_what_the_preset_does_not_know_is_refused_as_for_every_peer() -> None:
    assert list(refused(*ANSWERS, "--allowed-scope", "everything")) == ["--allowed-scope"]


# At a terminal


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts for secrets; each of them is answered with the canary."""
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return CANARY

    monkeypatch.setattr("getpass.getpass", answer)
    return asked


def test_at_a_terminal_missing_answers_are_asked_for(typed: list[str]) -> None:
    err = io.StringIO()

    text = add("--json", stdin=Terminal("V77\ntunes.us\n\n"), stderr=err)

    peer = Peer.objects.get()
    assert peer.client_id == "tunes.us"
    assert peer.client_secret.reveal() == CANARY
    assert peer.options == {"skill": "V77", "stage": "live"}
    assert typed == ["> "]
    assert json.loads(text)["slug"] == "tunes"
    assert "Vendor ID\n  Where the console shows it: Tunes console, Account." in err.getvalue()
    assert "Example: V123" in err.getvalue()
    assert CANARY not in text + err.getvalue()


def test_an_answer_of_another_form_is_asked_for_again(typed: list[str]) -> None:
    err = io.StringIO()

    add(*ANSWERS[2:4], stdin=Terminal("77\n\nV77\ntest\n"), stderr=err)

    assert "“Vendor ID” has another form, such as V123." in err.getvalue()
    assert "“Vendor ID” is missing." in err.getvalue()
    assert Peer.objects.get().options == {"skill": "V77", "stage": "test"}


def test_what_is_given_is_not_asked_for(typed: list[str]) -> None:
    add(*ANSWERS, "--answer", "stage=test", stdin=Terminal())

    assert typed == []
    assert Peer.objects.get().options["stage"] == "test"


def test_what_to_enter_in_the_console_is_said_before_its_values_are_asked_for(
    typed: list[str],
) -> None:
    """Some consoles show their own values only after that."""
    err = io.StringIO()

    text = add("--json", stdin=Terminal("V77\ntunes.us\n\n"), stderr=err)

    before = err.getvalue().partition("Where the console shows it")[0]
    application = Peer.objects.get().application
    (secret,) = re.findall(r"Your secret\n    (\S+)\n", before)
    assert f"Your client ID\n    {application.client_id}\n" in before
    assert check_password(secret, application.client_secret)
    assert json.loads(text)["application_client_secret"] == secret


def test_the_end_of_the_input_saves_nothing(typed: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^Nothing was saved\.\nTo keep the client ID "):
        add(stdin=Terminal("V77\n"), stderr=io.StringIO())

    assert not Peer.objects.exists()
    assert not get_application_model().objects.exists()


def test_a_refusal_after_the_questions_tells_how_to_keep_what_the_console_has(
    typed: list[str],
) -> None:
    with pytest.raises(CommandError) as raised:
        add("--homepage", "?", stdin=Terminal("V77\ntunes.us\n\n"), stderr=io.StringIO())

    assert "--homepage: " in str(raised.value)
    assert re.search(
        r"--application-client-id \w+ --application-client-secret -", str(raised.value)
    )


# What to enter in the console


def test_the_entries_of_the_console_in_its_order_and_words() -> None:
    text = add(*ANSWERS, "--base-url", "https://us.example")

    application = Peer.objects.get().application
    entries = re.search(
        r"Enter this in the console of Tunes & Co, in this order:\n"
        r"  Authorization URI\n    https://us\.example/o/authorize/\n"
        r"  Your client ID\n    (\S+)\n"
        r"  Your secret\n    (\S+)\n    \(Choose “HTTP Basic”\)\n"
        r"  Code URI\n    https://us\.example/connections/handover/tunes/\n"
        r"\nLimits:\n  - Tunes & Co has no address at which this site can revoke a token\.\n",
        text,
    )
    assert entries is not None
    assert entries[1] == application.client_id
    assert check_password(entries[2], application.client_secret)
    assert text.count(entries[2]) == 1
    assert "The client secret was generated now. It is not shown again." in text


def test_show_has_the_same_entries_without_the_secret() -> None:
    made_up = json.loads(add(*ANSWERS, "--json"))["application_client_secret"]

    text = run("show", "tunes")

    assert "  Code URI\n    /connections/handover/tunes/\n" in text
    assert "  Your secret\n    (the client secret; it was shown when it was generated)\n" in text
    assert made_up not in text
    assert "--base-url" in text


def test_the_json_document_has_the_entries() -> None:
    document = json.loads(add(*ANSWERS, "--json"))

    assert document["console"][2:] == [
        {"label": "Your secret", "value": "", "note": "Choose “HTTP Basic”", "is_secret": True},
        {
            "label": "Code URI",
            "value": "/connections/handover/tunes/",
            "note": "",
            "is_secret": False,
        },
    ]
    assert document["limits"] == [
        "Tunes & Co has no address at which this site can revoke a token."
    ]
    handover = "/connections/handover/tunes/"
    assert document["give_to_peer"]["handover"] == handover
    assert document["give_to_peer"]["reciprocal_endpoint"] == handover


def test_a_vendor_that_sends_no_codes_has_an_address_for_its_notices_only() -> None:
    run("add", "bell", "--dialect", "bell")

    sheet = json.loads(run("show", "bell", "--json"))["give_to_peer"]

    assert sheet["handover"] == "/connections/handover/bell/"
    assert sheet["reciprocal_endpoint"] == ""


def test_a_site_without_this_address_says_so(settings: Any) -> None:
    add(*ANSWERS)
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    assert "  Code URI\n    (not available on this site)\n" in run("show", "tunes")


# Updating


@pytest.fixture
def peer() -> Peer:
    add(*ANSWERS, "--scope", "play", "--dialect-option", "stage=test")
    return Peer.objects.get()


def test_an_update_changes_only_what_is_given(peer: Peer) -> None:
    Peer.objects.update(token_endpoint="https://api.tunes.example/v2/token")

    run("add", "tunes", "--scope", "listen")
    run("add", "tunes", "--dialect", "tunes", "--name", "Jukebox")

    after = Peer.objects.get()
    assert (after.scope, after.name) == ("listen", "Jukebox")
    assert after.token_endpoint == "https://api.tunes.example/v2/token"
    assert after.options == {"stage": "test", "skill": "V77"}


def test_an_answer_changes_what_depends_on_it(peer: Peer) -> None:
    own = "https://us.example/own"
    run("add", "tunes", "--redirect-uri", own, *(x for u in uris() for x in ("--redirect-uri", u)))
    Peer.objects.update(token_endpoint="https://api.tunes.example/v2/token")

    run("add", "tunes", "--answer", "vendor_id=V88")

    after = Peer.objects.get()
    assert after.options == {"stage": "test", "skill": "V88"}
    assert after.token_endpoint == "https://api.tunes.example/v2/token"
    assert after.client_secret.reveal() == CANARY
    assert uris() == [
        own,
        "https://eu.tunes.example/link/V88",
        "https://us.tunes.example/link/V88",
    ]


def test_an_answer_to_an_update_has_the_right_form(peer: Peer) -> None:
    assert list(refusal("add", "tunes", "--answer", "vendor_id=88")) == ["--answer vendor_id"]


def test_an_answer_that_the_peer_does_not_show_any_more_is_named(peer: Peer) -> None:
    Peer.objects.update(dialect_options="")
    get_application_model().objects.update(redirect_uris="https://other.example/")

    with pytest.raises(CommandError, match="--answer vendor_id: This answer is needed too"):
        run("add", "tunes", "--answer", "stage=live")


# Vendors


def test_the_vendors_are_listed_with_what_they_ask_for() -> None:
    text = run("vendors")

    assert text.startswith(
        "Tunes & Co: reciprocal_peer add SLUG --dialect tunes\n"
        "  --answer vendor_id=…  Vendor ID\n"
        "      Where the console shows it: Tunes console, Account.\n"
        "      Example: V123\n"
    )
    assert "Messaging client secret\n      Where the console shows it: Tunes console, Perm" in text
    assert "A secret: with -, the command reads it from standard input." in text
    assert "0123abcd" not in text
    assert "      Default: live\nBell: reciprocal_peer add SLUG --dialect bell" in text


def test_the_vendors_as_json() -> None:
    documents = json.loads(run("vendors", "--json"))

    assert [each["dialect"] for each in documents] == ["tunes", "bell"]
    assert documents[0]["questions"][3] == {
        "name": "stage",
        "label": "Stage",
        "where": "Tunes console, Overview",
        "example": "live",
        "default": "live",
        "secret": False,
    }
