"""Visits: the browser of a user goes to the peer and back."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer

#: The code with which the peer sends people back.
CODE_OF_B = "code-of-b"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
#: The answer that allows a peer what it asks for in most tests.
ALLOW_ALL = {"answer": "allow", "scopes": ["profile", "playback"]}


@dataclass
class Visit:
    """A visit that ``browser`` has begun; ``asked`` are the parameters of its authorization
    request."""

    browser: Client
    slug: str
    url: str
    asked: dict[str, str]

    def come_back(self, browser: Client | None = None, slug: str = "", **changes: Any) -> Any:
        """Open the callback with a good answer; keyword arguments replace its parameters, ``None``
        leaves one out, a list repeats it. Where the answer is refused: the page that says so, to
        which the browser is led."""
        answer = {"code": CODE_OF_B, "state": self.asked["state"], **changes}
        browser, path = browser or self.browser, f"/connections/{slug or self.slug}/callback/"
        response: Any = browser.get(path, {k: v for k, v in answer.items() if v is not None})
        is_refused = response.status_code == 303 and response["Location"] == path
        return browser.get(path) if is_refused else response


def begin(browser: Client, slug: str = "music") -> Visit:
    """Press "Connect", up to where the browser would leave for the peer."""
    response = browser.post(f"/connections/{slug}/connect/")
    assert response.status_code == 303, response.content
    url = response["Location"]
    query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in query.values()), query
    return Visit(browser, slug, url, {name: values[0] for name, values in query.items()})


def connect(browser: Client, slug: str = "music", **changes: Any) -> Any:
    """The whole way: what the callback answers."""
    return begin(browser, slug).come_back(**changes)


def fill_in(browser: Client, page: str, answers: dict[str, Any]) -> Any:
    """Open a page that asks what the peer may do here, fill its form in like that, and send it."""
    return browser.post(page, {**hidden_fields(browser.get(page)), **answers})


def hidden_fields(response: Any) -> dict[str, str]:
    """What the form of a page carries beside what a person fills in; a page without a form has
    none."""
    return dict(_HIDDEN.findall(response.content.decode()))


def id_token(header: dict[str, Any] | None = None, /, **claims: Any) -> str:
    """An ID token with these claims. Its signature is not looked at: it comes over TLS, straight
    from the token endpoint (OpenID Connect Core 1.0, section 3.1.3.7, item 6)."""
    parts = ({"alg": "RS256"} if header is None else header, claims)
    return ".".join(map(_segment, parts)) + ".c2lnbmVk"


def good_claims(issuer: str, **changes: Any) -> dict[str, Any]:
    """The claims of an ID token for us; ``None`` leaves one out."""
    now = int(timezone.now().timestamp())
    claims = {
        "iss": issuer,
        "sub": "account-1",
        "aud": "us-at-music",
        "exp": now + 600,
        "iat": now,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _segment(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def link_both_ways(browser: Client, fake_peer: FakePeer, application: Any) -> dict[str, Any]:
    """Connect, allow everything, hand over, and redeem as the peer: its token response."""
    question = connect(browser, reciprocal="profile playback")["Location"]
    fill_in(browser, question, ALLOW_ALL)
    worker.drain()
    handed_over = [r.form for r in fake_peer.to("/token/") if r.form["grant_type"] == GRANT_TYPE]
    return redeem(handed_over[-1]["code"], application).json()


def redeem(code: str, application: Any) -> Any:
    """What our token endpoint answers to the peer that redeems a reciprocal code."""
    return _ask_token({"grant_type": "authorization_code", "code": code}, application)


def refresh(refresh_token: str, application: Any) -> Any:
    """What our token endpoint answers to the peer that refreshes."""
    return _ask_token({"grant_type": "refresh_token", "refresh_token": refresh_token}, application)


def _ask_token(parameters: dict[str, str], application: Any) -> Any:
    return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))


def call_api(access_token: str) -> int:
    """The status with which our API answers a call with this token."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return Client().get("/api/whoami/", headers=headers).status_code
