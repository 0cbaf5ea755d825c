"""The connection check asks the authorization endpoint, without a session, whether it knows the
redirect URI of this site."""

from typing import Any

import pytest

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers.connection_check import pairing_standing
from tests.conftest import OUR_SECRET
from tests.fakes import FakePeer, Received, Reply

from .conftest import CALLBACK, MISMATCH, authorizing, findings, sent_back

OTHER = "https://us.example/connections/musik/callback/"


@pytest.mark.rfc("6749", "3.1.2.2")
def test_a_peer_that_sends_people_back_knows_it(good_peer: FakePeer) -> None:
    found = findings()

    assert found["redirect_uri"] == ("passed", CALLBACK)
    assert found["authorization_response"][0] == "passed"


@pytest.mark.rfc("6749", "4.1.1")
def test_it_asks_as_a_browser_would_but_for_nobody(good_peer: FakePeer, peer: Peer) -> None:
    Peer.objects.update(authorization_parameters="access_type=offline\nprompt=consent")

    findings()

    asked = good_peer.to("/authorize/")
    assert {received.method for received in asked} == {"GET"}
    first = asked[0].parameters
    assert first["redirect_uri"] == CALLBACK
    assert first["client_id"] == peer.client_id
    assert first["code_challenge_method"] == "S256"
    assert (first["access_type"], first["prompt"]) == ("offline", "none")
    sent = [received.query + str(received.headers) for received in asked]
    assert all(OUR_SECRET not in text and "Cookie" not in text for text in sent)
    assert len({received.parameters["state"] for received in asked}) == len(asked)


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.rfc("6749", "3.1.2.3")
def test_a_peer_with_another_one_is_told_by_that_one(good_peer: FakePeer) -> None:
    good_peer.answers["/authorize/"] = authorizing(registered=OTHER)

    state, reason = findings()["redirect_uri"]

    assert state == "failed"
    assert OTHER in reason
    assert CALLBACK in reason


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize(
    "page",
    [
        MISMATCH,
        Reply(400, b'{"error": "invalid_redirect_uri"}'),
        Reply(400, b"<p>Invalid parameter: redirect_uri</p>"),
        Reply(302, b"", {"Location": "https://else.example/cb?error=redirect_uri_mismatch"}),
    ],
)
def test_a_peer_with_several_others_says_that_it_does_not_know_it(
    good_peer: FakePeer, page: Reply
) -> None:
    good_peer.answers["/authorize/"] = page

    found = findings()

    assert found["redirect_uri"][0] == "failed"
    assert CALLBACK in found["redirect_uri"][1]
    assert found["authorization_response"][0] == "unknown"


@pytest.mark.parametrize(
    "page",
    [
        Reply(200, b"<h1>Sign in</h1>"),
        Reply(302, b"", {"Location": "/login/?next=/authorize/?redirect_uri%3Dx"}),
        Reply(400, b"<h1>No</h1>"),
        Reply(400, b"<a href='?redirect_uri=https://us.example/'>Unknown client.</a>"),
        Reply(403, b"Not from here."),
        Reply(500, b"The redirect_uri has caused an error."),
        Reply(302, b"", {"Location": "http://[::1/"}),
    ],
)
def test_a_response_that_is_always_the_same_tells_nothing(good_peer: FakePeer, page: Reply) -> None:
    good_peer.answers["/authorize/"] = page

    found = findings()

    assert found["redirect_uri"][0] == "unknown"
    assert f"exactly this one: {CALLBACK}" in found["redirect_uri"][1]


@pytest.mark.rfc("6749", "4.1.2.1")
def test_a_peer_that_refuses_only_what_was_made_up_knows_it(good_peer: FakePeer) -> None:
    def first_the_page_to_sign_in(received: Received) -> Reply:
        is_known = received.parameters.get("redirect_uri") == CALLBACK
        return Reply(200, b"<h1>Sign in</h1>") if is_known else MISMATCH

    good_peer.answers["/authorize/"] = first_the_page_to_sign_in

    assert findings()["redirect_uri"] == ("passed", CALLBACK)


@pytest.mark.rfc("6749", "10.15")
def test_a_peer_that_sends_people_anywhere_shows_nothing(good_peer: FakePeer) -> None:
    """So did django-oauth-toolkit, with prompt=none."""
    good_peer.answers["/authorize/"] = lambda received: sent_back(
        received, received.parameters["redirect_uri"], error="login_required"
    )

    state, reason = findings()["redirect_uri"]

    assert state == "unknown"
    assert "redirects to any address" in reason


def test_a_peer_that_is_down_there_shows_nothing(good_peer: FakePeer, peer: Peer) -> None:
    Peer.objects.update(authorization_endpoint="http://127.0.0.1:9/authorize/")

    assert findings()["redirect_uri"][0] == "unknown"


def test_without_an_authorization_endpoint_there_is_nothing_to_register(
    good_peer: FakePeer,
) -> None:
    Peer.objects.update(authorization_endpoint="")

    assert findings()["redirect_uri"][0] == "not_needed"


def test_without_a_url_of_this_site_it_is_not_known(good_peer: FakePeer, settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "BASE_URL": ""}

    assert findings()["redirect_uri"] == (
        "unknown",
        "The URL of this site is not known. Set BASE_URL.",
    )
    assert good_peer.to("/authorize/") == []


@pytest.mark.rfc("9207", "2.4")
@pytest.mark.parametrize(
    ("issuer", "state"), [("https://else.example", "failed"), ("its own", "passed")]
)
def test_the_issuer_in_the_response_is_compared(
    good_peer: FakePeer, peer: Peer, issuer: str, state: str
) -> None:
    named = peer.issuer if issuer == "its own" else issuer
    good_peer.answers["/authorize/"] = authorizing(iss=named)

    found, reason = findings()["authorization_response"]

    assert found == state
    assert (issuer in reason) is (state == "failed")


@pytest.mark.rfc("9207", "2.4")
def test_a_peer_that_promised_an_issuer_must_name_it(good_peer: FakePeer, peer: Peer) -> None:
    Peer.objects.update(sends_iss=True)
    good_peer.answers["/authorize/"] = authorizing()

    found, reason = findings()["authorization_response"]

    assert found == "failed"
    assert "name no issuer" in reason


@pytest.mark.threat("W3")
def test_an_issuer_is_shown_without_characters_that_change_the_direction(
    good_peer: FakePeer, peer: Peer
) -> None:
    """The administrator compares two issuers."""
    good_peer.answers["/authorize/"] = authorizing(iss=f"{peer.issuer}\u202e\r\n/moc")

    found, reason = findings()["authorization_response"]

    assert found == "failed"
    assert f"{peer.issuer} /moc" in reason
    assert "\u202e" not in reason


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("login_required", "passed"),
        ("interaction_required", "passed"),
        ("unauthorized_client", "failed"),
        ("unsupported_response_type", "failed"),
        ("temporarily_unavailable", "unknown"),
        ("invalid_request", "unknown"),
    ],
)
def test_what_the_peer_says_of_the_request(good_peer: FakePeer, error: str, state: str) -> None:
    good_peer.answers["/authorize/"] = lambda received: (
        sent_back(received, CALLBACK, error=error)
        if received.parameters.get("redirect_uri") == CALLBACK
        else MISMATCH
    )

    found = findings()

    assert found["redirect_uri"][0] == "passed"
    assert found["authorization_response"][0] == state


def test_a_pairing_explains_why_the_request_is_refused(
    good_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing_standing, "ask", lambda peer: pairing_standing.Standing.DISABLED)
    good_peer.answers["/authorize/"] = lambda received: sent_back(
        received, CALLBACK, error="unauthorized_client"
    )

    assert findings()["authorization_response"] == (
        "unknown",
        "The other site has not enabled this one yet.",
    )
