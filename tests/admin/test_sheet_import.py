"""A sheet of the other site fills in the form of a new peer. The sheet of this site is a file."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from reciprocal_oauth.models import Peer
from tests.conftest import OUR_SECRET, PEER_SECRET
from tests.sheets import DISPLAY, SAID, SHEET, sheet_that_says

from .conftest import admin_url, text_of
from .peer_pages import errors, messages_of

ADD = "/admin/reciprocal_oauth/peer/add/"
FIRST = f"{ADD}?dialect=ietf"


def use(client: Client, content: bytes, *, as_file: bool) -> Any:
    sent = {"sheet": SimpleUploadedFile("sheet.json", content)} if as_file else {}
    pasted = {} if as_file else {"pasted_sheet": content.decode()}
    return client.post(FIRST, {"_use_sheet": "", **sent, **pasted})


def values(response: Any) -> dict[str, Any]:
    form = response.context["adminform"].form
    return {name: form[name].value() for name in form.fields}


def test_the_first_page_asks_only_for_the_address_or_the_sheet(admin: Client) -> None:
    response = admin.get(FIRST)

    shown = response.context["adminform"].form.visible_fields()
    text = text_of(response)
    assert {"address", "sheet", "pasted_sheet"} <= {each.name for each in shown}
    assert 'name="token_endpoint"' not in text
    assert 'name="_save"' not in text
    assert "by=hand" in text


@pytest.mark.parametrize("as_file", [True, False])
def test_a_sheet_fills_in_the_form(admin: Client, as_file: bool) -> None:
    response = use(admin, json.dumps(SHEET).encode(), as_file=as_file)

    found = values(response)
    assert found["name"] == "Music service"
    assert found["slug"] == "music"
    assert found["client_id"] == "us-at-music"
    assert found["token_endpoint"] == "https://music.example/o/token/"
    assert found["redirect_uris"] == "https://music.example/connections/us/callback/"
    assert found["scope"] == "play openid"
    assert "says that it is from https://music.example/o." in " ".join(messages_of(response))
    assert not Peer.objects.exists()


def test_what_the_sheet_fills_in_is_saved_with_a_secret(admin: Client) -> None:
    shown = values(use(admin, json.dumps(SHEET).encode(), as_file=False))
    sent = {name: value for name, value in shown.items() if value not in (None, False)}

    response = admin.post(ADD, {**sent, "client_secret": "canary-client-secret"})

    assert response.status_code == 200  # It shows the secret of the new application.
    peer = Peer.objects.get()
    assert peer.client_id == "us-at-music"
    assert peer.enabled
    assert peer.application.redirect_uris == "https://music.example/connections/us/callback/"


def test_what_the_site_says_of_itself_is_filled_in_and_saved(admin: Client) -> None:
    shown = values(use(admin, sheet_that_says().encode(), as_file=True))
    sent = {name: value for name, value in shown.items() if value not in (None, False)}

    admin.post(ADD, {**sent, "client_secret": "canary-client-secret"})

    assert {name: shown[name] for name in DISPLAY} == DISPLAY
    peer = Peer.objects.get()
    assert {name: getattr(peer, name) for name in DISPLAY} == DISPLAY


@pytest.mark.threat("W53", "PA16")
def test_the_page_says_which_values_of_a_sheet_were_left_out(admin: Client) -> None:
    bad = {"logo_uri": "https://evil.example/logo.png", "policy_uri": "javascript:alert(1)"}

    response = use(admin, sheet_that_says(**bad).encode(), as_file=False)

    text, shown = text_of(response), values(response)
    assert text.count("An address must be at https://music.example") == 2
    assert (shown["logo_uri"], shown["policy_uri"]) == (None, None)
    assert shown["tos_uri"] == DISPLAY["tos_uri"]
    assert "evil.example" not in text
    assert "javascript:alert" not in text


def test_what_was_typed_is_not_overwritten_by_a_sheet(admin: Client) -> None:
    typed = {"description": "Ours", "slug": "music"}
    content = {"_use_sheet": "", "pasted_sheet": sheet_that_says()}

    response = admin.post(FIRST, {**typed, **content})

    assert values(response)["description"] == "Ours"
    assert "Your value was kept" in text_of(response)


@pytest.mark.threat("RV2")
def test_the_page_names_other_hosts_in_a_sheet(admin: Client) -> None:
    content = json.dumps(SHEET).replace("music.example/o/token", "evil.example/o/token").encode()

    assert "also names https://evil.example. Ask" in text_of(use(admin, content, as_file=False))
    assert "also names" not in text_of(use(admin, json.dumps(SHEET).encode(), as_file=False))


@pytest.mark.threat("W53")
def test_a_sheet_grants_nothing_and_the_page_says_what_it_asks_for(admin: Client) -> None:
    response = use(admin, json.dumps(SHEET).encode(), as_file=False)

    assert not values(response)["allowed_scope"]
    assert "The other site asks for: profile speak." in text_of(response)


@pytest.mark.threat("W53")
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"x" * 70_000])
def test_a_file_that_is_no_sheet(admin: Client, content: bytes) -> None:
    response = use(admin, content, as_file=True)

    assert list(errors(response)) == ["sheet"]
    assert not Peer.objects.exists()


@pytest.mark.threat("W7")
def test_who_may_not_add_peers_imports_nothing(staff: Callable[..., Client]) -> None:
    content = json.dumps(SHEET).encode()

    assert use(staff("view_peer"), content, as_file=False).status_code == 403


@pytest.mark.threat("W7", "W53")
def test_the_sheet_is_a_file_without_a_secret(
    admin: Client, staff: Callable[..., Client], peer: Peer
) -> None:
    url = admin_url(Peer, "sheet_file", peer.pk)

    response = admin.get(url)

    text = text_of(response)
    assert "attachment" in response["Content-Disposition"]
    assert json.loads(text)["registration"]["client_id"] == "music-here"
    assert OUR_SECRET not in text
    assert PEER_SECRET not in text
    assert staff("view_link").get(url).status_code == 403
    assert admin.post(url).status_code == 405


def test_the_file_carries_what_this_site_says_of_itself(
    admin: Client, peer: Peer, settings: Any
) -> None:
    base = "https://us.example"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": f"{base}/o"}
    said = {name: text.replace("https://music.example", base) for name, text in DISPLAY.items()}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": said}

    document = json.loads(text_of(admin.get(admin_url(Peer, "sheet_file", peer.pk))))

    assert SAID.keys() <= document["client"].keys()
