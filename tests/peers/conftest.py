"""Fixtures: a worker, a peer that is set up well, and what the connection check finds of it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.heartbeats import Heartbeat
from reciprocal_oauth.peers import connection_check
from tests.fakes import FakePeer, Received, Reply

METADATA = "/.well-known/oauth-authorization-server/o"
CALLBACK = "https://us.example/connections/music/callback/"
MISMATCH = Reply(400, b"<h2>Error: invalid_request</h2><p>Mismatching redirect URI.</p>")

Found = dict[str, tuple[str, str]]


@pytest.fixture
def a_worker(db: None) -> None:
    """A worker that has just given a sign of life."""
    Heartbeat.objects.create(kind="command", host="here", seen_at=timezone.now())


def sent_back(received: Received, uri: str, **parameters: str) -> Reply:
    """The authorization response to a request without a session."""
    query = urlencode({"state": received.parameters["state"], **parameters})
    return Reply(302, b"", {"Location": f"{uri}?{query}"})


def authorizing(
    registered: str = CALLBACK, scopes: str = "play ask-back", **parameters: str
) -> Callable[[Received], Reply]:
    """An authorization endpoint that checks what this site sends as django-oauth-toolkit does."""

    def respond(received: Received) -> Reply:
        sent = received.parameters
        assert sent["prompt"] == "none"
        uri = sent.get("redirect_uri", registered)
        if uri != registered:
            return MISMATCH
        is_known = set(sent.get("scope", "").split()) <= set(scopes.split())
        error = "login_required" if is_known else "invalid_scope"
        return sent_back(received, uri, error=error, **parameters)

    return respond


@pytest.fixture
def good_peer(fake_peer: FakePeer, peer: Peer, settings: Any) -> FakePeer:
    """A peer that is set up well, in both directions."""
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "BASE_URL": "https://us.example"}
    fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")
    fake_peer.answers["/authorize/"] = authorizing()
    describe(fake_peer, peer)
    return fake_peer


def describe(fake_peer: FakePeer, peer: Peer, **members: Any) -> None:
    """Let the peer publish its metadata. A member that is ``None`` is left out."""
    document = {
        "issuer": peer.issuer,
        "authorization_endpoint": peer.authorization_endpoint,
        "token_endpoint": peer.token_endpoint,
        "revocation_endpoint": peer.revocation_endpoint,
        "grant_types_supported": ["authorization_code", GRANT_TYPE],
        "scopes_supported": ["play", "ask-back"],
        **members,
    }
    document = {name: value for name, value in document.items() if value is not None}
    fake_peer.answers[METADATA] = Reply.json(**document)


def findings() -> Found:
    """State and reason of each check."""
    found = connection_check.run(Peer.objects.get())
    return {each.check.value: (each.state.value, each.reason) for each in found}
