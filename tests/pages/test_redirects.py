"""Pages redirect to pages of this site only, whatever a request contains."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils.http import url_has_allowed_host_and_scheme

from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import consent

pytestmark = pytest.mark.threat("W1")

#: Addresses that browsers take for those of another site, or for a program.
PAYLOADS = [
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    "javascript:alert('evil.example')",
    "/%09/evil.example",
    "\t//evil.example",
    "http:///evil.example",
    "///evil.example",
    "\\\\evil.example",
    "https://evil.example/connections/",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
]
#: Method, page, and what else is sent.
REQUESTS = {
    "list": ("get", "", {}),
    "link": ("get", "links/{}/", {}),
    "consent": ("get", "links/{}/consent/", {}),
    "allow": ("post", "links/{}/consent/", {"answer": "allow", "scopes": ["playback"]}),
    "deny": ("post", "links/{}/consent/", {"answer": "deny"}),
    "disconnect": ("post", "links/{}/disconnect/", {}),
    "connect": ("post", "music/connect/", {}),
    "callback": ("get", "music/callback/", {"code": "c", "state": "made-up"}),
}
NAMES = ("next", "return_to", "redirect_uri")


def send(browser: Client, request: str, link: Link, payload: str) -> Any:
    """Send a request with the payload in its query, and in its body where it has one."""
    method, page, data = REQUESTS[request]
    wish = dict.fromkeys(NAMES, payload)
    if request == "allow":
        data = {**data, "shown": consent.snapshot_of(Link.objects.get(pk=link.pk))}
    path = f"/connections/{page.format(link.pk)}"
    if method == "get":
        return browser.get(path, {**data, **wish})
    return browser.post(f"{path}?{urlencode(wish)}", {**data, **wish})


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("request_", REQUESTS)
def test_no_page_leads_to_an_address_of_the_request(
    browser: Client, link_as_a: Link, peer: Peer, request_: str, payload: str
) -> None:
    response = send(browser, request_, link_as_a, payload)

    own = {
        "/connections/",
        f"/connections/?ended={link_as_a.pk}",
        f"/connections/links/{link_as_a.pk}/",
        "/connections/music/callback/",
    }
    if request_ == "connect":
        goal = urlsplit(response["Location"])
        assert response["Location"].startswith(f"{peer.authorization_endpoint}?")
        asked = parse_qs(goal.query)["redirect_uri"]
        assert asked == ["http://testserver/connections/music/callback/"]
        assert "evil" not in response["Location"]
    elif response.has_header("Location"):
        assert response["Location"] in own
    else:
        assert response.status_code == (400 if request_ == "callback" else 200)
        assert "evil.example" not in response.content.decode()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("request_", ["consent", "allow"])
def test_a_question_that_is_answered_leads_to_the_link(
    browser: Client, link_as_a: Link, request_: str, payload: str
) -> None:
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)

    response = send(browser, request_, link_as_a, payload)

    assert response["Location"] == f"/connections/links/{link_as_a.pk}/"


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("request_", [name for name in REQUESTS if name != "callback"])
def test_signing_in_leads_back_to_our_page(
    client: Client, link_as_a: Link, request_: str, payload: str
) -> None:
    response = send(client, request_, link_as_a, payload)

    login = urlsplit(response["Location"])
    assert (login.scheme, login.netloc, login.path) == ("", "", "/accounts/login/")
    (back,) = parse_qs(login.query)["next"]
    # What Django's login view asks.
    assert url_has_allowed_host_and_scheme(back, {"testserver"})
    assert urlsplit(back).netloc in ("", "testserver")
    assert urlsplit(back).path.startswith("/connections/")
