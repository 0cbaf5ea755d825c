"""Testing the connection to a peer of a vendor: its dialect redeems the made-up code, and the
configuration is compared with the preset."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from reciprocal_oauth.models import Peer
from tests.fakes import FakePeer, Reply, token_response

FIRST = [
    "name",
    "tls",
    "metadata",
    "token_endpoint",
    "credentials",
    "grant",
    "redirect_uri",
    "authorization_response",
    "scopes",
    "clock",
    "cookies",
]
BASE_URL = "https://localhost"


@pytest.fixture
def tunes(
    fake_peer: FakePeer, peer: Peer, made_up_vendors: None, a_worker: None, settings: Any
) -> Peer:
    """A peer of a vendor that is set up well, except that it runs on this machine."""
    fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")
    change(settings, BASE_URL=BASE_URL, HTTP_ALLOW_LOOPBACK=True)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
    }
    peer.application.redirect_uris = (
        "https://eu.tunes.example/link/V7 https://us.tunes.example/link/V7"
    )
    peer.application.save()
    Peer.objects.update(dialect="tunes", issuer="", dialect_options="skill=V7")
    return Peer.objects.get()


def change(settings: Any, **values: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, **values}


def findings(code: int = 0) -> dict[str, tuple[str, str]]:
    """State and reason of each check; the command ends with ``code``."""
    out = io.StringIO()
    ended = 0
    try:
        call_command("reciprocal_peer", "test", "music", "--json", stdout=out)
    except SystemExit as error:
        ended = int(str(error.code))
    assert ended == code
    return {each["check"]: (each["state"], each["reason"]) for each in json.loads(out.getvalue())}


def states(code: int = 0) -> dict[str, str]:
    return {check: state for check, (state, _reason) in findings(code).items()}


def test_the_dialect_redeems_the_made_up_code(fake_peer: FakePeer, tunes: Peer) -> None:
    assert states() == {
        "name": "passed",
        "tls": "unknown",
        "metadata": "not_needed",
        "token_endpoint": "passed",
        "credentials": "passed",
        "grant": "not_needed",
        "redirect_uri": "unknown",
        "authorization_response": "unknown",
        "scopes": "unknown",
        "clock": "passed",
        "cookies": "passed",
        "redirect_uris": "passed",
        "handover": "unknown",
        "grace_period": "passed",
        "preset": "advice",
        "worker": "passed",
    }
    (received,) = fake_peer.to("/token/")
    assert received.form["grant_type"] == "tunes"


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize("status", [400, 401])
def test_refused_credentials_fail(fake_peer: FakePeer, tunes: Peer, status: int) -> None:
    fake_peer.answers["/token/"] = Reply.json(status, error="invalid_client")

    found = states(1)

    assert (found["token_endpoint"], found["credentials"]) == ("passed", "failed")


def test_a_vendor_that_accepts_a_made_up_code_fails(fake_peer: FakePeer, tunes: Peer) -> None:
    fake_peer.answers["/token/"] = token_response()

    assert states(1)["token_endpoint"] == "failed"


def test_a_success_without_tokens_is_no_token_endpoint(fake_peer: FakePeer, tunes: Peer) -> None:
    fake_peer.answers["/token/"] = Reply.json(200)

    found = findings(1)

    assert found["token_endpoint"][0] == "failed"
    assert found["tls"][1].startswith("It is not encrypted.")


def test_a_vendor_that_is_down_fails_and_the_configuration_is_checked(
    fake_peer: FakePeer, tunes: Peer
) -> None:
    fake_peer.stop()

    found = states(1)

    assert found["token_endpoint"] == "failed"
    assert found["credentials"] == "unknown"
    assert found["redirect_uris"] == found["grace_period"] == "passed"


def test_a_vendor_that_sends_no_codes_is_sent_nothing(fake_peer: FakePeer, tunes: Peer) -> None:
    Peer.objects.update(dialect="bell", dialect_options="")
    tunes.application.redirect_uris = "https://social.bell.example/redirect"
    tunes.application.save()

    found = states()

    assert found.pop("scopes") == "passed"  # Those that the vendor may have here.
    assert {found.pop(check) for check in FIRST if check != "scopes"} == {"not_needed"}
    del found["worker"]
    assert found == {"redirect_uris": "passed", "handover": "unknown", "preset": "passed"}
    assert fake_peer.requests == []


def test_a_redirect_uri_that_is_missing_is_named(tunes: Peer) -> None:
    tunes.application.redirect_uris = "https://eu.tunes.example/link/V7"
    tunes.application.save()

    assert findings(1)["redirect_uris"] == (
        "failed",
        "Add to the application of the peer: https://us.tunes.example/link/V7",
    )


@pytest.mark.parametrize(
    ("base", "state", "words"),
    [
        ("", "unknown", "Set BASE_URL."),
        ("http://us.example", "failed", "not encrypted"),
        ("https://192.0.2.7", "failed", "has no host name"),
        ("https://127.0.0.1", "unknown", "on this machine"),
        ("https://no-such-name.invalid", "failed", "does not resolve"),
        ("https://inside.example", "unknown", "is not public"),
        ("https://us.example:8443", "advice", "only port 443"),
        ("https://us.example", "passed", "https://us.example/connections/handover/music/"),
    ],
)
def test_the_address_of_the_peer_at_this_site(
    tunes: Peer,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    state: str,
    words: str,
) -> None:
    names = {"us.example": "203.0.114.9", "inside.example": "10.0.0.1", "127.0.0.1": "127.0.0.1"}

    def look_up(host: str, port: int, **kwargs: Any) -> list[Any]:
        if host not in names:
            raise OSError("no such name")
        return [(0, 0, 0, "", (names[host], port))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    change(settings, BASE_URL=base)

    found = findings(1 if state == "failed" else 0)["handover"]

    assert (found[0], words in found[1]) == (state, True)


def test_a_site_that_accepts_no_codes_cannot_be_reached(tunes: Peer, settings: Any) -> None:
    change(settings, ACCEPT_HANDOVERS=False)

    assert findings(1)["handover"] == (
        "failed",
        "This site accepts no codes: ACCEPT_HANDOVERS is off.",
    )


def test_a_site_without_the_address_cannot_be_reached(tunes: Peer, settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    assert states(1)["handover"] == "failed"


@pytest.mark.parametrize(
    ("provider", "state"),
    [
        ({"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0}, "advice"),
        ({"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 119}, "advice"),
        ({"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0, "ROTATE_REFRESH_TOKEN": False}, "passed"),
    ],
)
def test_a_short_grace_period_is_advised_against(
    tunes: Peer, settings: Any, provider: dict[str, Any], state: str
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **provider}

    assert states()["grace_period"] == state


def test_what_the_vendor_has_otherwise_is_named(tunes: Peer) -> None:
    state, reason = findings()["preset"]

    assert state == "advice"
    assert "token endpoint: https://api.tunes.example/token" in reason
    assert "authentication method: client_secret_post" in reason


def test_an_unknown_dialect_has_the_checks_of_every_peer(tunes: Peer) -> None:
    Peer.objects.update(dialect="gone")

    assert list(states()) == [*FIRST, "worker"]


def test_the_page_of_the_admin_shows_them_too(admin_client: Client, tunes: Peer) -> None:
    url = reverse("admin:reciprocal_oauth_peer_test", args=[tunes.pk])

    text = admin_client.post(url).content.decode()

    assert "The application has the redirect URIs of the vendor" in text
    assert "not needed" in text


def test_behind_a_proxy_the_address_of_this_site_is_not_looked_up(
    fake_peer: FakePeer, tunes: Peer, settings: Any
) -> None:
    """The machine may know no public names."""
    change(settings, BASE_URL="https://us.example", HTTP_PROXY_URL="http://127.0.0.1:9")

    state, reason = findings()["handover"]

    assert state == "unknown"
    assert "looks up the name" in reason
