"""Text from other parties is shown as text, even if it contains markup."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer

from ..fakes import FakePeer, token_response
from ..party_a.visits import begin, connect, good_claims, id_token
from .looks import Tags, only_our_script

pytestmark = pytest.mark.threat("W3")

SCRIPT = """<script>alert('x')</script>"><img src=x onerror=alert(1)>"""
#: The same as a scope: RFC 6749, section 3.3, allows all but quotes, backslash and space.
SCOPE = "<script>alert('x')</script><img/src=x/onerror=alert(1)>"


def assert_harmless(response: Any) -> None:
    """Asserts that the page holds no tag or attribute that we did not write."""
    tags = Tags(response)
    assert only_our_script(tags)
    assert not tags.named("img")
    assert not [name for _, attributes in tags.found for name in attributes if name[:2] == "on"]
    assert response.content.decode().count("<script") == len(tags.named("script"))


@pytest.fixture
def hostile_peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    return make_peer("music", fake_peer.url, name=SCRIPT, scope="openid play")


@pytest.fixture
def hostile_link(browser: Client, hostile_peer: Peer, fake_peer: FakePeer) -> Link:
    """A link with a peer that puts markup wherever it can."""
    visit = begin(browser)
    claims = good_claims(
        hostile_peer.issuer, nonce=visit.asked["nonce"], sub=SCRIPT, preferred_username=SCRIPT
    )
    fake_peer.answers["/token/"] = token_response(
        id_token=id_token(**claims), scope=f"play {SCOPE}", reciprocal=f"profile {SCOPE}"
    )
    visit.come_back()
    return Link.objects.get()


@pytest.mark.parametrize(
    "page", ["", "links/{0.pk}/", "links/{0.pk}/consent/", "links/{0.pk}/disconnect/"]
)
def test_names_scopes_and_accounts_of_a_peer_are_escaped(
    browser: Client, hostile_link: Link, page: str
) -> None:
    response = browser.get("/connections/" + page.format(hostile_link))

    assert response.status_code == 200
    assert escape(SCRIPT) in response.content.decode()
    assert_harmless(response)


def test_the_scope_that_a_peer_says_it_granted_is_escaped(
    browser: Client, hostile_link: Link
) -> None:
    response = browser.get(f"/connections/links/{hostile_link.pk}/")

    assert escape(SCOPE) in response.content.decode()
    assert_harmless(response)


def test_the_words_for_a_scope_are_escaped(browser: Client, peer: Peer, settings: Settings) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"profile": SCRIPT}}

    response = browser.get(connect(browser)["Location"])

    assert escape(SCRIPT) in response.content.decode()
    assert_harmless(response)


@pytest.mark.parametrize("error", ["access_denied", SCRIPT])
def test_what_an_error_in_the_callback_says_is_not_shown_at_all(
    browser: Client, hostile_peer: Peer, error: str
) -> None:
    said = {"error_description": f"MARKER{SCRIPT}", "error_uri": "javascript:MARKER"}
    failed = connect(browser, error=error, **said)
    response = browser.get(failed["Location"])

    assert "was not connected" in response.content.decode()
    assert "MARKER" not in response.content.decode()
    assert_harmless(response)


def test_what_a_forged_callback_says_is_not_shown_at_all(browser: Client, peer: Peer) -> None:
    said = f"MARKER{SCRIPT}"
    parameters = dict.fromkeys(["state", "code", "iss", "error", "error_description"], said)

    response = browser.get("/connections/music/callback/", parameters, follow=True)

    assert response.status_code == 400
    assert "MARKER" not in str(response.redirect_chain)
    assert "MARKER" not in response.content.decode()
    assert_harmless(response)


@pytest.mark.parametrize("attempt", [SCRIPT, "", "1", "\x00", "0" * 5_000])
def test_a_made_up_attempt_in_the_address_of_the_list_is_ignored(
    browser: Client, peer: Peer, attempt: str
) -> None:
    response = browser.get("/connections/", {"attempt": attempt})

    assert response.status_code == 200
    assert "was not connected" not in response.content.decode()
    assert_harmless(response)
