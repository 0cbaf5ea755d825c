"""The proxy of this site fails: the peer is not blamed, and nothing is lost."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import AuthorizationRequest, InboxItem, Link, OutboxItem, Peer, Reason
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.peers import connection_check
from reciprocal_oauth.peers.connection_check import Check, State
from reciprocal_oauth.presentation import attempt_remedies

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("H84")]

URL = "https://music.example"


@pytest.fixture
def peer(make_peer: Callable[..., Peer], settings: Settings) -> Peer:
    """The peer is at a public address. The proxy that leads there does not listen."""
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_PROXY_URL": "http://site:pa55word@127.0.0.1:1",
        "RETRY_SCHEDULE_SECONDS": [0],
        "REDEMPTION_SCHEDULE_SECONDS": [0],
    }
    return make_peer(
        issuer=URL,
        authorization_endpoint=f"{URL}/authorize/",
        token_endpoint=f"{URL}/token/",
        revocation_endpoint=f"{URL}/revoke/",
    )


def test_a_hand_over_fails_with_the_reason(link_as_a: Link, browser: Client) -> None:
    consent.allow(link_as_a, ["playback"])
    worker.drain()

    item = OutboxItem.objects.get()
    assert item.reason == Reason.PROXY_FAILED
    assert "The proxy http://127.0.0.1:1: the connection was refused" in item.last_error
    assert "pa55word" not in item.last_error
    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()
    assert "This site could not reach out to Music." in page
    assert "Music could not be reached" not in page


def test_a_redemption_fails_with_the_reason(
    hand_over: Callable[..., object], token_of_a: object
) -> None:
    hand_over(access_token=token_of_a.raw)  # type: ignore[attr-defined]
    worker.drain()

    assert InboxItem.objects.get().reason == Reason.PROXY_FAILED


def test_a_person_who_comes_back_reads_that_this_site_is_the_cause(
    browser: Client, peer: Peer
) -> None:
    started = browser.post("/connections/music/connect/")
    state = parse_qs(urlsplit(started["Location"]).query)["state"][0]

    page = browser.get(
        "/connections/music/callback/",
        {"code": "code-of-b", "state": state, "iss": peer.issuer},
        follow=True,
    )

    assert "This site could not reach out to Music." in page.content.decode()


def test_the_connection_check_says_that_the_proxy_looks_up_the_name(peer: Peer) -> None:
    findings = {each.check: each for each in connection_check.run(peer)}

    name = findings[Check.NAME]
    assert (name.state, name.reason) == (
        State.UNKNOWN,
        "The proxy http://127.0.0.1:1 looks up the name.",
    )
    assert all("pa55word" not in str(each) for each in findings.values())


def test_each_failed_attempt_has_a_remedy() -> None:
    problems = {key for key, _error in attempt_remedies._REMEDIES}
    told = set(AuthorizationRequest.Problem) - {AuthorizationRequest.Problem.NONE}

    assert told - problems == set()
