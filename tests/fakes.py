"""A peer that responds with the bytes a test tells it to, over real HTTP on loopback."""

from typing import Any

from reciprocal_oauth.testing import FakeResponse as Reply
from reciprocal_oauth.testing import FakeServer
from reciprocal_oauth.testing import ReceivedRequest as Received
from reciprocal_oauth.testing.fake_server import Responder as Script

__all__ = ["FakePeer", "Received", "Reply", "Script", "token_response"]


class FakePeer(FakeServer):
    """``answers[path]`` is its response there."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = self.responses


def token_response(**members: Any) -> Reply:
    """A token response as RFC 6749, section 5.1, has it."""
    return Reply.json(
        **{
            "access_token": "token-of-the-peer",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "refresh-of-the-peer",
            "scope": "play",
            **members,
        }
    )
