"""Step (A): a person is sent to the peer."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from reciprocal_oauth.core.protocol import OWN_AUTHORIZATION_PARAMETERS
from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from .visits import begin, connect

CONNECT = "/connections/music/connect/"


@pytest.mark.rfc("6749", "4.1.1")
def test_the_authorization_request_asks_for_a_code_for_this_client_and_callback(
    browser: Client, peer: Peer
) -> None:
    visit = begin(browser)

    assert visit.url.startswith(f"{peer.authorization_endpoint}?")
    assert visit.asked["response_type"] == "code"
    assert visit.asked["client_id"] == "us-at-music"
    assert visit.asked["redirect_uri"] == "http://testserver/connections/music/callback/"
    assert visit.asked["scope"] == "play"


@pytest.mark.rfc("6749", "3.1")
def test_the_query_of_the_authorization_endpoint_is_kept(
    browser: Client, make_peer: Callable[..., Peer]
) -> None:
    make_peer(authorization_endpoint="https://music.example/authorize?tenant=a%26b&hint=&state=x")

    url = begin(browser).url

    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert query[:2] == [("tenant", "a&b"), ("hint", "")]
    assert [name for name, _ in query].count("state") == 1
    assert ("state", "x") not in query


@pytest.mark.rfc("6749", "3.1")
def test_extra_parameters_of_the_peer_go_along(
    browser: Client, make_peer: Callable[..., Peer]
) -> None:
    make_peer(
        authorization_endpoint="https://music.example/authorize?prompt=login",
        authorization_parameters="access_type=offline\r\nprompt=consent\n\naudience=a=b c",
    )

    query = parse_qsl(urlsplit(begin(browser).url).query, keep_blank_values=True)

    assert query[:3] == [("access_type", "offline"), ("prompt", "consent"), ("audience", "a=b c")]
    names = [name for name, _ in query]
    assert len(names) == len(set(names)), "RFC 6749, section 3.1: none more than once"


@pytest.mark.threat("L50")
def test_what_the_request_says_itself_cannot_be_said_by_the_peers_row(
    browser: Client, make_peer: Callable[..., Peer]
) -> None:
    """Not by an update past every form either."""
    peer = make_peer()
    honest = begin(browser).asked
    others = "\n".join(f"{name}=evil" for name in OWN_AUTHORIZATION_PARAMETERS)
    address = f"{peer.authorization_endpoint}?{others.replace(chr(10), '&')}"

    Peer.objects.update(authorization_parameters=others, authorization_endpoint=address)

    asked = begin(browser).asked
    assert asked.keys() == honest.keys()
    assert "evil" not in asked.values()


@pytest.mark.rfc("6749", "3.3")
def test_a_peer_without_a_scope_is_asked_for_its_default(
    browser: Client, make_peer: Callable[..., Peer]
) -> None:
    make_peer(scope="")

    assert "scope" not in begin(browser).asked


@pytest.mark.rfc("7636", "4.2")
def test_the_challenge_is_the_s256_of_the_verifier_that_is_sent_with_the_code(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    visit.come_back()

    verifier = fake_peer.to("/token/")[0].form["code_verifier"]
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    assert visit.asked["code_challenge_method"] == "S256"
    assert visit.asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert 43 <= len(verifier) <= 128


@pytest.mark.rfc("6749", "10.10")
@pytest.mark.threat("L2")
def test_no_two_visits_share_a_state_or_a_challenge_and_a_state_has_256_bits(
    browser: Client, peer: Peer
) -> None:
    visits = [begin(browser) for _ in range(5)]

    states = {visit.asked["state"] for visit in visits}
    assert len(states) == len({visit.asked["code_challenge"] for visit in visits}) == 5
    assert all(len(base64.urlsafe_b64decode(state + "=")) == 32 for state in states)


@pytest.mark.threat("X1")
def test_neither_state_nor_verifier_can_be_read_in_the_row_or_the_session(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    row = str(list(AuthorizationRequest.objects.values_list()))
    session = str(dict(browser.session.items()))
    visit.come_back()

    verifier = fake_peer.to("/token/")[0].form["code_verifier"]
    for secret in (visit.asked["state"], verifier):
        assert secret not in row
        assert secret not in session


@pytest.mark.parametrize(("scope", "has_nonce"), [("openid play", True), ("play", False)])
def test_a_nonce_goes_along_when_an_id_token_is_asked_for(
    browser: Client, make_peer: Callable[..., Peer], scope: str, has_nonce: bool
) -> None:
    make_peer(scope=scope)

    nonces = [begin(browser).asked.get("nonce") for _ in range(2)]

    assert bool(nonces[0]) is has_nonce
    assert not has_nonce or nonces[0] != nonces[1]


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_address_leads_to_the_list_and_starts_nothing(
    browser: Client, peer: Peer, method: str
) -> None:
    response = getattr(browser, method)(CONNECT)

    assert (response.status_code, response["Location"]) == (302, "/connections/")
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_connecting_is_started_with_post_only(browser: Client, peer: Peer, method: str) -> None:
    response = getattr(browser, method)(CONNECT)

    assert response.status_code == 405
    assert "POST" in response["Allow"]
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.threat("L13")
def test_another_site_cannot_start_it_for_a_person(user: Any, peer: Peer) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    assert browser.post(CONNECT).status_code == 403
    assert not AuthorizationRequest.objects.exists()

    browser.get("/connections/")
    token = browser.cookies["csrftoken"].value
    assert browser.post(CONNECT, {"csrfmiddlewaretoken": token}).status_code == 303


def test_a_stranger_signs_in_first_and_is_then_led_to_a_page_that_can_start_it(
    client: Client, peer: Peer, user: Any
) -> None:
    response = client.post(CONNECT)

    assert response.status_code == 302
    address = urlsplit(response["Location"])
    assert address.path == "/accounts/login/"
    assert not AuthorizationRequest.objects.exists()
    client.force_login(user)
    page = client.get(dict(parse_qsl(address.query))["next"])
    assert CONNECT in page.content.decode()


@pytest.mark.parametrize("slug", ["music", "nowhere"])
def test_a_peer_that_is_switched_off_or_unknown_cannot_be_connected(
    browser: Client, make_peer: Callable[..., Peer], slug: str
) -> None:
    make_peer("music", enabled=False)

    assert browser.post(f"/connections/{slug}/connect/").status_code == 404
    assert not AuthorizationRequest.objects.exists()


def test_two_visits_at_once_in_two_tabs_both_arrive(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    make_peer("music", fake_peer.url)
    make_peer("heating", fake_peer.url)
    first, second = begin(browser, "music"), begin(browser, "heating")

    assert second.come_back().status_code == 303
    assert first.come_back().status_code == 303
    assert set(Link.objects.values_list("peer__slug", flat=True)) == {"music", "heating"}


def test_connecting_leads_from_the_button_to_the_question(browser: Client, peer: Peer) -> None:
    response = connect(browser)

    assert response["Location"] == f"/connections/links/{Link.objects.get().pk}/consent/"
