"""What to give to the other site: one sheet, and a new secret that is shown once."""

import html
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer
from tests.conftest import PEER_SECRET, basic, post_form

from .conftest import admin_url, text_of
from .peer_pages import filled_in, messages_of

APPLICATION = get_application_model()._meta.model_name
MAY_GIVE = ("view_peer", "change_peer", f"change_{APPLICATION}")


def sheet(peer: Peer) -> str:
    return admin_url(Peer, "sheet", peer.pk)


def make_secret(client: Client, peer: Peer, **changes: str) -> Any:
    mark = client.get(sheet(peer)).context["mark"]
    sent = {"mark": mark, "sure": "on", **changes}
    return client.post(sheet(peer), {name: value for name, value in sent.items() if value})


def secret_in(response: Any) -> str:
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", response.content.decode())
    return html.unescape(found[1]) if found else ""


def accepts(peer: Peer, secret: str) -> bool:
    """Whether our token endpoint takes ``secret`` for the peer's."""
    headers = basic(peer.application.client_id, secret)
    answer = post_form(Client(), {"grant_type": "authorization_code", "code": "none"}, headers)
    return answer.json()["error"] == "invalid_grant"


def test_the_sheet(admin: Client, peer: Peer) -> None:
    response = admin.get(sheet(peer))

    text = html.unescape(text_of(response))
    for value in (
        "music-here",
        "http://testserver/connections/music/callback/",
        "http://testserver/o",
        "http://testserver/o/.well-known/oauth-authorization-server",
        "http://testserver/o/authorize/",
        "http://testserver/o/token/",
        "http://testserver/o/revoke_token/",
        "profile playback",
        "play ask-back",
    ):
        assert f">{value}</code>" in text
    assert text.count(">http://testserver/o/token/</code>") == 2  # Codes go there as well.
    assert PEER_SECRET not in text
    assert peer.application.client_secret not in text
    assert "no-store" in response["Cache-Control"]


def test_a_site_that_takes_no_codes(admin: Client, peer: Peer, settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

    text = text_of(admin.get(sheet(peer)))

    assert text.count(">http://testserver/o/token/</code>") == 1
    assert "not available on this site" in text


def test_its_page_leads_to_the_sheet(admin: Client, peer: Peer) -> None:
    assert f'href="{sheet(peer)}"' in text_of(admin.get(admin_url(Peer, "change", peer.pk)))


def test_what_is_said_after_adding_a_peer_leads_to_the_sheet(
    admin: Client, make_peer: Callable[..., Peer]
) -> None:
    application = make_peer("tv").application
    Peer.objects.all().delete()

    response = admin.post(admin_url(Peer, "add"), filled_in(application), follow=True)

    assert f'href="{sheet(Peer.objects.get())}"' in " ".join(messages_of(response))


@pytest.mark.threat("W5")
def test_a_new_secret_is_shown_once_and_works(admin: Client, peer: Peer) -> None:
    assert accepts(peer, PEER_SECRET)

    response = make_secret(admin, peer)

    secret = secret_in(response)
    assert len(secret) >= 32
    assert accepts(peer, secret)
    assert not accepts(peer, PEER_SECRET)
    assert "no-store" in response["Cache-Control"]
    assert secret not in text_of(admin.get(sheet(peer)))


@pytest.mark.threat("W7", "X1")
def test_a_new_secret_is_kept_nowhere(
    admin: Client, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    secret = secret_in(make_secret(admin, peer))

    ours = [vars(record) for record in caplog.records if not record.name.startswith("django.db")]
    assert secret not in str(ours)
    assert secret not in str(list(get_application_model().objects.values()))
    assert secret not in str([each.get_decoded() for each in Session.objects.all()])
    entries = LogEntry.objects.all()
    assert secret not in str(list(entries.values()))
    assert {entry.get_change_message() for entry in entries} == {"Made a new client secret."}
    assert {entry.content_type.model for entry in entries} == {"peer", APPLICATION}


def test_a_reload_does_not_make_another_one(admin: Client, peer: Peer) -> None:
    mark = admin.get(sheet(peer)).context["mark"]
    secret = secret_in(make_secret(admin, peer, mark=mark))

    again = make_secret(admin, peer, mark=mark)

    assert secret_in(again) == ""
    assert "was replaced" in messages_of(again)[0]
    assert accepts(peer, secret)


@pytest.mark.parametrize("left_out", ["sure", "mark"])
def test_it_is_not_made_by_accident(admin: Client, peer: Peer, left_out: str) -> None:
    response = make_secret(admin, peer, **{left_out: ""})

    assert messages_of(response)[0].startswith("Nothing was changed")
    assert accepts(peer, PEER_SECRET)
    assert not LogEntry.objects.exists()


@pytest.mark.threat("W7")
@pytest.mark.parametrize("missing", MAY_GIVE[1:])
def test_a_new_secret_needs_the_permission_to_change_both_registrations(
    staff: Callable[..., Client], peer: Peer, missing: str
) -> None:
    client = staff(*(each for each in MAY_GIVE if each != missing))

    assert "Make a new secret" not in text_of(client.get(sheet(peer)))
    assert make_secret(client, peer).status_code == 403
    assert accepts(peer, PEER_SECRET)


@pytest.mark.threat("W7")
def test_the_sheet_needs_the_permission_to_look(staff: Callable[..., Client], peer: Peer) -> None:
    assert staff("view_link").get(sheet(peer)).status_code == 403


def test_who_may_change_both_may_make_one(staff: Callable[..., Client], peer: Peer) -> None:
    assert secret_in(make_secret(staff(*MAY_GIVE), peer))


def test_a_peer_that_is_not_there(admin: Client, db: None) -> None:
    assert admin.get("/admin/reciprocal_oauth/peer/99/sheet/").status_code == 404


@pytest.mark.threat("X3")
@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.admin.peer_sheet.sheet_for",
        "reciprocal_oauth.admin.peers.PeerAdmin.log_change",
        "reciprocal_oauth.secret.Secret.reveal",
    ],
)
def test_a_fault_after_it_was_made(
    place: str, admin: Client, peer: Peer, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    secret = "made-up-" * 5
    mark = admin.get(sheet(peer)).context["mark"]
    monkeypatch.setattr(
        "reciprocal_oauth.peers.application_secret.generate_client_secret", lambda: secret
    )
    monkeypatch.setattr(place, fail)
    admin.raise_request_exception = False

    response = admin.post(sheet(peer), {"mark": mark, "sure": "on"})

    assert response.status_code == 500
    assert "on purpose" in reports[0]
    assert secret not in reports[0]


# The console of a vendor


@pytest.fixture
def tunes(made_up_vendors: None, peer: Peer) -> Peer:
    """A peer with the dialect of a vendor."""
    Peer.objects.update(dialect="tunes", name="Jukebox", dialect_options="skill=V77")
    peer.refresh_from_db()
    return peer


def entries(response: Any) -> list[tuple[str, str]]:
    """The names of the console and what to enter there."""
    text = html.unescape(text_of(response))
    items = re.findall(r"<li>\s*<strong[^>]*>(.*?)</strong>\s*<[^>]*>(.*?)<", text, re.DOTALL)
    return [(label, value) for label, value in items]


def test_the_sheet_of_a_vendor_has_the_entries_of_its_console(admin: Client, tunes: Peer) -> None:
    response = admin.get(sheet(tunes))

    assert entries(response) == [
        ("Authorization URI", "http://testserver/o/authorize/"),
        ("Your client ID", "music-here"),
        ("Your secret", "the client secret, which was shown when it was made"),
        ("Code URI", "http://testserver/connections/handover/music/"),
    ]
    text = html.unescape(text_of(response))
    assert "Enter these values in the console of Tunes & Co, in this order." in text
    assert "Choose “HTTP Basic”" in text
    assert "<li>Tunes & Co has no address at which this site can revoke a token.</li>" in text
    assert "Address of this site for your site alone" in text


def test_the_entries_beside_a_new_secret(admin: Client, tunes: Peer) -> None:
    response = make_secret(admin, tunes)

    assert secret_in(response)
    assert ("Your secret", "the client secret above") in entries(response)


def test_the_sheet_of_another_peer_has_no_console(admin: Client, peer: Peer) -> None:
    text = text_of(admin.get(sheet(peer)))

    assert "console" not in text
    assert "Address of this site for your site alone" not in text
